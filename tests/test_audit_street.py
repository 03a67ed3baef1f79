"""Audits through the real command line: torch heads, untrained twins, the picture."""

import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import ArgumentParser

import pipeline
from contracts.cache import Cache
from contracts.errors import RunError
from evaluation.auditing.audit import PRACTICES
from evaluation.auditing.record import FOLDER, read_audits
from report.audit_plot_command import AUDIT_PLOT
from tests.synthetic import make_cache, rows
from tests.test_extract import corpus


def run(*words: object) -> int:
    """Run the program."""
    return pipeline.main([str(word) for word in words])


@pytest.mark.slow
def test_checkpoint_and_seed_of_a_torch_head_are_audited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = rows(8, per_label=2)
    make_cache(tmp_path / "cache", frame, strength=0.15, n_layers=2, width=16)
    where = ["--cache", tmp_path / "cache", "--runs", tmp_path / "runs"]
    words = ["--model", "mlp", "--corpus", "toy", "--protocol", "speakers-5fold"]
    few = ["--set", "max_epochs=15", "lr=0.02", "--seeds", "0-1", "--folds", "0-2"]

    practices = ["test-checkpoint", "best-seed", "split-duplicates"]
    assert run("audit", *words, *few, *where, "--practice", *practices) == 0

    (told,), _ = read_audits(tmp_path / "runs")
    n_tested = {row["practice"]: row["n"] for row in told["rows"]}["honest"]
    assert 0 < n_tested < len(frame)
    assert told["folds"] == [0, 1, 2]
    by_name = {row["practice"]: row for row in told["rows"]}
    for name in ("test-checkpoint", "best-seed", "split-duplicates"):
        row = by_name[name]
        assert row["skipped"] == ""
        assert row["n"] == n_tested
        assert row["inflation"] is not None
    honest, best = by_name["honest"], by_name["best-seed"]
    assert (honest["n_seeds"], best["n_seeds"]) == (2, 1)
    assert by_name["test-checkpoint"]["n_seeds"] == 2
    assert by_name["test-checkpoint"]["uar"] != honest["uar"]  # another epoch
    assert re.match(r"seed [01]; seeds 0\.\d+ to 0\.\d+", best["note"])
    assert best["inflation"] >= 0
    said = capsys.readouterr().out
    assert re.search("test-checkpoint +optimistic", said)


@pytest.mark.slow
def test_the_untrained_twin_is_another_draw_of_the_same_encoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from extract._untrained import save_untrained

    corpus(tmp_path / "audio", n_speakers=8)
    own: list[object] = ["--corpus", "mine", "--cache", tmp_path / "cache"]
    audited: list[object] = ["audit", "--model", "logistic_regression"]
    audited += [
        "--feature",
        "wav2vec2",
        *own,
        "--runs",
        tmp_path / "runs",
        "--protocol",
        "speakers-5fold",
    ]
    audited += ["--set", "layers=[6]", "--practice", "untrained-twin"]
    for seed in (0, 1):
        encoder = tmp_path / f"untrained-{seed}"
        save_untrained(encoder, seed=seed, geometry="demo")
        made = ["extract", *own, "--root", tmp_path / "audio", "--feature", "wav2vec2"]
        assert run(*made, "--encoder", encoder) == 0
        if not seed:  # one encoder has no twin yet
            assert run(*audited) == 0
            assert "no untrained twin in the cache" in capsys.readouterr().out

    assert run(*audited, "--encoder", tmp_path / "untrained-0") == 0

    (told,), _ = read_audits(tmp_path / "runs")  # the same case, a row made anew
    twin = told["rows"][-1]
    assert twin["uar"] is not None
    store = Cache(tmp_path / "cache").view("mine", encoder=str(encoder))
    assert store.spec("wav2vec2").short in twin["note"]  # the other one
    assert twin["practice"] == "untrained-twin"
    assert twin["skipped"] == ""
    assert "two draws of random weights" in twin["note"]
    assert told["untrained"]
    assert "random weights, nothing was learnt" in capsys.readouterr().out


# the picture


def told(**more: Any) -> dict[str, Any]:
    """Return an audit as it is kept: two practices with numbers, one without."""

    def row(name: str, uar: float | None, over: float | None) -> dict[str, Any]:
        one = PRACTICES[name]
        out: dict[str, Any] = {"practice": name, "title": one.title, "kind": one.kind}
        low, high = (None, None) if uar is None else (uar - 0.05, uar + 0.05)
        out |= {"uar": uar, "low": low, "high": high, "inflation": over}
        out |= {"inflation_low": None, "inflation_high": None, "note": ""}
        return out | {"skipped": "" if uar else "draws nothing"}

    made = [
        ("honest", 0.5, None),
        ("random-split", 0.6, 0.1),
        ("best-seed", None, None),
    ]
    out: dict[str, Any] = {
        "id": "a-toy-loso-toy-01",
        "model": "<b>",
        "features": ["egemaps@12"],
    }
    out |= {"corpus": "toy", "protocol": {"name": "loso"}, "chance": 0.25}
    out |= {"labels": {"name": "toy"}, "seeds": [0], "command": "audit it"}
    out |= {"n_utterances": 64, "n_speakers": 8, "untrained": False, "partial": False}
    return out | {"rows": [row(*one) for one in made]} | more


def draw(runs: Path, *words: object) -> int:
    """Run the command alone, as the program does."""
    parser = ArgumentParser()
    AUDIT_PLOT.add_arguments(parser)
    asked = ["--runs", runs, *words]
    return AUDIT_PLOT.run(parser.parse_args([str(word) for word in asked]))


def keep(runs: Path, *audits: dict[str, Any]) -> None:
    """Put audits where the command looks for them."""
    (runs / FOLDER).mkdir(parents=True)
    for one in audits:
        (runs / FOLDER / f"{one['id']}.json").write_text(json.dumps(one))


def test_the_picture_is_a_file_that_needs_nothing_else(tmp_path: Path) -> None:
    keep(tmp_path, told(partial=True, folds=[0, 2]))
    out = tmp_path / "new" / "audit.svg"

    assert draw(tmp_path, "--out", out) == 0

    svg = ET.fromstring(out.read_text(encoding="utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    assert svg.tag == f"{space}svg"
    texts = [node.text for node in svg.iter(f"{space}text")]
    assert "<b> · egemaps" in texts
    assert "toy · loso · 64 utterances of 8 speakers · folds 0, 2 alone" in texts
    assert {"50.0", "60.0", "+10.0"} <= set(texts)
    style = svg.findtext(f"{space}style") or ""
    classes = {c for node in svg.iter() for c in node.get("class", "").split()}
    assert all(re.search(rf"\.{c}\b", style) for c in classes)
    assert "var(" not in style
    assert "url(" not in style
    paper = svg.find(f"{space}rect")
    assert paper is not None
    assert paper.get("width") == svg.get("width")  # a ground in dark surroundings


def test_which_audit_is_drawn_is_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no audits in .* audit --model NAME"):
        draw(tmp_path, "--out", tmp_path / "a.svg")
    keep(tmp_path, told(), told(id="other", model="xgb", seeds=[0, 1]))
    each = (
        r"2 audits .* a-toy-loso-toy-01 \(<b>, corpus toy, egemaps@12, protocol loso, "
        r"seeds 0, 20.* UTC\); other \(xgb, .*, seeds 0, 1, 20.* UTC\)"
    )
    with pytest.raises(RunError, match=each):
        draw(tmp_path, "--out", tmp_path / "a.svg")
    with pytest.raises(RunError, match="no audit 'x'"):
        draw(tmp_path, "--out", tmp_path / "a.svg", "--audit", "x")
    with pytest.raises(RunError, match="ends in .svg"):
        draw(tmp_path, "--out", tmp_path / "a.png", "--audit", "other")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        draw(tmp_path, "--out", tmp_path / "file" / "a.svg", "--audit", "other")

    assert draw(tmp_path, "--out", tmp_path / "a.svg", "--audit", "other") == 0

    assert (tmp_path / "a.svg").exists()


def test_the_newest_of_audits_alike_is_drawn_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path, told(id="one"), told(id="two", n_utterances=99), told(id="zero"))
    for name, made in (("one", 1e9), ("two", 1.2e9), ("zero", 1.1e9)):
        os.utime(tmp_path / FOLDER / f"{name}.json", (made, made))

    assert draw(tmp_path, "--out", tmp_path / "a.svg") == 0

    assert "two is the newest of 3 audits alike" in capsys.readouterr().out
    assert "99 utterances" in (tmp_path / "a.svg").read_text(encoding="utf-8")

"""Variants follow their source: augmented ones into train, degraded ones into test."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.cache import Cache
from contracts.errors import ManifestError
from contracts.manifest import complete
from contracts.run import find_runs
from contracts.view import View
from evaluation.measures.metrics import per_variant, score_run
from evaluation.question import ask, with_variants
from evaluation.splits import protocols
from evaluation.splits.folds import Fold
from pipeline import main

ROLES = {"augment:noise#1": "train", "augment:speed-0.9#2": "train"}
ROLES |= {"degrade:telephone#1": "test"}


def view_of(n_speakers: int, each: int, variants: list[str]) -> View:
    """Return originals and their variants, in no order."""
    rows = []
    for i in range(n_speakers * each):
        row = {"id": f"t/{i}", "waveform": f"w{i}", "corpus": "t", "label": "ab"[i % 2]}
        row |= {"speaker": f"t/s{i % n_speakers}", "sex": ("female", "male")[i % 2]}
        row |= {"session": f"t/{i % n_speakers // 2}"}
        rows.append(row)
        for what in variants:
            made = {"id": f"t/{i}~{what}", "waveform": f"w{i}{what}"}
            rows.append(row | made | {"source": f"t/{i}", "variant": what})
    frame = pd.DataFrame(rows).sample(frac=1, random_state=1)
    frame = complete(frame.reset_index(drop=True))
    return View(Cache("nowhere"), frame, {"t": {}}, classes=("a", "b"))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(5, 9),
    st.integers(1, 3),
    st.lists(st.sampled_from(sorted(ROLES)), unique=True),
    st.sampled_from(["loso", "speakers-5fold", "sessions"]),
)
def test_each_variant_stands_beside_its_source_and_nowhere_else(
    n_speakers: int, each: int, variants: list[str], name: str
) -> None:
    view = view_of(n_speakers, each, variants)
    plan = protocols.get(name)
    plain = protocols.folds(plan, protocols.originals(view))

    for fold, without in zip(protocols.folds(plan, view), plain, strict=True):
        for part in ("train", "dev", "test"):
            here = fold.part(part).manifest
            is_original = here["variant"] == ""
            # the originals are parted as if there were no variants
            ids = set(here["id"][is_original])
            assert ids == set(without.part(part).ids)
            made = here[~is_original]
            expected = {f"{i}~{v}" for i in ids for v in variants if ROLES[v] == part}
            assert set(made["id"]) == expected


@pytest.mark.parametrize("what", sorted(ROLES))
@pytest.mark.parametrize("part", ["train", "dev", "test"])
@pytest.mark.parametrize("breaks", [(), ("speaker", "waveform", "source")])
def test_no_fold_can_be_built_with_a_variant_elsewhere(
    what: str, part: str, breaks: tuple[str, ...]
) -> None:
    view = view_of(3, 1, [what])
    ids = list(view.ids)
    speakers = {"train": 0, "dev": 1, "test": 2}
    parts = {p: [ids.index(f"t/{i}")] for p, i in speakers.items()}
    variant_of = {p: ids.index(f"t/{i}~{what}") for p, i in speakers.items()}

    def build(**rows: list[int]) -> Fold:
        arrays = {p: np.array(r, np.int64) for p, r in rows.items()}
        return Fold(0, "x", view, **arrays, breaks=breaks)

    # beside its source
    right = {p: [*r] for p, r in parts.items()}
    right[part].append(variant_of[part])
    if ROLES[what] == part:
        build(**right)
    else:
        with pytest.raises(ManifestError, match="beside their sources"):
            build(**right)
    # in the right part, but its source is in another
    for other in speakers:
        if other == part:
            continue
        wrong = {p: [*r] for p, r in parts.items()}
        wrong[part].append(variant_of[other])
        with pytest.raises(ManifestError, match="share a|beside their sources"):
            build(**wrong)
    # in the right part, its source nowhere
    alone = {p: [*r] for p, r in parts.items() if p != "dev"} | {"dev": []}
    alone[part].append(variant_of["dev"])
    with pytest.raises(ManifestError, match="share a|beside their sources"):
        build(**alone)


def test_a_protocol_that_breaks_sources_keeps_variants_apart() -> None:
    view = view_of(4, 4, sorted(ROLES))

    def split(originals: View) -> "list[protocols.Part]":
        n = np.arange(len(originals))
        return [protocols.Part("random", n[: len(n) // 2], n[:0], n[len(n) // 2 :])]

    plan = dataclasses.replace(
        protocols.get("loso"), split=split, breaks=("speaker", "waveform", "source")
    )

    (fold,) = protocols.folds(plan, view)

    for part in ("train", "test"):
        here = fold.part(part).manifest
        assert set(here["variant"]) - {""} == {v for v in ROLES if ROLES[v] == part}


# through the program


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of two emotions told apart by loudness, 6 speakers."""
    root = tmp_path_factory.mktemp("audio")
    rng, rows = np.random.default_rng(0), []
    for i in range(36):
        loud = (0.01, 0.2)[i % 2]
        wave = loud * rng.standard_normal(8_000) * (1 + 0.1 * (i // 2 % 6))
        soundfile.write(root / f"{i}.wav", wave, 16_000, "FLOAT")
        told = {"file": f"{i}.wav", "speaker": f"s{i // 2 % 6}"}
        rows.append(told | {"emotion": "ab"[i % 2]})
    pd.DataFrame(rows).to_csv(root / "list.csv", index=False)
    folder = root.parent / "cache"
    words = ["extract", "--corpus", "mine", "--root", str(root), "--cache"]
    words += [str(folder), "--feature", "mfcc", "--augment", "noise", "--copies", "2"]
    assert main([*words, "--degrade", "noise-0dB"]) == 0
    return folder


def fit(cache: Path, runs: Path, *more: str) -> int:
    words = ["fit", "--model", "logistic_regression", "--feature", "mfcc", "--corpus"]
    words += ["mine", "--cache", str(cache), "--runs", str(runs), "--protocol", "loso"]
    return main([*words, *more])


def test_none_is_used_by_default(cache: Path, tmp_path: Path) -> None:
    assert fit(cache, tmp_path) == 0

    ((run,), _) = find_runs(tmp_path)
    assert "variants" not in run.record
    assert {f["n_train"] + f["n_dev"] for f in run.record["folds"]} == {30}
    assert (run.predictions["variant"] == "").all()


def test_fit_uses_the_variants_asked_for(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(cache, tmp_path, "--augment", "noise", "--degrade", "noise-0dB") == 0

    ((run,), _) = find_runs(tmp_path)
    assert run.record["variants"] == {
        "augment:noise#1": 36,
        "augment:noise#2": 36,
        "degrade:noise-0dB#1": 36,
    }
    assert run.record["manifest"]["n_utterances"] == 36
    rows = run.predictions
    assert (rows["variant"] == "degrade:noise-0dB#1").sum() == 36
    assert score_run(run).n == 36
    assert per_variant(run)["noise-0dB"].n == 36
    for fold in run.record["folds"]:
        assert fold["n_train"] == 30 - fold["n_dev"]
        assert fold["n_test"] == 6
        assert fold["n_train_variants"] == 2 * fold["n_train"]
    said = capsys.readouterr().out
    assert "mine: 36 utterances, 6 speakers, 108 variants" in said
    assert re.search(r"under noise-0dB: UAR 0\.\d+, 36 of 36 utterances", said)
    assert "trained on noise too" in run.warnings

    page = tmp_path / "report.html"
    assert main(["report", "--runs", str(tmp_path), "--out", str(page)]) == 0
    assert "Degraded test utterances" in page.read_text(encoding="utf-8")
    assert "with noise" in capsys.readouterr().out


def test_augmented_copies_change_the_fit_and_not_what_it_is_tested_on(
    cache: Path, tmp_path: Path
) -> None:
    fit(cache, tmp_path / "a")
    fit(cache, tmp_path / "b", "--augment", "noise")

    ((plain,), _), ((augmented,), _) = map(find_runs, (tmp_path / "a", tmp_path / "b"))

    assert list(plain.predictions["id"]) == list(augmented.predictions["id"])
    assert not np.allclose(plain.probabilities, augmented.probabilities)
    assert plain.run_id != augmented.run_id


def test_variants_that_are_not_there_are_named_with_the_command(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(cache, tmp_path, "--augment", "speed", "--degrade", "telephone") == 2

    said = capsys.readouterr().err
    assert "lists no variants --augment speed --degrade telephone of mine" in said
    assert "extract --corpus mine --augment speed --degrade telephone" in said


def test_a_feature_that_variants_lack_is_named_with_the_command(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = cache.parent
    words = [
        "extract",
        "--corpus",
        "mine",
        "--cache",
        str(cache),
        "--feature",
        "prosody",
    ]
    assert main(words) in (0, 1), table
    capsys.readouterr()

    words = ["fit", "--model", "logistic_regression", "--feature", "prosody"]
    words += ["--corpus", "mine", "--cache", str(cache), "--runs", str(tmp_path)]
    assert main([*words, "--augment", "noise"]) == 2

    said = capsys.readouterr().err
    assert "--augment noise --copies 2" in said


def test_counts_are_those_of_originals(cache: Path) -> None:
    view = with_variants(Cache(cache), ["mine"], None, ["noise"], ["noise-0dB"])

    question = ask(view.require(["mfcc"]), None, "loso")

    assert len(view) == 36 * 4
    assert question.counts["after"] == {"a": 18, "b": 18}
    assert not question.partial


def test_utterances_without_a_variant_are_counted(cache: Path) -> None:
    view = with_variants(Cache(cache), ["mine"], None, ["noise"])
    rows = view.manifest
    some = ~rows["source"].isin(["mine/0.wav", "mine/1.wav"]).to_numpy()

    whole = ask(view.require(["mfcc"]), None, "loso")
    less = ask(view.take(some).require(["mfcc"]), None, "loso")

    assert whole.without_variants == {}
    assert less.without_variants == {"noise": (2, 36)}


def test_two_corpora_that_may_be_one_are_named() -> None:
    def both(names: tuple[str, str], plugins: tuple[str, str]) -> list[str]:
        rows = [
            {"id": f"{c}/{s}{label}", "waveform": f"{c}{s}{label}", "corpus": c}
            | {"speaker": f"{c}/{names[i]}{s}", "label": label, "sex": ""}
            for i, c in enumerate(("one", "two"))
            for s in range(5)
            for label in "ab"
        ]
        frame = complete(pd.DataFrame(rows))
        cards = {
            c: {"plugin": p, "label_map": "identity"}
            for c, p in zip(("one", "two"), plugins, strict=True)
        }
        view = View(Cache("nowhere"), frame, cards, classes=("a", "b"))
        return ask(view, "identity", "loso").doubtful

    (said,) = both(("s", "s"), ("corpora.table", "corpora.table"))
    assert "one and two may be one corpus: 5 speakers have the same names" in said
    assert not both(("s", "t"), ("corpora.table", "corpora.table"))
    assert not both(("s", "s"), ("corpora.table", "corpora.emodb"))

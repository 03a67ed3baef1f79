"""Every protocol by name: who is tested, who is held out, what differs from others'."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline
from contracts import labels as label_maps
from contracts.cache import Cache
from contracts.errors import ManifestError
from contracts.manifest import complete
from contracts.run import find_runs
from contracts.view import View
from evaluation.asking import question_text
from evaluation.question import Question, ask
from evaluation.splits import protocols
from evaluation.splits._published_protocols import EMOBOX, LUNA
from evaluation.splits.conformity import conformity, facts, few_speakers, of_run
from evaluation.splits.folds import Fold
from evaluation.splits.protocols import PROTOCOLS
from tests import synthetic
from tests.runs import make_run

# corpus -> speaker -> sex; session where the corpus has any
RAVDESS = {f"{i:02}": "male" if i % 2 else "female" for i in range(1, 25)}
IEMOCAP = {
    f"Ses0{i}{s}": "female" if s == "F" else "male" for i in range(1, 6) for s in "FM"
}
CREMA_D = {str(i): "female" if i % 2 else "male" for i in range(1001, 1092)}
EMODB = {
    **dict.fromkeys(("03", "10", "11", "12", "15"), "male"),
    **dict.fromkeys(("08", "09", "13", "14", "16"), "female"),
}
SAVEE = dict.fromkeys(("DC", "JE", "JK", "KL"), "male")
TESS = dict.fromkeys(("OAF", "YAF"), "female")
SPEAKERS = {
    "ravdess": RAVDESS,
    "iemocap": IEMOCAP,
    "crema_d": CREMA_D,
    "emodb": EMODB,
    "savee": SAVEE,
    "tess": TESS,
}
LABELS = ("angry", "happy", "sad", "neutral")


def view_of(
    corpus: str, speakers: Sequence[str] | None = None, per_label: int = 2
) -> View:
    """Return a view of a corpus: every speaker says every label, two sentences."""
    sex = SPEAKERS[corpus]
    out = [
        {
            "id": f"{corpus}/{who}-{label}-{take}",
            "corpus": corpus,
            "waveform": f"{corpus}{who}{label}{take}",
            "speaker": f"{corpus}/{who}",
            "sex": sex[who],
            "session": f"{corpus}/{who[4]}" if corpus == "iemocap" else "",
            "sentence": f"{corpus}/{take % 2 + 1:02}",
            "label": label,
            "split": "test" if i % 4 == 0 else "dev" if i % 4 == 1 else "train",
        }
        for i, who in enumerate(sex if speakers is None else speakers)
        for label in LABELS
        for take in range(per_label)
    ]
    rows = complete(pd.DataFrame(out))
    return View(Cache("nowhere"), rows, {corpus: {}}, classes=LABELS)


def folds_of(name: str, view: View | None = None) -> tuple[View, list[Fold]]:
    plan = PROTOCOLS[name]
    view = view_of(plan.corpus or "ravdess") if view is None else view
    if name == "sessions":
        view = view_of("iemocap")
    placed, _ = protocols.placeable(plan, view)
    return placed, protocols.folds(plan, placed)


def people(fold: Fold, part: str) -> set[str]:
    return {s.partition("/")[2] for s in fold.facts[f"{part}_speakers"]}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_speaker_stands_on_two_sides_unless_declared(name: str) -> None:
    view, folds = folds_of(name)

    tested = np.concatenate([f.test for f in folds])
    assert len(np.unique(tested)) == len(tested), "an utterance is tested twice"
    assert (len(tested) == len(view)) is PROTOCOLS[name].tests_all
    for fold in folds:
        train, dev, test = (people(fold, part) for part in ("train", "dev", "test"))
        assert train
        assert dev
        shared = (train & dev) | (train & test) | (dev & test)
        assert bool(shared) == ("speaker" in PROTOCOLS[name].breaks)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_order_of_a_corpus_changes_no_fold(name: str) -> None:
    view, folds = folds_of(name)
    turned = view.take(np.random.default_rng(0).permutation(len(view)))

    _, again = folds_of(name, turned)

    def told(folds: list[Fold]) -> list[list[set[str]]]:
        parts = ("train", "dev", "test")
        return [[{*f.part(part).ids} for part in parts] for f in folds]

    assert told(folds) == told(again)


@pytest.mark.parametrize(
    ("name", "lists"), [("ravdess-luna5", LUNA), ("emobox-ravdess6", EMOBOX)]
)
def test_actors_are_those_published(name: str, lists: Sequence[Sequence[int]]) -> None:
    _, folds = folds_of(name)

    assert [sorted(int(s) for s in people(f, "test")) for f in folds] == [
        sorted(one) for one in lists
    ]
    assert sorted(i for one in lists for i in one) == list(range(1, 25))
    for fold in folds:
        dev = [int(s) % 2 for s in people(fold, "dev")]
        assert sorted(dev) == [0, 0, 1, 1], "not balanced by sex"


def test_the_six_lists_of_emobox_are_written_as_published() -> None:
    told = "1,11,20,21 4,10,12,14 8,9,19,23 3,5,7,24 2,15,16,18 6,13,17,22"

    assert [",".join(map(str, one)) for one in EMOBOX] == told.split()


def test_pepino_takes_the_actors_the_labels_and_the_seeds_of_the_paper() -> None:
    plan = PROTOCOLS["pepino-ravdess"]
    _, (fold,) = folds_of("pepino-ravdess")

    assert people(fold, "test") == {"23", "24"}
    assert people(fold, "dev") == {"21", "22"}
    assert len(people(fold, "train")) == 20
    assert (plan.labels, plan.seeds) == ("merge-calm", (123, 1234, 2345, 3456, 4567))


def test_statement_keeps_speaker_and_sentence_unseen_both_ways() -> None:
    view, folds = folds_of("ravdess-statement")

    assert len(folds) == 2 * len(LUNA)
    sentences = []
    for fold in folds:
        said = {
            part: {*fold.part(part).manifest["sentence"]}
            for part in ("train", "dev", "test")
        }
        assert said["train"] == said["dev"]
        assert not said["test"] & said["train"]
        assert len(fold.test) == len(people(fold, "test")) * len(LABELS)
        assert fold.facts["n_unused"] == len(view) / 2
        sentences += sorted(said["test"])
    assert sentences == ["ravdess/01"] * 5 + ["ravdess/02"] * 5


@pytest.mark.parametrize("name", ["superb-er", "iemocap-sessions", "emobox-iemocap5"])
def test_sessions_of_iemocap_hold_the_next_session_out_whole(name: str) -> None:
    _, folds = folds_of(name)

    told = [(people(f, "test"), people(f, "dev")) for f in folds]
    both = [{f"Ses0{i}F", f"Ses0{i}M"} for i in range(1, 6)]
    assert told == list(zip(both, [*both[1:], both[0]], strict=True))
    assert all(len(people(f, "train")) == 6 for f in folds)


def test_ten_folds_of_iemocap_hold_the_partner_in_dialogue_out() -> None:
    _, folds = folds_of("iemocap-10fold")

    partner = {"F": "M", "M": "F"}
    for fold, who in zip(folds, IEMOCAP, strict=True):
        assert people(fold, "test") == {who}
        assert people(fold, "dev") == {who[:5] + partner[who[5]]}
        assert len(people(fold, "train")) == 8


@pytest.mark.parametrize(("name", "n"), [("emodb-loso", 10), ("emobox-savee4", 4)])
def test_leaving_one_speaker_out_tests_each_once(name: str, n: int) -> None:
    _, folds = folds_of(name)

    assert len(folds) == n
    assert all(len(people(f, "test")) == 1 for f in folds)
    assert len({*people(folds[0], "train"), *people(folds[0], "dev")}) == n - 1


def test_five_folds_of_crema_d_balance_the_sexes() -> None:
    _, folds = folds_of("crema_d-speaker5")

    for fold in folds:
        tested = people(fold, "test")
        women = sum(CREMA_D[s] == "female" for s in tested)
        assert len(tested) in (18, 19)
        assert abs(2 * women - len(tested)) <= 1


def test_random_folds_have_every_label_alike_and_mark_themselves() -> None:
    _, folds = folds_of("random-kfold", view_of("ravdess", per_label=5))

    for fold in folds:
        labels, n = np.unique(fold.part("test").labels, return_counts=True)
        assert set(labels) == set(LABELS)
        assert set(n) == {24 * 5 // 5}
        assert len(fold.dev) == len(LABELS) * 20  # of 96 in train, dealt in five
        assert fold.breaks == ("speaker",)
    plan = PROTOCOLS["random-kfold"]
    assert "speaker-dependent" in plan.title
    assert "the same speakers stand in train and test" in conformity(plan)


@settings(max_examples=15, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 63), st.integers(0, 63)), max_size=12))
def test_copies_of_a_recording_stay_on_one_side_of_random_folds(
    pairs: list[tuple[int, int]],
) -> None:
    view = view_of("savee", per_label=4)
    waveform = [f"w{i}" for i in range(len(view))]
    for first, copy in pairs:  # also under another label
        waveform[copy] = waveform[first]
    view = dataclasses.replace(view, manifest=view.manifest.assign(waveform=waveform))

    folds = protocols.folds(PROTOCOLS["random-kfold"], view)

    assert sorted(np.concatenate([f.test for f in folds])) == list(range(len(view)))
    for fold in folds:
        parts = [fold.part(p).manifest["waveform"] for p in ("train", "dev", "test")]
        used = [set(part) for part in parts]
        assert sum(map(len, used)) == len(set.union(*used)) == len(set(waveform))


@pytest.mark.parametrize(
    ("name", "lists"),
    [("ravdess-luna5", LUNA), ("ravdess-statement", LUNA), ("emobox-ravdess6", EMOBOX)],
)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_whichever_actors_are_there_nothing_leaks(
    name: str, lists: Sequence[Sequence[int]], data: st.DataObject
) -> None:
    some = [data.draw(st.sets(st.sampled_from(one), min_size=1)) for one in lists]
    view = view_of("ravdess", [f"{i:02}" for i in sorted(set.union(*some))])

    for fold, tested in zip(
        protocols.folds(PROTOCOLS[name], view), [*some, *some], strict=False
    ):
        parts = [people(fold, part) for part in ("train", "dev", "test")]
        assert parts[2] == {f"{i:02}" for i in tested}
        assert sum(map(len, parts)) == len(set.union(*parts))


def test_conformity_tells_other_labels_and_other_seeds() -> None:
    plan = PROTOCOLS["pepino-ravdess"]

    as_published = conformity(plan, "merge-calm", [1234])
    other = conformity(plan, "ravdess8", [0])

    assert as_published.startswith(
        "as published: the actors of each part; calm merged into neutral; 1 seed "
        "(1234) of 123, 1234, 2345, 3456, 4567; differs: speech alone"
    )
    assert "published with" not in as_published
    assert "none of" not in as_published
    assert other.startswith("as published: the actors of each part; differs: ")
    assert "label map ravdess8, published with merge-calm" in other
    assert "seed 0 is none of the published 123, 1234, 2345, 3456, 4567" in other
    assert "; seeds 123, 1234, 2345, 3456, 4567; " in conformity(plan)
    assert "seed 0, seed 1 are none" in conformity(plan, None, [0, 1, 123])
    assert conformity(PROTOCOLS["loso"], "ravdess8", [3]) == "no published protocol"


SIZES = {
    "ravdess-luna5": 1440,
    "emobox-ravdess6": 1440,
    "superb-er": 5531,
    "iemocap-10fold": 5531,
    "emobox-iemocap5": 5531,
    "emodb-loso": 535,
    "emobox-savee4": 480,
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_size_is_claimed_only_where_it_was_counted(name: str) -> None:
    plan, size = PROTOCOLS[name], SIZES.get(name, 0)

    def same(here: int | None) -> str:
        return conformity(plan, plan.labels, (), here).partition("; differs: ")[0]

    assert plan.n_utterances == size
    assert (f"{size} utterances in the source" in same(None)) == bool(size)
    if size:
        assert same(size).endswith(f"; {size} utterances")
        assert str(size) not in same(size - 1)
        told = conformity(plan, plan.labels, (), size - 1)
        assert f"; here {size - 1} of {size} utterances" in told
        more = conformity(plan, plan.labels, (), size + 1)
        assert f"; here {size + 1} utterances, the source has {size}" in more


@pytest.mark.parametrize("name", SIZES)
def test_classes_are_claimed_only_of_the_published_map(name: str) -> None:
    plan = PROTOCOLS[name]
    here = plan.n_utterances

    as_published = conformity(plan, plan.labels, (), here)
    other = conformity(plan, "common4", (), here)

    assert plan.classes in as_published
    assert "classes" not in other.partition("; differs: ")[0]
    assert f"label map common4, published with {plan.labels}" in other


def asked_of(corpus: str, **told: Any) -> Question:
    """Ask of a corpus whose own label map is none of the protocols'."""
    view = dataclasses.replace(
        view_of(corpus), cards={corpus: {"label_map": "identity"}}
    )
    return ask(view, told.pop("labels", None), told.pop("protocol"), **told)


def test_labels_are_the_protocols_unless_others_are_asked_for() -> None:
    taken = asked_of("ravdess", protocol="pepino-ravdess")
    other = asked_of("ravdess", protocol="pepino-ravdess", labels="ravdess8")
    none = asked_of("ravdess", protocol="loso")
    fine = asked_of("ravdess", protocol="pepino-ravdess", as_published=False)

    names = [q.label_map.name for q in (taken, other, none, fine)]
    assert names == ["merge-calm", "ravdess8", "identity", "identity"]
    assert [q.labels_taken for q in (taken, other, none, fine)] == [True, *[False] * 3]
    said = question_text(taken, "24 speakers", [123, 1234], True)
    assert (
        "taken from protocol pepino-ravdess: label map merge-calm (--labels asks for "
        "another), seeds 123, 1234 (--seeds asks for others)"
    ) in said
    said = question_text(other, "24 speakers", [0])
    assert "taken from" not in said
    assert "label map ravdess8, published with merge-calm" in said
    assert "seed 0 is none of the published" in said


@pytest.mark.parametrize("name", [n for n, p in PROTOCOLS.items() if p.labels])
def test_every_map_of_a_protocol_is_there_and_taken(name: str) -> None:
    plan = PROTOCOLS[name]
    view = view_of(plan.corpus)
    of_file = plan.labels in {p.stem for p in label_maps.FOLDER.glob("*.toml")}
    known = label_maps.load(plan.labels).labels if of_file else LABELS
    view = dataclasses.replace(
        view,
        manifest=view.manifest.assign(label=known[0]),
        cards={plan.corpus: {"label_map": "common6"}},
    )

    assert ask(view, None, name).label_map.name == plan.labels


def test_a_question_says_how_many_utterances_are_here() -> None:
    question = asked_of("ravdess", protocol="ravdess-luna5")

    said = question_text(question, "24 speakers")

    assert question.n_utterances == 192
    assert "here 192 of 1440 utterances" in said


def test_a_protocol_for_another_corpus_is_refused_before_its_map() -> None:
    with pytest.raises(ManifestError, match="superb-er is for corpus iemocap, got rav"):
        asked_of("ravdess", protocol="superb-er")


def test_no_fold_at_all_is_refused() -> None:
    none = dataclasses.replace(PROTOCOLS["loso"], split=lambda _: iter(()))

    with pytest.raises(
        ManifestError, match=r"makes no fold of ravdess: .*--labels MAP"
    ):
        asked_of("ravdess", protocol=none)


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (["--protocol", "pepino-ravdess"], [123, 1234, 2345, 3456, 4567]),
        (["--protocol", "pepino-ravdess", "--seeds", "2"], [2]),
        (["--protocol", "loso"], [0]),
    ],
    ids=str,
)
def test_fit_takes_labels_and_seeds_of_the_protocol(
    words: list[str],
    seeds: list[int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoken = synthetic.rows(24, 1, corpus="ravdess")
    told = synthetic.make_cache(tmp_path / "cache", spoken, corpus="ravdess")
    asked = ["fit", "--model", "prior", "--cache", told.folder, *words]

    assert pipeline.main([str(w) for w in (*asked, "--runs", tmp_path / "runs")]) == 0

    said = capsys.readouterr().out
    found, _ = find_runs(tmp_path / "runs")
    assert sorted(run.record["seed"] for run in found) == seeds
    is_taken = "pepino-ravdess" in words
    labels = {run.record["labels"]["name"] for run in found}
    assert labels == {"merge-calm" if is_taken else "identity"}
    assert ("taken from protocol pepino-ravdess: label map merge-calm" in said) == (
        is_taken
    )
    assert ("seeds 123, 1234, 2345, 3456, 4567 (--seeds" in said) == (len(seeds) == 5)


@pytest.mark.parametrize("name", [n for n, p in PROTOCOLS.items() if p.citation])
def test_each_published_protocol_says_what_is_kept_and_what_is_not(name: str) -> None:
    assert conformity(PROTOCOLS[name]).startswith("as published: the ")
    assert "; differs: " in conformity(PROTOCOLS[name])


@pytest.mark.parametrize("name", ["superb-er", "emobox-ravdess6", "emobox-savee4"])
def test_a_published_dev_that_shares_speakers_is_told(name: str) -> None:
    told = conformity(PROTOCOLS[name])

    assert "shares speakers with train; ours holds speakers out" in told


def test_corpora_of_few_speakers_carry_their_caution() -> None:
    told = few_speakers([f"{c}/{s}" for c, who in SPEAKERS.items() for s in who])

    assert [line.partition(":")[0] for line in told] == [
        "savee has 4 speakers",
        "tess has 2 speakers",
    ]
    assert few_speakers(["", "", "mine/1"])[0].startswith("mine has 1 speaker:")


def test_a_run_without_conformity_gets_the_line_it_would_have(tmp_path: Path) -> None:
    plan = PROTOCOLS["pepino-ravdess"]
    old = make_run(tmp_path, protocol="pepino-ravdess", n_speakers=4, n_folds=2)
    kept = {"line": "as it was", "cautions": ["said"]}
    new = make_run(tmp_path / "b", protocol="loso", more={"conformity": kept})
    own = make_run(tmp_path / "c", protocol="of my own")

    told = of_run(old, PROTOCOLS)

    speakers = [f"ravdess/{i}" for i in range(4)]
    n = old.record["manifest"]["n_utterances"]
    assert told == facts(plan, "ravdess8", 0, speakers, n)
    luna = make_run(tmp_path / "d", protocol="ravdess-luna5", n_speakers=4)
    assert f"here {n} of 1440 utterances" in of_run(luna, PROTOCOLS)["line"]
    assert told["cautions"][0].startswith("ravdess has 4 speakers")
    assert of_run(new, PROTOCOLS) == kept
    assert of_run(own, PROTOCOLS) == {"line": "", "cautions": []}


def test_list_protocols_shows_each_and_its_conformity_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert pipeline.main(["list", "protocols"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["name", "corpus"]
    for plan, line in zip(PROTOCOLS.values(), lines[2:-1], strict=True):
        assert line.split()[:2] == [plan.name, plan.corpus or "any"]
        assert line.endswith(plan.title)
        assert pipeline.main(["list", "protocols", plan.name]) == 0
        assert f"conformity: {conformity(plan)}\n" in capsys.readouterr().out


def test_identities_of_runs_made_before_do_not_change() -> None:
    """Names, titles, citations and notes are hashed into run ids."""
    told = {
        name: [getattr(PROTOCOLS[name], k) for k in ("title", "citation", "note")]
        for name in ("ravdess-luna5", "loso")
    }

    held = "Dev: one fifth of the training speakers, balanced by sex."
    assert told == {
        "ravdess-luna5": [
            "five published folds of RAVDESS by actor",
            "Luna-Jimenez et al., Appl. Sci. 2022, 12, 327",
            "The published protocol has no dev part and chose checkpoints on the test "
            f"fold; ours does not. {held}",
        ],
        "loso": ["leave one speaker out", "", held],
    }

"""What an inspection finds in a manifest."""

import dataclasses
import json
from typing import Any

import pandas as pd

from contracts.manifest import Manifest, card
from extract._inspection import inspect_manifest, print_inspection
from tests.synthetic import CORPUS, LABELS, rows

LEFT = [
    {"path": "a/odd.wav", "reason": "no label code", "fault": True},
    {"path": ".DS_Store", "reason": "hidden", "fault": False},
]


def inspect(frame: pd.DataFrame, **published: Any) -> dict[str, Any]:
    corpus = dataclasses.replace(CORPUS, **published)
    facts = inspect_manifest(Manifest("toy", frame, card(corpus, limit=None)), LEFT)
    again: dict[str, Any] = json.loads(json.dumps(facts, allow_nan=False))
    assert again == facts
    return facts


def test_counts_of_a_corpus_as_published() -> None:
    facts = inspect(
        rows(),
        n_utterances=64,
        n_speakers=8,
        label_counts=dict.fromkeys(LABELS, 16),
    )

    assert (facts["n_utterances"], facts["n_speakers"]) == (64, 8)
    assert facts["label_counts"] == dict.fromkeys(LABELS, 16)
    assert facts["label_by_speaker"]["toy/03"] == dict.fromkeys(LABELS, 2)
    assert facts["sexes"] == {"female": 4, "male": 4}
    assert facts["sampling_rates"] == {"16000": 64}
    assert facts["channels"] == {"1": 64}
    assert facts["hours"] == 64 / 3600
    assert facts["differences"] == []
    assert facts["duplicates"] == []


def test_differences_name_expected_and_got() -> None:
    facts = inspect(
        rows().iloc[2:],
        n_utterances=64,
        n_speakers=9,
        label_counts=dict.fromkeys(LABELS, 16),
    )

    assert facts["differences"] == [
        "utterances: expected 64, got 62 (-2)",
        "speakers: expected 9, got 8 (-1)",
        "'neutral': expected 16, got 14 (-2)",
    ]


def test_a_label_that_the_corpus_does_not_name_is_a_difference() -> None:
    frame = rows()
    frame.loc[0, "label"] = "bored"

    assert inspect(frame)["differences"] == [
        "labels that the corpus does not name: bored"
    ]


def test_duplicates_and_their_contradictions() -> None:
    frame = rows()
    frame.loc[[4, 5, 9], "waveform"] = "same"
    frame.loc[[20, 21], "waveform"] = ""
    facts = inspect(frame)

    assert facts["duplicates"] == [list(frame.loc[[4, 5, 9], "id"])]
    assert (
        facts["duplicate_conflicts"]
        == [
            f"{', '.join(frame.loc[[4, 5, 9], 'id'])}: one waveform, speakers "
            "toy/01, toy/02"
        ]
        or len(facts["duplicate_conflicts"]) == 2
    )


def test_problems_unknown_speakers_and_variants() -> None:
    frame = rows()
    frame.loc[0, ["problem", "waveform"]] = ["cannot be decoded", ""]
    frame.loc[0, ["duration", "sampling_rate", "clipping", "silence"]] = float("nan")
    frame.loc[1, ["speaker", "sex"]] = ["", ""]
    frame.loc[2, "source"] = frame.loc[3, "id"]
    facts = inspect(frame)

    assert facts["problems"] == [[frame.loc[0, "id"], "cannot be decoded"]]
    assert facts["n_unknown_speaker"] == 1
    assert facts["label_by_speaker"]["unknown"]["neutral"] == 1
    assert (facts["n_utterances"], facts["n_variants"]) == (63, 1)
    assert facts["sampling_rates"] == {"16000": 62, "unknown": 1}


def test_durations_clipping_and_silence() -> None:
    frame = rows()
    frame["duration"] = [1.0 + i / 64 for i in range(64)]
    frame.loc[7, "clipping"] = 0.02
    facts = inspect(frame)

    assert facts["duration"]["min"] == 1.0
    assert facts["duration"]["max"] == 1.0 + 63 / 64
    assert sum(facts["duration"]["histogram"]["counts"]) == 64
    edges = facts["duration"]["histogram"]["edges"]
    assert edges[0] <= 1.0
    assert edges[-1] >= facts["duration"]["max"]
    assert facts["clipping"]["worst"] == [[frame.loc[7, "id"], 0.02]]
    assert facts["clipping"]["n_none"] == 63
    assert sum(facts["clipping"]["histogram"]["counts"]) == 1
    assert facts["silence"]["n_above_zero"] == 64


def test_an_empty_corpus_is_inspected_too() -> None:
    facts = inspect(rows().head(0))

    assert facts["n_utterances"] == 0
    assert facts["duration"]["mean"] is None
    assert print_inspection(facts).startswith("toy: Toy corpus")


def test_text_report_tells_every_fault() -> None:
    frame = rows()
    frame.loc[[4, 5], "waveform"] = "same"
    frame.loc[0, "problem"] = "cannot be decoded"
    text = print_inspection(inspect(frame, n_utterances=70))

    for said in (
        "64 utterances",
        "8 speakers (4 female, 4 male)",
        "utterances: expected 70, got 64 (-6)",
        "same waveform: 1 group",
        f"{frame.loc[0, 'id']}: cannot be decoded",
        "files to mend: 1\n  a/odd.wav: no label code",
        "files passed over: 1\n  .DS_Store: hidden",
        "16000 (64)",
    ):
        assert said in text


def test_variants_describe_nothing_but_are_counted_by_kind() -> None:
    frame = rows()
    plain = inspect(frame)
    made = pd.concat([frame.head(6), frame.head(6)], ignore_index=True)
    made["source"] = made["id"]
    made["variant"] = ["augment:noise#1", "augment:noise#2", "degrade:mp3-16k#1"] * 4
    made["waveform"] = [f"w{i}" for i in range(len(made))]
    made["duration"], made["label"], made["clipping"] = 99.0, "happy", 1.0

    facts = inspect(pd.concat([frame, made], ignore_index=True))

    assert facts["variants"] == {"augment:noise": 8, "degrade:mp3-16k": 4}
    assert (plain["variants"], plain["n_variants"]) == ({}, 0)
    same = {key: value for key, value in facts.items() if "variants" not in key}
    assert same == {k: v for k, v in plain.items() if "variants" not in k}
    said = "12 variants made from them, not described here: augment:noise (8), degrade"
    assert said in print_inspection(facts)

"""Write a table of RAVDESS with the votes of three simulated raters.

    python docs/simulated_raters.py data/audio/ravdess data/simulated/votes.csv

RAVDESS has no votes for each recording that could be had here; these are drawn, and
nobody heard anything: they show soft labels at work, and no result about people rests
on them. A simulated rater says the acted emotion with probability .78 where it is
acted strongly and .62 where not, else one of those it may be taken for. The hash of the
file's name and the rater's number is the seed: the table is the same everywhere.
"""

import argparse
import csv
import hashlib
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from contracts.manifest import Utterance
from corpora.ravdess import CORPUS, utterances

N_RATERS = 3
RIGHT = {"strong": 0.78, "normal": 0.62}
TAKEN_FOR = {
    "neutral": ("calm", "sad"),
    "calm": ("neutral", "sad"),
    "happy": ("surprised", "angry"),
    "sad": ("calm", "fearful", "neutral"),
    "angry": ("disgust", "happy"),
    "fearful": ("sad", "surprised"),
    "disgust": ("angry", "sad"),
    "surprised": ("happy", "fearful"),
}


def votes(name: str, label: str, strong: bool) -> dict[str, int]:
    """Draw how many raters say what; labels nobody says count 0."""
    out = dict.fromkeys(CORPUS.labels, 0)
    right = RIGHT["strong" if strong else "normal"]
    for rater in range(N_RATERS):
        digest = hashlib.sha256(f"{rater} {name}".encode()).digest()
        draw = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        is_right = draw.random() < right
        out[label if is_right else str(draw.choice(TAKEN_FOR[label]))] += 1
    return out


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="folder of RAVDESS")
    parser.add_argument("out", type=Path, help="table to write")
    asked = parser.parse_args()
    heads = ["file", "speaker", "sex", "emotion", "sentence"]
    rows = []
    for item in utterances(asked.root):
        if isinstance(item, Utterance) and item.label:
            strong = item.path.name.split("-")[3] == "02"
            told = votes(item.path.stem, item.label, strong)
            where = item.path.resolve()
            who = (item.speaker, item.sex, item.label, item.sentence)
            rows.append([str(where), *who, *told.values()])
    if not rows:
        sys.exit(f"{asked.root} holds no recording of RAVDESS")
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with asked.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heads + [f"vote:{label}" for label in CORPUS.labels])
        writer.writerows(rows)
    sys.stdout.write(f"{len(rows)} recordings, {N_RATERS} simulated raters each\n")


if __name__ == "__main__":
    main()

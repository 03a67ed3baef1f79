"""Plots and tables of a corpus."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from contracts.terminal import count
from report._plots import histogram
from report._svg import box, clip, drawing, element, text
from report._words import percent

N_COLUMNS = 120  # more speakers than this are not drawn one by one


def tone(share: float) -> str:
    """Name the ink that is read on a cell of this share, in light and in dark."""
    return "low" if share < 0.52 else "mid" if share < 0.7 else "high"


def corpus_view(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Turn an inspection into what the page shows of it."""
    duration = facts["duration"]
    expected = facts["expected"]["label_counts"]
    labels = facts["label_counts"]
    most = max([*labels.values(), *expected.values()], default=0) or 1
    lengths = duration["histogram"]
    return {
        "variants": {},  # older inspections do not tell them
        **facts,
        "bars": [
            {
                "label": label,
                "n": n,
                "share": n / most,
                "expected": expected.get(label),
            }
            for label, n in labels.items()
        ],
        "durations": (
            histogram(lengths["edges"], lengths["counts"], "seconds", "utterance")
            if lengths["counts"]
            else ""
        ),
        "left": [
            f"{x['path']}: {x['reason']}" + (" (to mend)" if x["fault"] else "")
            for x in sorted(facts["leftovers"], key=lambda x: not x["fault"])
        ],
        "heat": heat(facts["label_by_speaker"], list(labels)),
        "shares": [
            (name, what, facts[name], bins(facts[name]))
            for name, what in (
                ("clipping", "share of samples at full scale"),
                ("silence", "share of 20 ms frames below -60 dBFS"),
            )
        ],
    }


def bins(shares: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """Return name, count and height of each bin of shares, zeros first."""
    edges, counts = shares["histogram"]["edges"], shares["histogram"]["counts"]
    named = [("none", int(shares["n_none"]))]
    for low, high, n in zip(edges, edges[1:], counts, strict=False):
        named.append((f"{100 * low:g} to {100 * high:g} %", int(n)))
    most = max(n for _, n in named) or 1
    return [(name, n, n / most) for name, n in named]


def heat(table: Mapping[str, Mapping[str, int]], labels: Sequence[str]) -> Markup:
    """Draw how many utterances of each label each speaker has."""
    speakers = sorted(table, key=lambda s: -sum(table[s].values()))[:N_COLUMNS]
    speakers = sorted(speakers)
    if not speakers:
        return Markup("")
    most = max(n for s in speakers for n in table[s].values()) or 1
    wide, tall, left = (26.0 if len(speakers) <= 40 else 16.0), 24.0, 92.0
    width, bottom = left + wide * len(speakers) + 8, 6 + tall * len(labels)
    out = []
    for row, label in enumerate(labels):
        y = 6 + tall * row
        said = clip(label or "(no label)", 13)
        out.append(text(left - 8, y + 16, said, "tick strong", "end"))
        for column, speaker in enumerate(speakers):
            x, n = left + wide * column, table[speaker].get(label, 0)
            out.append(_cell(x, y, wide, tall, n, most, f"{speaker}, {label}"))
    for column, speaker in enumerate(speakers):
        name = clip(speaker.rpartition("/")[2], 9)
        turned = '<text x="{0:.1f}" y="{1:.1f}" class="tick" text-anchor="end" '
        turned += 'transform="rotate(-60 {0:.1f} {1:.1f})">{2}</text>'
        x = left + wide * (column + 0.5) + 4
        out.append(Markup(turned).format(x, bottom + 13, name))
    label = (
        f"Utterances of {count(len(labels), 'label')} by "
        f"{count(len(speakers), 'speaker')}, at most {most} in a cell."
    )
    return drawing(width, bottom + 56, label, out, "heat", least=width)


def _cell(
    x: float, y: float, wide: float, tall: float, n: int, most: int, said: str
) -> Markup:
    share = 0.7 * n / most  # a full table of the darkest ink is hard to read
    told = f"{said}: {n}"
    inside = [
        box(x, y, wide - 1, tall - 1, "cell-back"),
        element(
            "rect",
            element("title", told),
            x=x,
            y=y,
            width=wide - 1,
            height=tall - 1,
            class_="cell",
            fill_opacity=float(share),
        ),
    ]
    # numbers of three digits do not fit into the narrow cells
    if wide > 20 or n < 100:
        ink = f"cell-text {tone(share)}"
        inside.append(text(x + wide / 2 - 0.5, y + tall / 2 + 3, n, ink, "middle"))
    return Markup("").join(inside)


def worst(shares: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name the worst utterances with their share in percent."""
    return [(name, percent(value)) for name, value in shares["worst"]]

"""An inspection in plain text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contracts.terminal import count, table

N_SHOWN = 20
N_NEAR = 10  # groups
N_MEMBERS = 4  # of each


def blocks(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of the report on one corpus."""
    yield _headline(facts)
    yield _labels(facts)
    yield _audio(facts)
    yield from _named("differs from what was published", facts["differences"])
    yield from _named(
        "same waveform", [", ".join(ids) for ids in facts["duplicates"]], "group"
    )
    yield from _named("same waveform, told differently", facts["duplicate_conflicts"])
    yield from _named(
        "utterances without features", [f"{i}: {why}" for i, why in facts["problems"]]
    )
    for fault, title in ((True, "files to mend"), (False, "files passed over")):
        left = [x for x in facts["leftovers"] if x["fault"] is fault]
        yield from _named(title, [f"{x['path']}: {x['reason']}" for x in left])


def _headline(facts: Mapping[str, Any]) -> str:
    sexes = ", ".join(f"{n} {sex}" for sex, n in facts["sexes"].items())
    lines = [
        f"{facts['corpus']}: {facts['title']}",
        f"{count(facts['n_utterances'], 'utterance')}, {facts['hours']:.2f} hours, "
        f"{count(facts['n_speakers'], 'speaker')}" + (f" ({sexes})" if sexes else ""),
        f"licence {facts['licence']}, {facts['url']}",
    ]
    if facts["n_unknown_speaker"]:
        lines.append(
            f"{count(facts['n_unknown_speaker'], 'utterance')} of no known speaker"
        )
    if facts["n_variants"]:
        lines.append(
            f"{count(facts['n_variants'], 'variant')} made from them, not described "
            f"here: {_tally(facts['variants'])}"
        )
    return "\n".join(lines)


def _labels(facts: Mapping[str, Any]) -> str:
    published = facts["expected"]["label_counts"]
    speakers = facts["label_by_speaker"].values()
    rows = []
    for label, n in facts["label_counts"].items():
        each = [counts[label] for counts in speakers]
        low, high = (min(each), max(each)) if each else (0, 0)
        per_speaker = str(low) if low == high else f"{low} to {high}"
        rows.append([label or "(no label)", n, published.get(label, ""), per_speaker])
    return table(["label", "utterances", "published", "per speaker"], rows)


def _audio(facts: Mapping[str, Any]) -> str:
    duration = facts["duration"]
    parts = [
        f"{k} {duration[k]:.2f}"
        for k in ("min", "median", "mean", "p95", "max")
        if duration[k] is not None
    ]
    lines = [
        f"duration in s: {', '.join(parts) or 'not known'}",
        f"sampling rates in Hz: {_tally(facts['sampling_rates'])}",
        f"channels: {_tally(facts['channels'])}",
    ]
    for name, what in (
        ("clipping", "samples at full scale"),
        ("silence", "frames below -60 dBFS"),
    ):
        share = facts[name]
        line = f"{name}: {count(share['n_above_zero'], 'utterance')} with {what}"
        if share["worst"]:
            worst = [f"{i} ({100 * v:.2g} %)" for i, v in share["worst"][:3]]
            line += f"; most: {', '.join(worst)}"
        lines.append(line)
    return "\n".join(lines)


def _tally(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{value} ({n})" for value, n in numbers.items()) or "not known"


def _named(title: str, items: list[str], noun: str = "") -> Iterator[str]:
    if items:
        n = count(len(items), noun) if noun else str(len(items))
        shown = [f"  {item}" for item in items[:N_SHOWN]]
        more = len(items) - N_SHOWN
        if more > 0:
            shown.append(f"  and {more} more")
        yield "\n".join([f"{title}: {n}", *shown])


def near_text(near: Mapping[str, Any]) -> str:
    """Write the near-duplicates of some corpora, those told differently first."""
    groups = near["groups"]
    lines = [
        f"one recording more than once, in {', '.join(near['among'])}: "
        f"{count(len(groups), 'group')} among {count(near['n_compared'], 'utterance')}"
    ]
    if near["n_not_compared"]:
        lines.append(f"  {near['n_not_compared']} hold too little sound to compare")
    for group in groups[:N_NEAR]:
        differ = "".join(f", {what}s differ" for what in group["disagree"])
        lines.append(f"  agreement {group['score']:.3f}{differ}")
        lines += [f"    {member}" for member in _members(group["members"])]
    if len(groups) > N_NEAR:
        lines.append(f"  and {len(groups) - N_NEAR} more")
    return "\n".join(lines)


def _members(members: Sequence[Sequence[str]]) -> list[str]:
    """Write some members of a group, first those told in unlike ways."""
    seen: set[tuple[str, str]] = set()
    new: list[str] = []
    again: list[str] = []
    for name, label, speaker in members:
        kind = label.casefold(), speaker.rpartition("/")[2].casefold()
        said = f"{name} ({label or 'no label'}, {speaker or 'speaker unknown'})"
        (again if kind in seen else new).append(said)
        seen.add(kind)
    told = [*new, *again]
    more = len(told) - N_MEMBERS
    return told[:N_MEMBERS] + ([f"and {more} more"] if more > 0 else [])

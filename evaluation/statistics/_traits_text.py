"""A paired comparison of traits in words: a table of systems, a sentence per pair."""

import math
from collections.abc import Sequence

from contracts.errors import listing
from contracts.manifest import TRAIT
from contracts.terminal import count, table
from evaluation.statistics._paired_text import p_text
from evaluation.statistics._power import unseen
from evaluation.statistics.paired import UNKNOWN
from evaluation.statistics.paired_traits import TraitComparison
from evaluation.statistics.trait_systems import TraitSystem


def systems_text(systems: Sequence[TraitSystem]) -> str:
    """Lay out the concordance of each system and trait, with its interval."""
    # measures stand on statistics, so they are imported where they are asked for
    from evaluation.measures.traits import trait_scores

    rows = []
    for system in systems:
        truth, who = system.rows, system.rows["speaker"].to_numpy(object)
        for trait, guesses in system.guesses.items():
            for seed, guess in zip(system.seeds, guesses, strict=True):
                one = trait_scores(trait, truth[TRAIT + trait], guess, who)
                sure = _ends(one.interval.low, one.interval.high, "")
                told = [_number(one.concordance), sure or one.interval.note]
                last = [_number(one.spearman), one.n]
                rows.append([system.name, trait, seed, *told, *last])
    heads = ["system", "trait", "seed", "concordance", "95 % interval", "Spearman", "n"]
    return table(heads, rows)


def sentence(pair: TraitComparison) -> str:
    """Say what one pair and trait come to, and on how many utterances."""
    one = pair.interval
    ends = _ends(one.low, one.high, "+")
    scores = " against ".join(map(_number, pair.scores))
    why = f", since {pair.why}" if pair.verdict == UNKNOWN else ""
    return (
        f"{pair.first} against {pair.second}, {pair.trait}: concordance "
        f"{_number(one.value, '+')}{f' {ends}' if ends else ''} ({scores}, over "
        f"{pair.n_utterances:,} of {count(pair.n_annotated, 'annotated utterance')} "
        f"that both predicted){_tested(pair)}: {pair.verdict}{why}"
    )


def _tested(pair: TraitComparison) -> str:
    """Say what swaps of speakers gave; nothing where nothing was tested."""
    test = pair.test
    if math.isnan(test.p):
        return ""
    holm = (
        f"Holm over {pair.family}: {p_text(pair.p_holm)}; " if pair.family > 1 else ""
    )
    how = f"{test.n_draws:,} drawn" if test.n_draws else "all counted"
    speakers = count(pair.interval.n_speakers, "speaker")
    return (
        f", p {p_text(test.p)} ({holm}swaps of {speakers}, {how}, smallest p "
        f"{p_text(test.smallest)})"
    )


def notes(pair: TraitComparison) -> list[str]:
    """Say what else belongs to one pair and trait: power, and why no interval."""
    out = []
    if not math.isnan(pair.visible):
        out.append(
            "smallest true difference seen with 80 % power here: "
            f"{_number(pair.visible)}"
        )
    elif not math.isnan(pair.test.p):
        out.append(unseen(pair.test.smallest * pair.family <= pair.alpha))
    return out + ([pair.interval.note] if pair.interval.note else [])


def title(systems: Sequence[TraitSystem]) -> str:
    """Say what was tested, and which traits are not compared."""
    rows = systems[0].rows
    speakers = count(rows["speaker"].nunique(), "speaker")
    size = f"{count(len(rows), 'utterance')} of {speakers}"
    alone = [
        f"{system.name}: {trait}"
        for system in systems
        for trait in system.guesses
        if not all(trait in other.guesses for other in systems)
    ]
    more = f"\nnot compared, not predicted by all: {listing(alone)}" if alone else ""
    return f"traits, by Lin's concordance: {size}{more}"


def _number(value: float, sign: str = "") -> str:
    """Write a coefficient; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:{sign}.3f}"


def _ends(low: float, high: float, sign: str) -> str:
    if math.isnan(low):
        return ""
    return f"[{low:{sign}.3f}, {high:{sign}.3f}]"

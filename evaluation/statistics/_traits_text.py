"""A paired comparison of traits in words: a table of systems, a sentence per pair."""

import math
from collections.abc import Sequence

from contracts.errors import listing
from contracts.manifest import TRAIT
from contracts.terminal import count, table
from evaluation.statistics._paired_text import p_text
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
                told = [f"{one.concordance:.3f}", sure or one.interval.note]
                last = [f"{one.spearman:.3f}", one.n]
                rows.append([system.name, trait, seed, *told, *last])
    heads = ["system", "trait", "seed", "concordance", "95 % interval", "Spearman", "n"]
    return table(heads, rows)


def sentence(pair: TraitComparison) -> str:
    """Say what one pair and trait come to."""
    one = pair.interval
    ends = _ends(one.low, one.high, "+")
    why = f", since {pair.why}" if pair.verdict == UNKNOWN else ""
    holm = ""
    if pair.family > 1:
        holm = f"Holm over {pair.family}: {p_text(pair.p_holm)}; "
    how = f"{pair.test.n_draws:,} drawn" if pair.test.n_draws else "all counted"
    return (
        f"{pair.first} against {pair.second}, {pair.trait}: concordance "
        f"{one.value:+.3f}{f' {ends}' if ends else ''}, p {p_text(pair.test.p)} "
        f"({holm}swaps of {count(one.n_speakers, 'speaker')}, {how}, smallest p "
        f"{p_text(pair.test.smallest)}): {pair.verdict}{why}"
    )


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


def _ends(low: float, high: float, sign: str) -> str:
    if math.isnan(low):
        return ""
    return f"[{low:{sign}.3f}, {high:{sign}.3f}]"

"""What several commands ask and say: corpora, labels and protocol; the question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.command import cache_option, several
from contracts.errors import EmocacheError, listing
from contracts.terminal import count
from evaluation.labelling.text import label_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import ArgumentParser

    from evaluation.question import Question


def numbers(text: str | None) -> list[int] | None:
    """Read ``0,1,4-6``.

    Raises:
        EmocacheError: if it is not a list of whole numbers
    """
    if text is None:
        return None
    out: list[int] = []
    try:
        for piece in str(text).replace(" ", "").strip("[]").split(","):
            first, _, last = piece.partition("-")
            span = range(int(first), int(last or first) + 1)
            if not span:
                raise ValueError
            out += span
    except ValueError as error:
        msg = f"bad numbers {text!r}: expected a list such as 0,1,4-6"
        raise EmocacheError(msg) from error
    return sorted(set(out))


def corpus_options(parser: ArgumentParser) -> None:
    """Declare which utterances, labels and folds a command is about."""
    several(parser, "--corpus", "NAME", "corpora in the cache; none: the only one")
    parser.add_argument(
        "--labels",
        metavar="MAP",
        help="label map; none: that of the published --protocol, else the corpus' own",
    )
    parser.add_argument("--protocol", metavar="NAME", help="none: the corpus' own")
    parser.add_argument(
        "--drop-duplicates",
        action="store_true",
        help="keep only the first utterance of every waveform, and say so",
    )
    cache_option(parser)


def question_text(
    question: Question,
    summary: str,
    seeds: Sequence[int] = (),
    seeds_taken: bool = False,
) -> str:
    """Say what is asked: corpus, labels merged and dropped, protocol, what is not.

    Args:
        question: what is asked
        summary: of the utterances
        seeds: those that are fitted; none: not told
        seeds_taken: whether nobody asked for them: they are the protocol's
    """
    from evaluation.splits.conformity import conformity, few_speakers

    plan = question.protocol
    lines = [f"{summary}; protocol {plan.name}, {count(len(question.folds), 'fold')}"]
    same = conformity(plan, question.counts["name"], seeds, question.n_utterances)
    lines.append(f"protocol {plan.name}: {same}")
    lines += _taken(question, seeds if seeds_taken else ())
    lines.append(label_text(question.counts))
    lines += few_speakers(question.view.speakers)
    for corpus, (taken, found) in question.limited.items():
        lines.append(f"limited: only {taken} of {found} utterances of {corpus}")
    for corpus, (found, published) in question.incomplete.items():
        lines.append(f"incomplete: {found} of {published} utterances of {corpus}")
    lines += [f"protocol {plan.name} breaks {b}: optimistic" for b in plan.breaks]
    lines += [f"{n} utterances are not used: {why}" for why, n in question.refused]
    lines += [
        f"{n} of {whole} utterances have no variant {what}"
        for what, (n, whole) in question.without_variants.items()
    ]
    lines += question.doubtful
    if lost := question.view.left_out:
        named = listing(f"{i} ({why})" for i, why in lost)
        lines.append(f"{len(lost)} utterances without features are left out: {named}")
    return "\n".join(lines)


def _taken(question: Question, seeds: Sequence[int]) -> list[str]:
    """Say what nobody asked for and so is the protocol's."""
    plan, label_map = question.protocol, question.label_map.name
    own = {str(card.get("label_map")) for card in question.view.cards.values()}
    told = []
    if question.labels_taken and own != {label_map}:
        told.append(f"label map {label_map} (--labels asks for another)")
    if seeds:
        told.append(f"seeds {listing(seeds)} (--seeds asks for others)")
    return [f"taken from protocol {plan.name}: {', '.join(told)}"] if told else []

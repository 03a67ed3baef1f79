"""What others published with a head, so that their row can stand beside ours."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One published number, and what one must know to compare with it.

    A head's module holds a tuple of these as ``PUBLISHED``; empty where nobody
    published the head.

    Attributes:
        source: who, and where: paper, repository or benchmark
        number: what was reported, in words: metric, value, input
        protocol: corpus, classes, which speakers were tested, how many utterances
        flaw: what was wrong with it, or why it cannot be compared; ``""``: nothing
    """

    source: str
    number: str
    protocol: str
    flaw: str = ""

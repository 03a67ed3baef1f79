"""Why a published figure is not ours: what differs, then what was wrong with it.

What a source did is known from ``published_rows``, by the fit that comes nearest to
each figure, and from the words of a head's ``PUBLISHED``.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts import plugins
from contracts.errors import listing
from contracts.published import Published
from evaluation.reproducing import published_rows
from evaluation.settings import written
from evaluation.splits.protocols import PROTOCOLS

Row = Mapping[str, Any]
_FIGURE = re.compile(r"\d*\.\d+|\d+")
# settings that are the input's or the machine's
_ELSEWHERE = ("features", "layers", "seed", "device", "n_jobs")
SAME = "the same speakers in other folds"
_UAR = ("UAR", "UA ", "recall")  # what it is called
_METRICS = {  # that a figure may name beside it: what is said of them
    "accuracy": "accuracy",
    "top-1": "top-1, which is accuracy",
    "concordance": "concordance of a trait",
}


def differences(
    published: Published, row: Row, asked: tuple[str, str, str], place: str
) -> Iterator[str]:
    """Yield what differs, then what was wrong, in a few words each.

    Args:
        published: the figure
        row: ours, as of ``report.results``, with ``encoders``
        asked: corpus, label map and protocol of ours
        place: of the figure, as ``published_rows.Row.entry`` has it
    """
    corpus = asked[0]
    near = [
        one
        for one in published_rows.rows().values()
        if one.entry == place and says(published.number, one)
    ]
    heard_by = [list(one.features) for one in near if not one.cannot]
    if heard_by and list(row["features"]) not in heard_by:
        yield "another input"
    theirs, ours_ = (
        {Path(name).name for name in names}  # of the hub, or of a folder
        for names in ([one.encoder for one in near], row["encoders"])
    )
    if row["untrained"]:
        yield "our encoder is untrained"
    elif theirs - {""} and not theirs >= ours_:
        yield "another encoder"
    if others := _set_otherwise(row, near):
        yield f"theirs has other settings: `{others}`"
    heard, own = published.protocol.lower(), corpus.replace("_", "-").lower()
    if own not in heard:
        yield "another corpus"
    elif "together" in heard:
        yield "another corpus beside it"
    classes, ours = re.search(r"(\d+) classes", heard), round(1 / row["chance"])
    if classes and int(classes[1]) != ours:
        yield f"{classes[1]} classes, ours {ours}"
    if not any(name in published.number for name in _UAR):
        told = (words for name, words in _METRICS.items() if name in published.number)
        yield from (f"{words}, ours is UAR" for words in told)
    if whom := _whom(published, near, row, asked):
        yield whom
    none = "none found"
    flaw = published.flaw or none
    yield flaw.replace(none, "no flaw found", 1) if flaw.startswith(none) else flaw


def _whom(
    published: Published,
    near: Sequence[published_rows.Row],
    row: Row,
    asked: tuple[str, str, str],
) -> str:
    """Say whom others tested, where it is not whom we did."""
    corpus, _, protocol = asked
    others = "other test speakers"
    if "random" in published.protocol:
        return "files parted at random"
    if not near:
        return "" if protocol in published.protocol else others
    alike = [one for one in near if one.corpus == (corpus,)]
    short = any(said.startswith("partial:") for said in row["warnings"])
    ours = tuple(row["folds"]) if short else ()  # none: all
    same = {one.folds for one in alike if one.protocol == protocol}
    if ours in same:
        return ""
    if same:
        (theirs, *_) = sorted(same)
        if theirs and ours:
            return others
        noun = "fold" if len(theirs or ours) == 1 else "folds"
        if theirs:
            return f"theirs is {noun} {listing(theirs)} of ours"
        return f"ours is {noun} {listing(ours)} of theirs"
    if alike and not ours and _tests_all(protocol):
        whole = any(not one.folds and _tests_all(one.protocol) for one in alike)
        return SAME if whole else "some of our test speakers"
    return others


def _tests_all(protocol: str) -> bool:
    """Whether everyone is tested, by what heard none of them."""
    known = PROTOCOLS.get(protocol)
    return known is not None and known.tests_all and not known.breaks


def _set_otherwise(row: Row, near: Sequence[published_rows.Row]) -> str:
    """Write the settings that a published head has and ours has not.

    Where several fits are as near to a figure, those that all of them have.
    """
    usual = defaults(row["model"])
    if not near:
        return ""
    own = usual | dict(row["settings"])
    theirs, *others = [usual | dict(one.settings) for one in near]
    skipped = {*_ELSEWHERE, *(key for one in near for key in one.grid)}
    if theirs.get("max_epochs") == usual.get("max_epochs"):
        skipped.add("max_epochs")  # fewer of ours are told beside its name
    return " ".join(
        f"{key}={written(theirs[key])}"
        for key in own
        if key in theirs
        and key not in skipped
        and plain(own[key]) != plain(theirs[key])
        and all(plain(one[key]) == plain(theirs[key]) for one in others)
    )


def says(number: str, row: published_rows.Row) -> bool:
    """Whether the words of a figure hold the headline of a row: ``75.7``, ``.757``."""
    percent = next(iter(row.figures.values()))
    share = round(percent / 100, 9)
    headline = {percent, share, *map(float, _FIGURE.findall(row.printed)[:1])}
    return not headline.isdisjoint(map(float, _FIGURE.findall(number)))


def defaults(model: str) -> dict[str, Any]:
    """Return the settings that a head has where none are given; none if unknown."""
    if model not in plugins.names("models"):
        return {}  # a head of another checkout
    known = inspect.signature(plugins.load("models", model).Head).parameters
    return {name: one.default for name, one in known.items()}


def plain(value: Any) -> Any:
    """Return a list for a tuple: settings are kept as JSON."""
    return list(value) if isinstance(value, tuple) else value

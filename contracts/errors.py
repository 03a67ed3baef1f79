"""Errors that a person can mend; each message ends with what to do next."""

import difflib
from collections.abc import Iterable


class EmocacheError(Exception):
    """Something the user can mend; shown as one sentence, exit code 2."""


class ManifestError(EmocacheError):
    """Utterances or labels are not what they must be."""


class ExtractionError(EmocacheError):
    """Audio cannot be decoded or a feature cannot be computed."""


class CacheError(EmocacheError):
    """The cache lacks, or cannot give, what is asked of it."""


class PluginError(EmocacheError):
    """A corpus, feature, model, protocol or label map is not to be had by that name."""


class RunError(EmocacheError):
    """A run cannot be made, found or read."""


def did_you_mean(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Ask for the nearest names, as a sentence behind a space; empty if none is near.

    Example:
        >>> did_you_mean(["egmaps"], ["egemaps", "mfcc"])
        " Did you mean 'egemaps'?"
    """
    names = list(known)
    lower = [one.lower().replace("-", "_") for one in unknown]
    near = [m for one in lower for m in difflib.get_close_matches(one, names, n=1)]
    told = " or ".join(repr(name) for name in dict.fromkeys(near))
    return f" Did you mean {told}?" if told else ""


def listing(items: Iterable[object], limit: int = 10) -> str:
    """Join up to ``limit`` items by commas, then say how many more there are.

    Example:
        >>> listing(["a", "b", "c"], limit=2)
        'a, b and 1 more'
    """
    shown = [str(item) for item in items]
    if len(shown) <= limit:
        return ", ".join(shown)
    return f"{', '.join(shown[:limit])} and {len(shown) - limit} more"

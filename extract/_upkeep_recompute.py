"""Compute utterances again, each alone, and compare with what the cache holds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contracts import plugins
from contracts.cache import Cache, FeatureStore
from contracts.errors import CacheError, ExtractionError
from contracts.extraction import Extractor, Options
from contracts.feature import Block, FeatureSpec
from contracts.terminal import count, progress
from extract import _plan
from extract._listening import hear
from extract._plan import Item

# what batching may change, beyond the rounding of the stored dtype
L2, LARGEST = 1e-5, 1e-3
_DIGITS = {"float16": (10, -14), "float32": (23, -126)}  # of a number; least exponent
# what matrix products in less than float32 change: gross errors stand out all the same
_REDUCED = {"float16": (0.05, 1.0), "bfloat16": (0.2, 4.0)}
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Deviation:
    """The largest deviation of stored numbers from those computed alone.

    Attributes:
        n: utterances compared
        l2: relative L2 of the worst layer of the worst utterance
        l2_layer: which layer that is
        largest: largest error, as a share of its layer's root mean square
        largest_layer: which layer that is
        own_l2: what half a step of the stored dtype makes in that layer at most
        own_largest: likewise, of the largest error
        reduced: what it was computed in, if not in float32: compared all the same
    """

    n: int = 0
    l2: float = 0.0
    l2_layer: int = 0
    largest: float = 0.0
    largest_layer: int = 0
    own_l2: float = 0.0
    own_largest: float = 0.0
    reduced: str = ""

    @property
    def is_explained(self) -> bool:
        """Whether rounding and batching explain it."""
        l2, largest = _REDUCED.get(self.reduced, (L2, LARGEST))
        return (
            self.l2 <= self.own_l2 + l2 and self.largest <= self.own_largest + largest
        )

    def text(self, spec: FeatureSpec) -> str:
        """Say it in one line."""
        dtype = spec.dtype if spec.keeps_frames else "float32"
        where = (f" (layer {self.l2_layer})", f" (layer {self.largest_layer})")
        first, second = ("", "") if spec.is_table else where
        return (
            f"{count(self.n, 'utterance')} computed again alone: largest deviation "
            f"{self.l2:.1e} relative L2{first}, {self.largest:.1e} of the RMS{second}; "
            f"{dtype} itself rounds by up to {self.own_l2:.1e} and "
            f"{self.own_largest:.1e}"
            + (f"; made in {self.reduced}, compared with float32" * bool(self.reduced))
            + ("" if self.is_explained else ": more than rounding explains")
        )


def options_of(spec: FeatureSpec, device: str) -> Options:
    """Return the options by which a feature was made."""
    made = spec.provenance
    return Options(
        made.get("folder") or made.get("encoder") or None,
        made.get("revision") or None,
        spec.layers or None,
        spec.dtype,
        device,
        spec.keeps,
        spec.settings.get("precision", "float32"),
    )


def made_again(spec: FeatureSpec, device: str) -> Extractor:
    """Make the extractor that a feature came from.

    Raises:
        CacheError: if it would give other numbers; the message says what differs
        ExtractionError: if its encoder cannot be had
        PluginError: if there is no such feature any more
    """
    extractor: Extractor = plugins.load("features", spec.name).load(
        options_of(spec, device)
    )
    if extractor.spec.fingerprint != spec.fingerprint:
        changed = "; ".join(differences(spec, extractor.spec))
        msg = (
            f"{spec.short} cannot be computed again: here it would be "
            f"{extractor.spec.short} ({changed}). Use the program, encoder and "
            "libraries that made it"
        )
        raise CacheError(msg)
    return extractor


def differences(stored: FeatureSpec, now: FeatureSpec) -> list[str]:
    """Say which settings two ways of making a feature differ in, one phrase each."""
    one, two = _flat(asdict(stored)), _flat(asdict(now))
    return [
        f"{name}: {_brief(one.get(name))} stored, {_brief(two.get(name))} now"
        for name in sorted(one.keys() | two.keys())
        if one.get(name) != two.get(name) and not name.startswith("provenance")
    ]


def _flat(facts: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(facts, dict):
        return {prefix: list(facts) if isinstance(facts, tuple) else facts}
    out: dict[str, Any] = {}
    for name, value in facts.items():
        out |= _flat(value, f"{prefix}.{name}".removeprefix(".settings").lstrip("."))
    return out


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def recompute(
    cache: Cache,
    store: FeatureStore,
    k: int,
    seed: int,
    device: str,
    corpora: Sequence[str] = (),
) -> tuple[Deviation, list[str]]:
    """Compute ``k`` random utterances of a feature again and compare.

    Args:
        cache: that holds it
        store: the feature
        k: utterances
        seed: of the draw
        device: to compute on
        corpora: to draw from; none: all

    Returns:
        the largest deviation, and why utterances could not be computed again

    Raises:
        CacheError: if the extractor cannot be had as it was
    """
    frames = [cache.manifest(corpus).rows for corpus in corpora or cache.corpora]
    known = _plan.items(pd.concat(frames)) if frames else []
    there = [item for item in known if item.key in store.places]
    if not there:
        return Deviation(), []
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(there), min(k, len(there)), replace=False)
    extractor = made_again(store.spec, device)
    worst, problems = Deviation(), []
    with progress(f"{store.spec.name} alone", len(chosen), "utterances") as advance:
        for i in sorted(chosen):
            stored, dtype = _stored(store, there[i].key)
            try:
                now = _alone(extractor, _heard(there[i]))
                worst = _compare(worst, store.spec, stored, dtype, now)
            except CacheError as error:
                problems.append(f"not computed again: {error}")
            else:
                worst = replace(worst, n=worst.n + 1)
            advance(1)
    return replace(worst, reduced=store.spec.settings.get("precision", "")), problems


def _heard(item: Item) -> NDArray[np.float32]:
    """Listen to an utterance of the manifest."""
    try:
        return hear(item)
    except ExtractionError as error:
        msg = f"{item.id} cannot be computed again: {error}"
        raise CacheError(msg) from error


def _stored(store: FeatureStore, key: str) -> tuple[Numbers, str]:
    """Return stored numbers ``(layer, row, channel)`` and their dtype."""
    spec = store.spec
    if spec.is_table:
        return store.table([key])[None].astype(np.float64), "float32"
    if not spec.keeps_frames:
        return store.pooled([key], spec.layers)[0].astype(np.float64), "float32"
    frames = store.frames(key, spec.layers).transpose(0, 2, 1)
    return frames.astype(np.float64), spec.dtype


def _alone(extractor: Extractor, waveform: NDArray[np.float32]) -> Numbers:
    """Compute one waveform, ``(layer, row, channel)`` as ``_stored`` gives it."""
    alone = getattr(extractor, "alone", None)
    result = alone(waveform) if alone else extractor([waveform])[0]
    if isinstance(result, ExtractionError):
        msg = f"{extractor.spec.short} is stored, but fails now: {result}"
        raise CacheError(msg) from result
    if isinstance(result, Block):
        if not (extractor.spec.keeps_frames or extractor.spec.is_table):
            return np.asarray(result.pooled, np.float64)
        values = np.asarray(result.values, np.float64)
        return values if result.scale is None else values * result.scale[:, None, None]
    values = np.asarray(result, np.float64)
    if extractor.spec.is_table:
        return values.reshape(1, 1, -1)
    if not extractor.spec.keeps_frames:
        return np.stack([values.mean(axis=1), values.std(axis=1)], axis=1)
    return values


def _compare(
    worst: Deviation, spec: FeatureSpec, stored: Numbers, dtype: str, now: Numbers
) -> Deviation:
    """Return the worse of what was known and of one more utterance."""
    if stored.shape != now.shape:
        msg = f"{spec.short}: expected the shape {now.shape}, got {stored.shape} stored"
        raise CacheError(msg)
    numbers: Sequence[int] = spec.layers or (0,)
    for layer, old, new in zip(numbers, stored, now, strict=True):
        if (np.isfinite(old) != np.isfinite(new)).any():
            return replace(worst, l2=np.inf, largest=np.inf)
        error = np.nan_to_num(old - new)
        old = np.nan_to_num(old)
        if not old.size:
            continue
        rms = float(np.sqrt(np.mean(np.nan_to_num(new) ** 2))) or 1.0
        half = _half_step(old, dtype)
        l2 = float(np.sqrt(np.mean(error**2))) / rms
        largest = float(np.abs(error).max()) / rms
        if l2 >= worst.l2:
            own = float(np.sqrt(np.mean(half**2))) / rms
            worst = replace(worst, l2=l2, l2_layer=layer, own_l2=own)
        if largest >= worst.largest:
            own = float(half.max()) / rms
            worst = replace(
                worst, largest=largest, largest_layer=layer, own_largest=own
            )
    return worst


def _half_step(values: Numbers, dtype: str) -> Numbers:
    """Return how far a stored dtype may be off at each value, scaled layers too."""
    digits, least = _DIGITS[dtype]
    exponents = np.frexp(values)[1] - 1
    return np.exp2(np.maximum(exponents, least) - digits - 1.0)

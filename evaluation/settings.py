"""What a person asks of heads: ``--set key=value``, checked against every head."""

import ast
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from contracts import plugins
from contracts.errors import CacheError, PluginError, RunError, listing
from contracts.view import View

RESERVED = ("seed", "features")  # have options of their own


def parse(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` pairs; values are Python literals, anything else is text.

    Raises:
        PluginError: if a pair has no ``=``, or a key comes twice
    """
    bad = [p for p in pairs if "=" not in p or not p.partition("=")[0]]
    if bad:
        msg = f"bad --set {listing(bad)}: expected key=value, such as n_estimators=500"
        raise PluginError(msg)
    refuse_twice([pair.partition("=")[0] for pair in pairs], "--set")
    out = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        out[key] = value(text)
    return out


def refuse_twice(keys: Sequence[str], option: str) -> None:
    """Refuse settings that are said more than once.

    Raises:
        PluginError: naming all of them
    """
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        msg = f"{option} says {listing(twice)} more than once: say each once"
        raise PluginError(msg)


def value(text: str) -> Any:
    """Read one value: a Python literal, else text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def written(told: Any) -> str:
    """Write a value as ``value`` reads it."""
    return "none" if told is None else str(told).replace(" ", "")


def head_class(model: str) -> Any:
    """Import a head's class."""
    return plugins.load("models", model).Head


def heads(
    models: Sequence[str], settings: Mapping[str, Any], features: Sequence[str] | None
) -> dict[str, Any]:
    """Make one unfitted head per model with the settings that concern it.

    Args:
        models: names of heads
        settings: ``key`` goes to every head that has it, ``model.key`` to one
        features: inputs for all of them; None: each head's own

    Raises:
        PluginError: if a setting concerns no head
    """
    plugins.check("models", models)
    classes = {model: head_class(model) for model in models}
    given = share(classes, settings)
    refuse_types(classes, given)
    if features:
        for model in models:
            if classes[model].features:  # prior hears nothing, whatever is given
                given[model]["features"] = tuple(features)
    return {model: classes[model](**given[model]) for model in models}


def share(
    classes: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Give each head the settings that concern it.

    Args:
        classes: name of a head -> its class
        settings: ``key`` goes to every head that has it, ``model.key`` to one

    Raises:
        PluginError: if a setting concerns no head
    """
    has = {m: _parameters(c) for m, c in classes.items()}
    given: dict[str, dict[str, Any]] = {model: {} for model in classes}
    unknown = []
    for name, told in settings.items():
        only, _, key = name.rpartition(".")
        takers = [m for m in classes if key in has[m] and only in ("", m)]
        if not takers or key in RESERVED:
            unknown.append(name)
        for model in takers:
            given[model][key] = told
    if unknown:
        known = "; ".join(
            f"{m}: {listing(k for k in has[m] if k not in RESERVED) or 'no settings'}"
            for m in classes
        )
        msg = f"unknown settings {listing(unknown)}, expected some of {known}"
        raise PluginError(msg)
    return given


def refuse_types(
    classes: Mapping[str, Any], given: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse values of a kind that a head does not take, before anything is fitted."""
    bad = []
    for model, values in given.items():
        known = inspect.signature(classes[model]).parameters
        hints = _hints(classes[model])
        for key, told in values.items():
            if not _fits(told, hints.get(key, Any)):
                like = repr(known[key].default)
                if known[key].default is None:  # tells nothing: say the kind
                    like = str(known[key].annotation).replace(" | None", "")
                bad.append(f"{model}.{key}: a value such as {like}, got {told!r}")
    if bad:
        msg = f"bad settings, expected {listing(bad)}"
        raise PluginError(msg)


def _hints(head: Any) -> dict[str, Any]:
    """Return the kinds of a head's settings, whether a dataclass or not."""
    if is_dataclass(head):
        return get_type_hints(head)
    return get_type_hints(head.__init__)


def _fits(told: Any, hint: Any) -> bool:
    """Whether a value is of an annotated kind; a whole number is a number."""
    origin = get_origin(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(told, one) for one in get_args(hint))
    if origin is Literal:
        return told in get_args(hint)
    if hint is None or hint is type(None):
        return told is None
    if isinstance(told, bool):
        return hint is bool
    if hint is float:
        return isinstance(told, int | float)
    kind = origin or hint
    if kind is Sequence and isinstance(told, str):
        return False
    return isinstance(told, kind) if isinstance(kind, type) else True


def _parameters(head: Any) -> list[str]:
    return [name for name in inspect.signature(head).parameters if name != "self"]


def refuse_unfit(heads: Mapping[str, Any], views: Mapping[str, View]) -> None:
    """Refuse heads that their settings or features do not suit, before any is fitted.

    Raises:
        RunError: naming each head and why
    """
    if bad := _refused(
        (name, getattr(head, "refuse_options", list)) for name, head in heads.items()
    ):
        msg = (
            f"{len(bad)} of {len(heads)} heads cannot be fitted with these settings: "
            f"{'; '.join(bad)}. --set MODEL.KEY=VALUE gives one to a head alone"
        )
        raise RunError(msg)
    if bad := _refused(
        (name, partial(head.measure, views[name]))
        for name, head in heads.items()
        if hasattr(head, "measure")
    ):
        msg = (
            f"{len(bad)} of {len(heads)} heads cannot use these features: "
            f"{'; '.join(bad)}. Leave --feature out, which gives each head its own, or "
            "fit them apart"
        )
        raise RunError(msg)


def _refused(asked: Iterable[tuple[str, Callable[[], Any]]]) -> list[str]:
    """Return what is refused, with the name of its head before it."""
    bad = []
    for name, ask in asked:
        try:
            ask()
        except (CacheError, RunError) as error:
            bad.append(f"{name}: {error}")
    return bad


def needs_dev(head: Any) -> bool:
    """Whether a head cannot be fitted without development speakers."""
    return bool(getattr(head, "needs_dev", False))

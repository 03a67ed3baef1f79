"""The command ``layers``: what each layer of an encoder is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.command import Command, cache_option, runs_option, several
from contracts.errors import listing
from contracts.terminal import say, table

if TYPE_CHECKING:
    from argparse import Namespace

    from jsonargparse import ArgumentParser

    from evaluation.layer_study import LayerStudy


def _arguments(parser: ArgumentParser) -> None:
    several(parser, "--corpus", "NAME", "corpora in the cache; none: the only one")
    parser.add_argument(
        "--feature", metavar="NAME", default="wav2vec2", help="a feature with layers"
    )
    parser.add_argument(
        "--encoder", metavar="NAME", help="which encoder, where the cache has several"
    )
    parser.add_argument("--layers", metavar="0,4-8", help="only these; none: all")
    parser.add_argument(
        "--labels", metavar="MAP", help="label map; none: the corpus' own"
    )
    parser.add_argument("--protocol", metavar="NAME", help="none: the corpus' own")
    several(parser, "--set", "KEY=VALUE", "settings of layer_probe, such as strengths")
    parser.add_argument("--rerun", action="store_true", help="fit finished runs again")
    cache_option(parser)
    runs_option(parser)


def layers(chosen: Namespace) -> int:
    """Fit one linear model per layer and say what each is worth."""
    from contracts.cache import Cache
    from contracts.run import find_runs
    from evaluation import layer_study, settings
    from evaluation.asking import numbers, question_text
    from evaluation.question import ask, choose_corpora

    wanted = numbers(chosen.layers)
    given = settings.parse(chosen.set or [])
    settings.heads([layer_study.HEAD], given, [chosen.feature])  # refuse early
    cache = Cache(chosen.cache)
    view = cache.view(*choose_corpora(cache, chosen.corpus), encoder=chosen.encoder)
    question = ask(view.require([chosen.feature]), chosen.labels, chosen.protocol)
    say(question_text(question, view.summary()))
    runs = layer_study.fit_layers(
        *(question, chosen.feature, chosen.runs, wanted, given, chosen.rerun)
    )
    others = find_runs(chosen.runs)[0]
    by_layer = {layer_study.single_layer(run): run for run in runs}
    say(
        text(
            layer_study.study(
                {k: r for k, r in by_layer.items() if k is not None}, others
            )
        )
    )
    return 0


def text(study: LayerStudy) -> str:
    """Lay out a study for the terminal."""
    from evaluation.statistics._paired_text import points

    weights = study.weights
    heads = ["layer", "UAR %", "95 % interval", "training speakers %", "taken in folds"]
    rows = []
    for i, layer in enumerate(study.layers):
        one = study.uar[i]
        span = "" if one.low != one.low else f"[{points(one.low)}, {points(one.high)}]"
        taken = [fold for fold, n in study.chosen.items() if n == layer]
        inner = points(float(study.inner[:, i].mean()))
        row = [layer, points(one.value), span, inner, listing(taken)]
        rows.append([*row, *(_weight(w, layer) for w in weights)])
    named = [f"weight in {w.name}" for w in weights]
    lines = [table([*heads, *named], rows)]
    one = study.nested
    span = "" if one.low != one.low else f" [{points(one.low)}, {points(one.high)}]"
    if len(study.layers) > 1:
        how = "better" if study.flattery >= 0 else "worse"
        lines.append(
            "layer chosen in each fold on its training speakers: UAR "
            f"{points(one.value)} %{span}; layer {study.best_on_test}, best on the "
            f"test speakers, would look {points(abs(study.flattery))} points {how}"
        )
    if one.note:
        lines.append(one.note)
    lines += [f"[{warning}]" for warning in study.warnings]
    return "\n".join(lines)


def _weight(weights: object, layer: int) -> str:
    from evaluation.learnt_weights import Weights

    if not isinstance(weights, Weights) or layer not in weights.layers:
        return ""
    return f"{weights.weights[:, weights.layers.index(layer)].mean():.3f}"


LAYERS = Command(
    "layers",
    "Study the layers of an encoder: one linear model each, from one extraction.",
    ("python pipeline.py layers --corpus ravdess --feature wav2vec2",),
    _arguments,
    layers,
)

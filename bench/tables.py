r"""Heads over tables, folds x seeds, against plain scikit-learn in a loop.

Drawn tables of the size of RAVDESS: 1440 utterances of 24 speakers, 8 labels, 88
functionals and 13 layers of 768 channels; five folds of speakers, five seeds. Ours is
what ``fit`` does without reading and writing runs: ``evaluation._fits`` over the same
jobs. The loop fits and predicts every fold and seed one after the other with
scikit-learn's own classes, calibrated and chosen in like manner, libraries taking the
threads they take by themselves. Ours gains by processes, and by one fit for all seeds
where nothing is drawn; the loop repeats those as scripts do. Forest, boosted trees and
the linear model come out equal; ``svm`` makes probabilities of margins in another way,
and ``layer_probe`` compares layers by models that are not fitted to the last digit.

The same on a real corpus, with what is read and written, after ``extract``::

    python pipeline.py fit --corpus ravdess --protocol ravdess-luna5 --seeds 0-4 \
        --model random_forest logistic_regression svm xgb
    python pipeline.py fit --corpus ravdess --protocol ravdess-luna5 \
        --model layer_probe
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench._machine import Watch, facts
from bench._timing import Contender, Result, alternate, amounts, table
from bench.baselines import sklearn_loop
from contracts.cache import Cache
from contracts.feature import Block, FeatureSpec
from contracts.job import Job
from contracts.labels import LabelMap
from contracts.manifest import Corpus, Manifest, card, complete
from contracts.terminal import count
from contracts.view import View
from evaluation import _fits
from evaluation.settings import head_class

LABELS = tuple(f"emotion {i}" for i in range(8))
CORPUS = Corpus("Drawn tables", "en", LABELS, "none", "none", "none")
HEADS = ("random_forest", "logistic_regression", "svm", "xgb", "layer_probe")
N_FOLDS = 5
OURS, LOOP = "{} of this project", "{} in a loop of scikit-learn"
ONE_FIT = ("layer_probe",)  # of one seed, and timed once: nothing in it is drawn
Told = dict[tuple[int, int], Any]  # seed and fold -> (utterance, class)


def run(
    rounds: int = 7,
    n_speakers: int = 24,
    takes: int = 60,
    seeds: int = 5,
    n_layers: int = 13,
    width: int = 768,
    heads: tuple[str, ...] = HEADS,
) -> Result:
    """Measure.

    Args:
        rounds: alternations; of ``layer_probe`` one
        n_speakers: of the corpus
        takes: utterances of each
        seeds: how many
        n_layers: hidden states
        width: channels of each
        heads: which
    """
    tables = []
    with drawn(n_speakers, takes, n_layers, width) as view, Watch() as watch:
        for name in heads:
            n = 1 if name in ONE_FIT else seeds
            work = [
                Contender(OURS.format(name), partial(ours, view, name, n), 1.0),
                Contender(LOOP.format(name), partial(loop, view, name, n), 1.0),
            ]
            taken = alternate(work, 1 if name in ONE_FIT else rounds)
            title = f"{name}: {N_FOLDS} folds x {count(n, 'seed')}"
            tables.append(table(title, "runs/s", taken, amounts(work), work[0].name))
        told = {"utterances": len(view), "layers": f"{n_layers} x {width}"}
    told |= facts("scikit-learn", "xgboost-cpu") | watch.facts()
    return Result(tables, [_together(heads, tables)], told)


def _together(heads: Sequence[str], tables: Sequence[Mapping[str, Any]]) -> str:
    """Say what all folds and seeds take, head by head and in all."""
    seconds = [one["rows"][0]["time"] for one in tables]
    each = [f"{name} {s:.1f} s" for name, s in zip(heads, seconds, strict=True)]
    return f"Ours, all folds and seeds: {', '.join(each)}; together {sum(seconds):.1f}"


def ours(view: View, name: str, n_seeds: int) -> Told:
    """Fit and predict every fold and seed as ``fit`` does."""
    made = head_class(name)
    jobs = []
    for seed in range(n_seeds):
        for fold, (train, test) in enumerate(folds(view)):
            head = made()
            if "seed" in head.get_params(deep=False):
                head.set_params(seed=seed)
            jobs.append(Job(head, view.take(train), None, view.take(test), fold, seed))
    return {
        (job.seed, job.fold): fitted.predict_proba(job.test)
        for job, fitted, _ in _fits.fits(made(), jobs)
    }


def loop(view: View, name: str, n_seeds: int) -> Told:
    """Do the same with scikit-learn alone."""
    call: Callable[..., Any] = getattr(sklearn_loop, name)
    y, speakers = view.y, view.speakers
    if name == "layer_probe":
        read = view.pooled("wav2vec2", view.spec("wav2vec2").layers)[:, :, 0]
    else:
        read = view.table("egemaps")
    return {
        (seed, fold): call(read[train], y[train], speakers[train], read[test], seed)
        for seed in range(n_seeds)
        for fold, (train, test) in enumerate(folds(view))
    }


def folds(view: View) -> Iterator[tuple[Any, Any]]:
    """Part utterances by speaker."""
    number = pd.factorize(view.speakers)[0] % N_FOLDS
    for fold in range(N_FOLDS):
        yield np.flatnonzero(number != fold), np.flatnonzero(number == fold)


@contextmanager
def drawn(n_speakers: int, takes: int, n_layers: int, width: int) -> Iterator[View]:
    """Write a cache of drawn numbers, which goes when this ends."""
    rng = np.random.default_rng(0)
    names = [f"{s:02d}/{t:02d}" for s in range(n_speakers) for t in range(takes)]
    label = [i % len(LABELS) for i in range(len(names))]
    frame = pd.DataFrame(
        {
            "id": [f"drawn/{n}" for n in names],
            "corpus": "drawn",
            "path": names,
            "waveform": [hashlib.sha256(n.encode()).hexdigest() for n in names],
            "speaker": [f"drawn/{n[:2]}" for n in names],
            "label": [LABELS[k] for k in label],
            "duration": 1.0,
            "sampling_rate": 16_000,
            "channels": 1,
            "clipping": 0.0,
            "silence": 0.0,
        }
    )
    egemaps = FeatureSpec("egemaps", {"drawn": 1}, tuple(map(str, range(88))))
    layers = tuple(range(n_layers))
    states = FeatureSpec("wav2vec2", {"drawn": 1}, width, layers, frame_shift=0.02)
    rows, pooled = {}, {}
    for key, k in zip(frame["waveform"], label, strict=True):
        row = rng.standard_normal(88).astype(np.float32)
        row[k::8] += 0.5
        rows[key] = Block(row)
        means = rng.standard_normal((n_layers, 2, width)).astype(np.float32)
        means[:, 0, k::8] += 0.15
        pooled[key] = Block(np.zeros((n_layers, 1, width), np.float32), means)
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        with cache.lock():
            told = card(CORPUS, plugin="drawn", root="nowhere")
            cache.put_manifest(Manifest("drawn", complete(frame), told))
            cache.store(egemaps).commit(rows, {}, "cpu")
            cache.store(states).commit(pooled, {}, "cpu")
        whole = Cache(Path(folder)).view("drawn")
        yield whole.relabel(LabelMap("drawn", "as they are", LABELS))

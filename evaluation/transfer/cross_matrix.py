"""The cross-corpus matrix: what was learnt from some corpora is worth on each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from contracts.run import Run
from evaluation.measures.metrics import answered
from evaluation.splits.parting import in_order
from evaluation.statistics.uncertainty import Interval, interval, speaker_confusions
from evaluation.transfer.elsewhere import KIND


@dataclass(frozen=True)
class Cell:
    """What a head that was trained on some corpora is worth on one.

    Attributes:
        train: corpora trained on, joined by ``+``
        test: corpus tested
        uar: with its interval over test speakers
        n: test utterances
        run: name of the run
        warnings: what must be said beside the number
    """

    train: str
    test: str
    uar: Interval
    n: int
    run: str
    warnings: tuple[str, ...] = ()

    @property
    def is_within(self) -> bool:
        """Whether other speakers of the test corpus were trained on."""
        return self.test in self.train.split("+")


@dataclass(frozen=True)
class Matrix:
    """The cells of one head, on the same features and labels.

    Attributes:
        model: name of the head
        features: as they were asked for
        labels: name of the label map
        classes: its labels
        seed: of the runs
        cells: by train, then test; of several runs for one place all of them
    """

    model: str
    features: tuple[str, ...]
    labels: str
    classes: tuple[str, ...]
    seed: int
    cells: tuple[Cell, ...]

    @property
    def trains(self) -> list[str]:
        """What was trained on, in order."""
        return in_order(cell.train for cell in self.cells)

    @property
    def tests(self) -> list[str]:
        """What was tested on, in order."""
        return in_order(cell.test for cell in self.cells)

    def at(self, train: str, test: str) -> list[Cell]:
        """Return the cells of one place; none where nothing was run."""
        return [c for c in self.cells if (c.train, c.test) == (train, test)]


def matrix(runs: Iterable[Run]) -> list[Matrix]:
    """Gather what runs say of corpora they were and were not trained on.

    Any finished run has its place: one under a corpus' own protocol stands on the
    diagonal, one of ``fit --train-corpus`` or of ``evaluate`` beside it.

    Args:
        runs: in any order

    Returns:
        one matrix for each head, features, settings, label map and seed
    """
    found: dict[str, list[tuple[Run, list[Cell]]]] = {}
    for run in runs:
        found.setdefault(_key(run), []).append((run, list(cells(run))))
    out = []
    for pairs in found.values():
        first = pairs[0][0]
        every = [cell for _, own in pairs for cell in own]
        every.sort(key=lambda c: (c.train, c.test, c.run))
        record = first.record
        out.append(
            Matrix(
                str(record["model"]),
                tuple(str(f.get("reference", f["name"])) for f in record["features"]),
                str(record["labels"]["name"]),
                first.classes,
                int(record["seed"]),
                tuple(every),
            )
        )
    return out


def _key(run: Run) -> str:
    """Return what the runs of one matrix share."""
    record = run.record
    facts = (
        record["model"],
        sorted((k, str(v)) for k, v in record["settings"].items()),
        [f["fingerprint"] for f in record["features"]],
        record["labels"]["name"],
        run.classes,
        record["seed"],
        bool(record.get("search")),
        bool(record.get("temperature")),
        bool(record.get("threshold")),
    )
    return repr(facts)


def trained_on(run: Run) -> list[str]:
    """Return the corpora that a run's models were trained on, in order."""
    if KIND in run.record:
        return in_order(run.record[KIND]["corpus"].split("+"))
    speakers = [s for f in run.record["folds"] for s in f["train_speakers"]]
    return in_order(str(s).partition("/")[0] for s in speakers if s)


def cells(run: Run) -> Iterator[Cell]:
    """Yield one cell per corpus that a run was tested on."""
    rows = answered(run)
    rows = rows[rows["variant"] == ""]
    train = "+".join(trained_on(run))
    for test in in_order(rows["corpus"]):
        if not train:
            continue
        own = rows[rows["corpus"] == test]
        truth, guess, who = (own[c].to_numpy() for c in ("truth", "guess", "speaker"))
        names, counts = speaker_confusions(truth, guess, who, len(run.classes))
        told = interval(counts, speakers=names)
        yield Cell(train, test, told, len(own), run.run_id, tuple(run.warnings))

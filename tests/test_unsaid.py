"""Utterances without probabilities: counted, and said wherever a score stands."""

from pathlib import Path

import numpy as np
import pandas as pd

from contracts.run import Run
from evaluation._fit_text import result_text
from evaluation.measures.unsaid import n_unsaid, unsaid
from report.page import write_page
from report.results import results, results_table
from tests.runs import make_run

WARNING = "no probabilities for 8 of 64 labelled test utterances: not scored"


def damaged(runs: Path, n: int, columns: str = "p:calm") -> Run:
    """Return a run of 64 utterances, ``n`` without probabilities of some labels."""
    run = make_run(runs, n_folds=1, n_speakers=4, per_label=2)
    path = run.fold_folder(0) / "predictions.parquet"
    rows = pd.read_parquet(path)
    rows.loc[: n - 1, [c for c in rows if c.startswith(columns)]] = np.nan
    rows.to_parquet(path, index=False)
    return Run(run.folder, run.record)


def test_they_are_counted(tmp_path: Path) -> None:
    run = damaged(tmp_path, 8)
    rows = run.predictions
    rows.loc[0, "label"] = ""
    rows.loc[1, "variant"] = "degrade:noise#0"

    assert n_unsaid(run) == 6
    assert unsaid(run) == [
        "no probabilities for 6 of 62 labelled test utterances: not scored"
    ]


def test_a_whole_run_has_none_and_one_of_traits_was_asked_for_none(
    tmp_path: Path,
) -> None:
    assert unsaid(make_run(tmp_path / "whole", n_folds=1, n_speakers=4)) == []
    run = damaged(tmp_path, 64, "p:")
    assert (n_unsaid(run), unsaid(run)) == (0, [])


def test_the_page_and_the_terminal_say_it(tmp_path: Path) -> None:
    run = damaged(tmp_path, 8)

    page = write_page([run], [], [], tmp_path / "page.html").read_text(encoding="utf-8")
    section = page[page.index('<details class="card run"') :]

    assert f'<span class="badge">{WARNING}</span>' in section
    assert "<dd>64<small>8 not scored</small></dd>" in section
    assert f"56 utterances [{WARNING}]" in result_text(run)
    assert WARNING in results_table(results([run]))

"""Joint fits on a device that is not the CPU: all of it there, the same numbers."""

from typing import Any

import numpy as np
import pytest
import torch

from contracts.job import Job
from contracts.view import View
from models import _joint_reader, _joint_work, pepino
from models._joint import Fitted
from models._joint_reader import ON_GPU
from models._joint_stream import Share
from tests.elsewhere import CPU, GPU, Pretended, count_reads, pretended
from tests.test_joint import apart, fit, many, task_of, view

__all__ = ["pretended", "view"]

SOME = slice(0, 8)  # which differ in normalisation, dropout, targets, batches, ends


@pytest.fixture(scope="module")
def one_by_one(view: View) -> list[Fitted]:
    return [fit([task])[0] for task in many(view)[SOME]]


@pytest.mark.parametrize("is_kept", [True, False])
def test_fits_there_equal_fits_here(
    view: View,
    one_by_one: list[Fitted],
    pretended: Pretended,
    monkeypatch: pytest.MonkeyPatch,
    is_kept: bool,
) -> None:
    if not is_kept:
        monkeypatch.setattr(_joint_reader, "resident", lambda *_: None)

    together = fit(many(view)[SOME], n_threads=None, device=GPU)

    for one, alone in zip(together, one_by_one, strict=True):
        assert apart(one, alone) < 1e-12
        assert {value.device for value in one.state.values()} == {CPU}


@pytest.mark.parametrize("which", [0, 2, 4])
def test_one_alone_there_equals_the_same_here(
    view: View, one_by_one: list[Fitted], pretended: Pretended, which: int
) -> None:
    (alone,) = fit([many(view)[which]], n_threads=None, device=GPU)

    assert apart(alone, one_by_one[which]) < 1e-12


def test_what_is_kept_is_read_once(
    view: View, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = count_reads(monkeypatch)
    tasks = [task_of(view, fold) for fold in range(3)]
    fit(tasks, n_threads=None, device=GPU)

    heard = {name for t in tasks for part in (t.train, t.dev) for name in part.ids}
    assert set(read) == heard
    assert set(read.values()) == {1}


def test_what_is_kept_is_heard_a_batch_at_a_time(
    view: View, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[int, int, int]] = []

    def hear(mixer: Any, reader: Any, heard: Any, share: Share) -> None:
        if share.learnt:
            runs = heard.runs(share.chosen)
            found.append((len(share.models), len(share.chosen), len(runs)))
        just_so(mixer, reader, heard, share)

    just_so = _joint_work._hear
    monkeypatch.setattr(_joint_work, "_hear", hear)
    told = {"batch_size": 12, "max_epochs": 1}
    tasks = [task_of(view, f, s, **told) for f in range(2) for s in range(3)]
    monkeypatch.setattr(_joint_reader, "ON_GPU", 20)  # no multiple of a batch
    fit(tasks, n_threads=None, device=GPU)

    assert len(tasks[0].train) == 32
    # the seeds of a fold together, all utterances of a batch in one run
    assert found == 2 * [(3, 12, 1), (3, 12, 1), (3, 8, 1)]


def test_nothing_is_held_when_fits_have_ended(
    view: View, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[_joint_work.Work] = []
    begin = _joint_work.Work.__init__

    def noted(self: _joint_work.Work, *args: Any) -> None:
        begin(self, *args)
        made.append(self)

    monkeypatch.setattr(_joint_work.Work, "__init__", noted)
    fit([task_of(view, max_epochs=1), task_of(view, 1)], n_threads=None, device=GPU)

    assert made[0].source._kept is None
    assert not made[0]._readers


def test_nothing_is_fetched_while_they_learn(view: View, pretended: Pretended) -> None:
    epochs = 2
    tasks = [task_of(view, max_epochs=epochs, batch_size=5, seed=s) for s in range(3)]

    fitted = fit(tasks, n_threads=None, device=GPU)

    # of each epoch what dev is judged by, and of each model a loss; the weights at last
    judged = -(-len(tasks[0].dev) // ON_GPU)
    assert pretended.fetched == {
        "aten._to_copy.default": epochs * judged + 3 * len(fitted[0].state),
        "aten._local_scalar_dense.default": 3 * epochs,
    }


def test_the_head_fits_its_jobs_there(view: View, pretended: Pretended) -> None:
    speaker = np.array([int(s.rpartition("/")[2]) for s in view.speakers])
    parts = [view.take(speaker == i) for i in (1, 2, 3)]
    options: dict[str, Any] = {"max_epochs": 2, "batch_size": 8, "lr": 1e-3}
    heads = [pepino.Head(**options, seed=seed, device="cpu") for seed in range(2)]
    usual = [head.fit(*parts[:2]).predict_proba(parts[2]) for head in heads]
    for head in heads:
        head.set_params(device="cuda")
    before = pretended.fetched.total()

    jobs = [Job(head, *parts, 0, head.seed) for head in heads]
    done = {job.seed: head for job, head in pepino.Head.fit_jobs(jobs)}

    assert pretended.fetched.total() > before
    for seed, wanted in enumerate(usual):
        got = done[seed].predict_proba(parts[2])
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_tensors_of_two_places_are_refused(pretended: Pretended) -> None:
    there, here = torch.ones(2, 3, device=GPU), torch.ones(3)

    assert (there @ here.to(GPU)).cpu().tolist() == [3, 3]
    assert float((2 * there).sum()) == 12
    with pytest.raises(AssertionError, match=r"aten\.mul\.Tensor of tensors in two"):
        there * here
    assert (there * torch.tensor(2.0)).device == GPU  # a number is sent along,
    for wrong in (
        lambda: torch.zeros(()).add_(there.sum()),  # and never written to from there
        lambda: torch.stack([there.sum(), torch.tensor(2.0)]),
    ):
        with pytest.raises(AssertionError, match="of tensors in two places"):
            wrong()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_fits_on_a_real_gpu_equal_fits_here(
    view: View, one_by_one: list[Fitted]
) -> None:
    together = fit(many(view)[SOME], n_threads=None, device=torch.device("cuda"))

    for one, alone in zip(together, one_by_one, strict=True):
        assert apart(one, alone) < 1e-9

"""Threads take what is ready: each model in its order, judged when it has learnt."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models._joint_stream import Share, Stream, Stretch

TIMEOUT = 30  # seconds; only a thread that waits for ever gets there


class Fake:
    """A reader that says what it has read last."""

    def __init__(self) -> None:
        self.names: Sequence[str] = ()

    def read(self, names: Sequence[str]) -> Sequence[str]:
        self.names = names
        return names


def models(n: int) -> list[Any]:
    return [SimpleNamespace(position=i) for i in range(n)]


def run(stretches: list[Stretch], act: Any, n_readers: int, n_threads: int) -> None:
    readers: list[Any] = [Fake() for _ in range(n_readers)]
    stream = Stream(stretches, readers, act)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            stream.work(mixer)
        except BaseException as e:  # noqa: BLE001
            failed.append(e)

    mixer: Any = object()
    threads = [threading.Thread(target=work, daemon=True) for _ in range(n_threads)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(TIMEOUT)
        assert not one.is_alive()
    if failed:
        raise failed[0]


@st.composite
def streams(draw: st.DrawFn) -> list[Stretch]:
    """Draw what up to five models hear, first to learn and then to be judged."""
    every = models(draw(st.integers(1, 5)))
    out = []
    for learnt in (True, False):
        for i in range(draw(st.integers(0, 5))):
            shares = []
            left = draw(st.permutations(every))[: draw(st.integers(0, len(every)))]
            while left:
                n = draw(st.integers(1, len(left)))
                shares.append(Share(left[:n], (len(shares),), learnt))
                left = left[n:]
            out.append(Stretch([f"{learnt} {i}"], shares))
    return out


@settings(max_examples=60, deadline=None)
@given(streams(), st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
def test_models_learn_in_turn_and_are_judged_afterwards(
    stretches: list[Stretch], n_readers: int, n_threads: int, seed: int
) -> None:
    done: defaultdict[int, list[tuple[str, Share]]] = defaultdict(list)
    busy: set[int] = set()
    lock, random = threading.Lock(), Random(seed)

    def act(_: object, reader: Fake, heard: Sequence[str], share: Share) -> None:
        assert reader.names == heard  # no other stretch has taken its place
        with lock:
            own = {model.position for model in share.models}
            assert not own & busy
            busy.update(own if share.learnt else ())
        time.sleep(random.random() / 1000)
        assert reader.names == heard
        with lock:
            for model in share.models:
                done[model.position].append((heard[0], share))
                busy.discard(model.position)

    run(stretches, act, n_readers, n_threads)

    wanted: defaultdict[int, list[tuple[str, Share]]] = defaultdict(list)
    for stretch in stretches:
        for share in stretch.shares:
            for model in share.models:
                wanted[model.position].append((stretch.names[0], share))
    assert done.keys() == wanted.keys()
    for position, heard in wanted.items():
        learnt = [one for one in heard if one[1].learnt]
        assert done[position][: len(learnt)] == learnt
        judged = {one[0] for one in done[position][len(learnt) :]}
        assert judged == {one[0] for one in heard if not one[1].learnt}
        assert len(done[position]) == len(heard)


def test_two_threads_work_at_a_time_and_no_faster_model_waits_for_a_slower() -> None:
    one, other = models(2)
    stretches = [
        Stretch([str(i)], [Share([one], (0,), True), Share([other], (1,), True)])
        for i in range(2)
    ]
    second = threading.Event()

    def act(_: object, __: object, heard: Sequence[str], share: Share) -> None:
        if share.models == [one] and heard == ["0"]:
            assert second.wait(TIMEOUT)  # until the other has gone on without it
        if share.models == [other] and heard == ["1"]:
            second.set()

    run(stretches, act, n_readers=2, n_threads=2)

    assert second.is_set()


def test_what_was_read_is_for_all_threads() -> None:
    one, other = models(2)
    shares = [Share([one], (0,), True), Share([other], (1,), True)]
    both = threading.Barrier(2)

    def act(*_: object) -> None:
        both.wait(TIMEOUT)  # for the one that waited while the other read

    run([Stretch(["a"], shares)], act, n_readers=1, n_threads=2)

    assert not both.broken


@pytest.mark.parametrize("n_threads", [1, 3])
def test_where_one_thread_fails_all_end(n_threads: int) -> None:
    stretches = [Stretch([str(i)], [Share(models(1), (0,), True)]) for i in range(9)]
    heard_of: list[str] = []

    def act(_: object, __: object, heard: Sequence[str], ___: Share) -> None:
        heard_of.append(heard[0])
        if heard[0] == "4":
            msg = "the disk is gone"
            raise OSError(msg)

    with pytest.raises(OSError, match="the disk is gone"):
        run(stretches, act, n_readers=2, n_threads=n_threads)

    assert heard_of == ["0", "1", "2", "3", "4"]


def test_who_is_stopped_begins_nothing_more() -> None:
    stretches = [Stretch([str(i)], [Share(models(1), (0,), True)]) for i in range(9)]
    heard_of: list[str] = []

    def act(_: object, __: object, heard: Sequence[str], ___: Share) -> None:
        heard_of.append(heard[0])
        if heard[0] == "2":
            stream.stop()

    readers: list[Any] = [Fake()]
    stream = Stream(stretches, readers, act)
    mixer: Any = object()
    stream.work(mixer)

    assert heard_of == ["0", "1", "2"]

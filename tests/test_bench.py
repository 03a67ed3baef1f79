"""The benches at tiny sizes: they run, and their numbers mean what they say."""

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from torch.nn.utils.parametrize import remove_parametrizations
from torch.utils.flop_counter import FlopCounterMode

from bench import __main__ as command
from bench import (
    _machine,
    _speech,
    _vgg_steps,
    encoder,
    extraction,
    gpu,
    gpu_heads,
    tables,
    vgg,
)
from bench._epochs import Scale, epochs, plot_epochs
from bench._parts import Parts
from bench._plot import plot
from bench._timing import Contender, alternate, table
from bench.baselines import batches, nchw, usual
from extract import _packed
from extract._encoder import Encoder
from extract._untrained import make_untrained

OURS_IS = {"ours_is", "ours_is_min", "ours_is_max"}


def rows(told):
    return {row["contender"]: row for row in told["rows"]}


# how it is measured


def test_contenders_alternate_and_only_runs_are_timed(monkeypatch):
    said, now = [], [0.0]

    def passes(name, seconds):
        said.append(name)
        now[0] += seconds

    def contender(name, seconds):
        run, warm, after, before = (
            partial(passes, *told)
            for told in ((name, seconds), ("warm", 7), ("after", 3), ("before", 5))
        )
        return Contender(name, run, 1.0, warm, after, before)

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    taken = alternate([contender("a", 2), contender("b", 1)], 2)
    once = ["before", "a", "after", "before", "b", "after"]
    assert said == ["warm", "after", "warm", "after", *once, *once]
    assert taken == {"a": [2, 2], "b": [1, 1]}


def test_a_table_compares_ours_round_by_round():
    taken = {"theirs": [2.0, 4.0, 8.0], "ours": [1.0, 1.0, 4.0]}
    told = table("T", "GB/s", taken, {"theirs": 4.0, "ours": 2.0}, "ours", ("ms", 6e3))
    theirs, ours = told["rows"]
    assert (theirs["rate_min"], theirs["rate"], theirs["rate_max"]) == (0.5, 1, 2)
    assert (ours["rate_min"], ours["rate"], ours["rate_max"]) == (0.5, 2, 2)
    # of the rounds 2/2, 2/1 and 0.5/0.5
    assert [theirs[k] for k in ("ours_is_min", "ours_is", "ours_is_max")] == [1, 1, 2]
    assert not OURS_IS & set(ours)
    assert (theirs["time"], told["each"], told["rounds"]) == (6e3, "ms", 3)


BURN = "import time\nwhile time.process_time() < 0.6: pass"


def test_what_descends_from_this_process_is_its_own():
    ticks = os.sysconf("SC_CLK_TCK")
    before = _machine._own_ticks()
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    subprocess.run([sys.executable, "-c", BURN], check=True)
    spent = (_machine._own_ticks() - before) / ticks
    assert 0.8 < spent < 1.5


def test_the_watch_counts_others():
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # its own child is adopted when it ends: nobody's from then on
        if os.fork():
            os._exit(0)
        os.read(reader, 1)
        os.execl(sys.executable, sys.executable, "-c", BURN)
    os.waitpid(child, 0)
    with _machine.Watch() as watch:
        os.write(writer, b"x")
        time.sleep(1.2)
    os.close(reader)
    os.close(writer)
    assert watch.others > 0.4
    assert watch.facts()["quiet"].startswith("no")


def test_the_parts_of_a_run_count_for_themselves_alone():
    now = [0.0]
    parts = Parts(lambda: now[0])

    def inner():
        now[0] += 2

    owner = SimpleNamespace(inner=inner)
    with parts.calls((owner, "inner", "in")), parts.part("out"):
        now[0] += 1
        owner.inner()
        now[0] += 4
    assert parts.seconds == {"out": 5, "in": 2}
    assert owner.inner is inner


def test_signals_are_as_long_as_recordings_of_ravdess():
    seconds = np.array(_speech.lengths(1440)) / 16_000
    assert seconds.min() >= 2.9
    assert seconds.max() <= 5.3
    assert abs(seconds.mean() - 3.7) < 0.03
    wave = _speech.utterances(1)[0]
    assert wave.dtype == np.float32
    assert 0.05 < np.abs(wave).max() <= 0.7
    assert np.array_equal(wave, _speech.utterance(len(wave), 0))


# what is counted


def test_operations_are_those_that_torch_counts():
    model = make_untrained("demo")
    model.set_attn_implementation("eager")
    conv = model.encoder.pos_conv_embed.conv
    remove_parametrizations(conv, "weight")  # torch's counter cannot see through
    n_samples = 400 + 320 * 30  # no sample is left over in the last convolution
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, n_samples))
    [n] = {Encoder(model, False, range(13)).n_frames(n_samples)}
    beyond = 2 * conv.weight.numel()  # HF makes one frame more and cuts it off
    assert _packed.flops(model, n) == counter.get_total_flops() - beyond
    both = encoder.operations(model, [n_samples, n_samples])
    assert both == pytest.approx(2e-9 * _packed.flops(model, n))


# baselines


def test_usual_practice_is_padded_to_five_seconds():
    assert len(usual.padded(np.ones(50_000, np.float32))) == 80_000
    assert len(usual.padded(np.ones(90_000, np.float32))) == 80_000


def test_batches_are_sorted_and_padded():
    waves = [np.ones(n, np.float32) for n in (5, 3, 4)]
    told = batches.batches(waves, 2)
    assert [tuple(b.shape) for b in told] == [(2, 4), (1, 5)]
    assert told[0].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


# the benches


@pytest.mark.slow
def test_encoder():
    found = encoder.run(1, 2, "demo", products=1)
    speeds, peak = found.tables
    names = [encoder.USUAL, encoder.ALONE, encoder.BATCHES, encoder.OURS]
    assert list(rows(speeds)) == names
    assert all(set(rows(speeds)[name]) >= OURS_IS for name in names[:3])
    assert 0 < rows(peak)[encoder.SGEMM]["ours_is"] < 2
    assert "rate of sgemm" in found.remarks[0]
    assert {"cores", "torch", "threads", "quiet"} <= set(found.facts)


@pytest.mark.slow
def test_extraction():
    found = extraction.run(1, 3, "demo", n_shard=2)
    names = list(rows(found.tables[0]))
    assert names == [
        extraction.USUAL,
        "the same, gzip, array of 3",
        "the same, gzip, array of 1440",
        extraction.CAREFUL,
        extraction.OURS,
    ]
    assert "% of the processor time" in found.remarks[0]


def test_reading():
    pytest.importorskip("hdf5plugin", reason="python -m pip install -e .[bench]")
    from bench import reading

    found = reading.run(1, 4, 3, 64)
    names = {kind.name for kind in reading.STORES}
    assert len(names) == 8
    assert all(set(rows(told)) == names for told in found.tables)
    assert found.tables[0]["each"] == "ms per utterance"
    one = reading.Reading([(2, 3, 4)])
    numbers = np.arange(24, dtype=np.float16).reshape(2, 3, 4)

    class Wrong:
        name = "wrong"

        def all_layers(self, i, into):
            return numbers

    right = Wrong()
    right.name, right.all_layers = "right", lambda i, into: numbers + numbers[0, 0, 1]
    with pytest.raises(RuntimeError, match="the same numbers"):
        reading._refuse_other_numbers(one, [Wrong(), right])


def test_tables():
    heads = ("logistic_regression", "layer_probe")
    found = tables.run(1, 10, 8, 2, 2, 8, heads)
    titles = [told["title"] for told in found.tables]
    assert titles == [
        "logistic_regression: 5 folds x 2 seeds",
        "layer_probe: 5 folds x 1 seed",
    ]
    for head, told in zip(heads, found.tables, strict=True):
        loop = rows(told)[tables.LOOP.format(head)]
        assert set(rows(told)) == {told["ours"], loop["contender"]}
        assert loop["ours_is"] > 0
    assert re.search(r"logistic_regression \d+\.\d s, .*; together", found.remarks[0])
    assert {"utterances", "layers", "quiet"} <= set(found.facts)


@pytest.mark.slow
def test_tables_of_ours_and_of_the_loop_hold_the_same_numbers():
    with tables.drawn(10, 8, 1, 8) as view:
        sides = [s for _, test in tables.folds(view) for s in test.tolist()]
        assert sorted(sides) == list(range(80))
        for name in ("logistic_regression", "random_forest"):
            mine, theirs = (
                call(view, name, n_seeds=2) for call in (tables.ours, tables.loop)
            )
            assert (
                set(mine) == set(theirs) == {(s, f) for s in (0, 1) for f in range(5)}
            )
            for job, told in mine.items():
                np.testing.assert_allclose(told, theirs[job], atol=1e-5)


@pytest.mark.parametrize("name", ["vgg", "fusion"])
def test_the_plain_network_is_ours_and_takes_the_same_step(name):
    sizes = 2, 1, 81, 9 * 81
    with _vgg_steps.batch(sizes) as folder:
        view = _vgg_steps.whole(folder, 2)
        mine = _vgg_steps.Ours(view, name, {"max_frames": 81, "dropout": 0.0})
        plain = nchw.Training(sizes, _vgg_steps.FUNCTIONALS if name == "fusion" else 0)
        *others, maps, _ = mine.task.train.read(mine.rows)
        plain.inputs = [maps.float(), *others]
        state = mine.head.network_.state_dict()
        names = plain.network.state_dict()
        plain.network.load_state_dict(dict(zip(names, state.values(), strict=True)))
        for part in plain.network.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        taken = [mine.step(), mine.step()]
        assert [plain.step(), plain.step()] == pytest.approx(taken, abs=1e-5)
        assert taken[0] > taken[1] > 1.5


@contextmanager
def in_this_process():
    with ThreadPoolExecutor(1) as ours, ThreadPoolExecutor(1) as plain:
        yield ours, plain


def test_vgg(monkeypatch):
    monkeypatch.setattr(_vgg_steps, "processes", in_this_process)
    found = vgg.run(1, (2, 2, 81, 81), variants=({"frame_stride": 2},), n_threads=1)
    names = [set(rows(told)) for told in found.tables]
    other = "other network: vgg of frame_stride=2"
    assert names == [
        {"vgg, ours", "vgg, plain NCHW", "vgg, plain channels_last", other},
        {"fusion, ours", "fusion, plain NCHW", "fusion, plain channels_last"},
    ]
    told = rows(found.tables[0])
    assert all(set(told[n]) >= OURS_IS for n in names[0] - {"vgg, ours"})
    assert told["vgg, ours"]["time"] == pytest.approx(2 / told["vgg, ours"]["rate"])
    seconds = 1140 / told["vgg, ours"]["rate"]
    assert f"vgg, ours {seconds:.0f} s" in found.remarks[0]


@pytest.mark.slow
def test_the_plain_network_runs_as_any_script_does(monkeypatch):
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1000")
    with _vgg_steps.processes() as told:
        ours, plain = (one.submit(_vgg_steps.peak).result() for one in told)
    assert "MALLOC_TOP_PAD_" in ours["tuned"]
    assert plain["tuned"] == []
    assert plain["GiB"] > 0
    assert os.environ["MALLOC_TOP_PAD_"] == "1000"


def test_gpu_runs_on_any_device_and_says_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.run(1).remarks == ["not measured: torch sees no GPU here"]
    found = gpu.run(1, 3, "demo", device="cpu")
    assert [len(told["rows"]) for told in found.tables] == [3, 3]
    for remark in found.remarks[1:]:
        for part in (
            "decode",
            "copy",
            "encoder",
            "pool and cast",
            "copy back",
            "write",
        ):
            assert re.search(rf"{part} \d+\.\d+ s", remark)


def test_heads_on_a_gpu_run_on_any_device_and_say_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_heads.run(1).remarks == ["not measured: torch sees no GPU here"]
    monkeypatch.setattr(gpu_heads, "STEPS", 2)
    few = {"n": 20, "shape": (2, 16), "seeds": 1, "heads": ["fusion"]}
    found = gpu_heads.run(1, (2, 2, 81, 96), **few, device="cpu")
    assert [len(told["rows"]) for told in found.tables] == [2, 3]
    parts = [re.search(r" (\d+) % of .* s in kernels$", one) for one in found.remarks]
    assert int(parts[0][1]) > 5
    assert parts[1]  # of the threads that fits are made in nothing is told on a CPU


def test_kernels_alone_count_as_work_of_a_gpu():
    def event(key, kind, micro, annotates=False):
        return SimpleNamespace(
            key=key,
            device_type=SimpleNamespace(name=kind),
            self_device_time_total=micro,
            self_cpu_time_total=7 * micro,
            is_user_annotation=annotates,
        )

    events = [
        event("sgemm", "CUDA", 2e6),
        event("Memcpy HtoD (Pageable -> Device)", "CUDA", 5e6),
        event("cudaLaunchKernel", "CPU", 3e6),
        event("Optimizer.step#Adam.step", "CUDA", 2e6, annotates=True),
        event("Memset (Device)", "CUDA", 1e6),
    ]
    assert gpu_heads.busy(events, "CUDA") == 3
    assert gpu_heads.busy(events, "CPU") == 21


def test_the_peak_of_a_gpu_is_found_by_its_name():
    told = gpu._share_of_peak("NVIDIA A100-SXM4-80GB", 156_000.0)
    assert "156.0 TFLOP/s, 50 % of the bfloat16 peak of 312" in told
    assert "not known" in gpu._share_of_peak("NVIDIA L40", 1.0)


# what is shown


@pytest.fixture
def saved(tmp_path):
    taken = {"theirs, of old": [2.0, 4.0], "ours": [1.0, 1.0]}
    told = table("A & B", "GB/s", taken, dict.fromkeys(taken, 3.0), "ours")
    facts = {"cores": 2}
    path = tmp_path / "told.json"
    result = {"about": "An example.", "tables": [told], "remarks": ["So."]}
    path.write_text(json.dumps({"reading": result | {"facts": facts}}))
    return path


def test_what_was_saved_is_shown_and_drawn(saved, tmp_path, capsys):
    drawn = tmp_path / "plot.svg"
    command.main(["reading", "--saved", str(saved), "--plot", str(drawn)])
    said = capsys.readouterr().out
    assert "theirs, of old" in said
    assert "3.00 (2.00 to 4.00)" in said
    assert said.endswith("So.\n\ncores: 2\n\n")
    command.main(["--saved", str(saved), "--json"])
    assert json.loads(capsys.readouterr().out) == json.loads(saved.read_text())
    root = ET.fromstring(drawn.read_text())
    space = "{http://www.w3.org/2000/svg}"
    texts = [t.text for t in root.iter(f"{space}text")]
    assert {"A & B", "theirs, of old", "1.12 (ours 3.00 ×)"} <= set(texts)
    bars = [r for r in root.iter(f"{space}rect") if "bar" in r.get("class")]
    assert len(bars) == 2
    assert float(bars[0].get("width")) < float(bars[1].get("width"))


def test_no_bar_leaves_the_drawing():
    taken = {"a": [1.0, 9.0, 9.0], "ours": [0.1, 5.0, 5.0]}
    drawn = plot([table("T", "GB/s", taken, dict.fromkeys(taken, 1.0), "ours")])
    root = ET.fromstring(drawn)
    width = float(root.get("width"))
    for line in root.iter("{http://www.w3.org/2000/svg}line"):
        assert 0 <= float(line.get("x1")) <= float(line.get("x2")) <= width


def test_epochs_are_drawn_in_seconds_on_one_scale(tmp_path, capsys):
    units = {"pepino": "utterances/s", "reading": "GB/s", "vgg": "utterances/s"}
    paths = []
    for name, unit in units.items():
        taken = {"theirs & co": [40.0, 60.0], f"ours, {name}": [1.0, 2.0]}
        done = dict.fromkeys(taken, 114.0)
        told = table(name, unit, taken, done, f"ours, {name}")
        paths.append(tmp_path / f"{name}.json")
        result = {"about": "A.", "tables": [told], "remarks": [], "facts": {}}
        paths[-1].write_text(json.dumps({name: result}))
    drawn = tmp_path / "epochs.svg"
    saved = [part for path in paths for part in ("--saved", str(path))]
    command.main([*saved, "--epochs", str(drawn)])
    root = ET.fromstring(drawn.read_text())
    space = "{http://www.w3.org/2000/svg}"
    texts = [t.text for t in root.iter(f"{space}text")]
    assert {"pepino", "vgg", "theirs & co", "ours, vgg"} <= set(texts)
    assert not {"reading", "ours, reading"} & set(texts)
    assert "480 s (ours 35.0 ×)" in texts  # 1140 by the median of 2.85 and 1.9
    dots = list(root.iter(f"{space}circle"))
    places = [float(c.get("cx")) for c in dots]
    assert [c.get("class") for c in dots] == ["dot", "dot ours"] * 2
    assert places[:2] == places[2:] and places[0] > places[1]
    width = float(root.get("width"))
    for line in root.iter(f"{space}line"):
        assert 0 <= float(line.get("x1")) <= float(line.get("x2")) <= width
    capsys.readouterr()
    with pytest.raises(SystemExit):
        command.main(["--saved", str(paths[1]), "--epochs", str(drawn)])
    assert "nothing to draw" in capsys.readouterr().err


def test_a_scale_of_seconds_holds_all_of_them():
    told = table("T", "utterances/s", {"a": [1.0, 3.0]}, {"a": 1140.0}, "a")
    [group] = epochs([told])
    [row] = group["rows"]
    assert (row["least"], row["most"]) == pytest.approx((1.0, 3.0))
    scale = Scale(row["least"], row["most"])
    assert scale.ticks() == [1.0, 10.0]
    assert scale.place(1.0) < scale.place(3.0) < scale.place(10.0)
    assert "T" in plot_epochs([told])


def test_unknown_benches_are_named(capsys):
    with pytest.raises(SystemExit):
        command.main(["nothing"])
    assert "unknown benches ['nothing']" in capsys.readouterr().err

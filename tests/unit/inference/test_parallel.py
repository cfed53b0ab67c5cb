"""Runs side by side: in order, each worker on one item at a time, and never more of them than memory allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from importlib import resources
from itertools import count, islice
from math import prod
from pathlib import Path

import pytest

from fmtc_tflite import api
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.inference import memory_need, parallel
from fmtc_tflite.inference.parallel import in_parallel, num_parallel
from fmtc_tflite.types import CalibrationOptions, ConvertOptions
from streaming_models import streaming


class Worker:
    """Squares, the later the sooner it is asked; fails on a negative number."""

    def __init__(self) -> None:
        self._busy = threading.Lock()

    def work(self, item: int) -> int:
        assert self._busy.acquire(blocking=False)
        try:
            time.sleep(0.002 / (1 + item % 5))
            if item < 0:
                raise ValueError(str(item))
            return item * item
        finally:
            self._busy.release()


@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(num_workers: int) -> None:
    workers = [Worker() for _ in range(num_workers)]
    assert list(in_parallel(workers, range(30), Worker.work)) == [i * i for i in range(30)]


def test_workers_are_busy_at_once() -> None:
    both = threading.Barrier(2, timeout=30)
    assert list(in_parallel([0, 1], range(4), lambda worker, item: both.wait() >= 0)) == [True] * 4


def test_items_are_not_hoarded() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in count():
            taken.append(item)
            yield item

    assert list(islice(in_parallel([Worker(), Worker()], items(), Worker.work), 5)) == [0, 1, 4, 9, 16]
    assert len(taken) <= 8


@pytest.mark.parametrize("num_workers", [1, 3])
def test_an_error_comes_at_its_place(num_workers: int) -> None:
    found: list[int] = []
    with pytest.raises(ValueError, match=r"^-1$"):
        found.extend(in_parallel([Worker() for _ in range(num_workers)], [1, 2, -1, 3, 4], Worker.work))
    assert found == [1, 4]


@pytest.fixture(scope="module")
def demo() -> Model:
    return load_model((resources.files("fmtc_tflite") / "demo" / "demo_int8.tflite").read_bytes())


@pytest.fixture
def _small_models_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_need, "_BRIEF_BYTES", 0)


def test_short_runs_need_one_interpreter(demo: Model) -> None:
    assert num_parallel(demo, 7) == 1


@pytest.mark.usefixtures("_small_models_too")
def test_threads_share_out_interpreters(demo: Model) -> None:
    assert [num_parallel(demo, n) for n in (1, 2, 7)] == [1, 2, 7]
    assert num_parallel(demo, None) >= 1


@pytest.mark.usefixtures("_small_models_too")
def test_memory_bounds_them(demo: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = demo.subgraphs[0]
    need = sum(prod(t.shape) * t.dtype.itemsize for t in graph.tensors if t.data is None and t.dtype)
    for op in graph.ops:
        if op.opcode == "CONV_2D" and (kernel := op.inputs[1]) is not None and kernel.shape[1] > 1:
            need += prod(op.outputs[0].shape[:3]) * prod(kernel.shape[1:])  # the runtime's im2col
    monkeypatch.setattr(parallel, "_MOST_BYTES", 3 * need)
    assert num_parallel(demo, 7) == 3
    monkeypatch.setattr(parallel, "_MOST_BYTES", need - 1)
    assert num_parallel(demo, 7) == 1


@pytest.mark.usefixtures("_small_models_too")
def test_a_conversion_gives_the_same_bytes_on_any_number_of_threads() -> None:
    folder = resources.files("fmtc_tflite") / "demo"
    data = CalibrationOptions(Path(str(folder / "demo_samples.npz")), num_samples=12)

    def converted(num_threads: int) -> bytes:
        options = ConvertOptions(data, execution="ops", include="op:0,2,4", num_threads=num_threads)
        return api.convert(str(folder / "demo_int8.tflite"), options=options, dry_run=True).content

    assert converted(1) == converted(3)


@pytest.mark.usefixtures("_small_models_too")
def test_state_needs_one_interpreter() -> None:
    assert num_parallel(load_model(streaming()), 4) == 1

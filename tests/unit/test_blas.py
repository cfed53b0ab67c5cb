"""numpy's linear algebra has one thread wherever models run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from fmtc_tflite import api
from fmtc_tflite.profiling.options import ProfileOptions
from fmtc_tflite.runtime.checked import CheckedInterpreter
from fmtc_tflite.sharding.workers import run_shards
from fmtc_tflite.types import ConvertOptions, EvaluateOptions
from sharded_work import BlasThreads, blas_threads

DEMO = Path(str(resources.files("fmtc_tflite") / "demo"))
MODEL, SAMPLES = DEMO / "demo_int8.tflite", DEMO / "demo_samples.npz"

DOORS: dict[str, Callable[[], object]] = {
    "convert": lambda: api.convert(MODEL, options=ConvertOptions(execution="ops", lossless=True), dry_run=True),
    "convert_to_regions": lambda: api.convert(MODEL, dry_run=True),
    "evaluate": lambda: api.evaluate(MODEL, options=EvaluateOptions(SAMPLES, num_samples=1)),
    "profile": lambda: api.profile(MODEL, options=ProfileOptions(data=SAMPLES, num_samples=1)),
}


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")  # of processes that are started
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.mark.parametrize("door", DOORS)
def test_one_thread_while_models_run(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    invoke = CheckedInterpreter.invoke

    def watched(self: CheckedInterpreter) -> None:
        seen.update(blas_threads())
        invoke(self)

    monkeypatch.setattr(CheckedInterpreter, "invoke", watched)
    DOORS[door]()
    assert seen == {1}
    assert blas_threads() == [2]  # the caller's again


def test_one_thread_in_worker_processes() -> None:
    assert dict(run_shards(BlasThreads(), range(2), 2, str)) == {0: [1], 1: [1]}

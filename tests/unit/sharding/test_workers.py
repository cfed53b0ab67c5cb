"""Worker processes that live, die and fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmtc_tflite.errors import CalibrationError, FmtcError, UnsupportedModelError
from fmtc_tflite.sharding.workers import run_shards
from sharded_work import Squares


def collect(work: Squares, num_workers: int = 2, count: int = 7) -> dict[int, int]:
    return dict(run_shards(work, range(count), num_workers, lambda shard: f"shard {shard}"))


@pytest.mark.parametrize("num_workers", [1, 2, 9])
def test_every_shard_is_done_once(tmp_path: Path, num_workers: int) -> None:
    assert collect(Squares(tmp_path), num_workers) == {shard: shard * shard for shard in range(7)}


def test_nothing_to_do(tmp_path: Path) -> None:
    assert collect(Squares(tmp_path), count=0) == {}


def test_a_shard_whose_worker_dies_is_tried_again(tmp_path: Path) -> None:
    assert collect(Squares(tmp_path, "die_once")) == {shard: shard * shard for shard in range(7)}
    assert (tmp_path / "tried").exists()


def test_a_shard_that_kills_two_workers_is_named(tmp_path: Path) -> None:
    finished: dict[int, int] = {}
    with pytest.raises(FmtcError, match=r"shard 3: its worker process died 2 times \(SIGKILL.*is kept"):
        finished.update(run_shards(Squares(tmp_path, "die"), range(7), 2, lambda shard: f"shard {shard}"))
    # update() keeps what came before the error
    assert {0, 1, 2} <= set(finished)


def test_a_runtime_that_crashes_in_workers_is_the_models_fault(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"crashed 2 times in shard 3 \(SIGSEGV\)"):
        collect(Squares(tmp_path, "segfault"))


def test_workers_that_die_at_once(tmp_path: Path) -> None:
    with pytest.raises(FmtcError, match="died 2 times"):
        collect(Squares(tmp_path, "die_at_start"))


def test_errors_of_the_package_arrive_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"^a bad sample$"):
        collect(Squares(tmp_path, "fail"))


def test_other_errors_bring_their_trace(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)in a worker process: Traceback.*ZeroDivisionError: a defect"):
        collect(Squares(tmp_path, "crash"))

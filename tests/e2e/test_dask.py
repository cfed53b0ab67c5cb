"""Dask's runner on a scheduler and two workers of this machine, one of which is killed in the middle."""

from __future__ import annotations

import importlib.resources
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.extras

pytest.importorskip("apache_beam")
pytest.importorskip("dask.distributed")

DEMO = importlib.resources.files("fmtc_tflite") / "demo"
_PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model.tflite` and `samples.npz`: 16 shards."""
    folder = tmp_path_factory.mktemp("dask")
    (folder / "model.tflite").write_bytes((DEMO / "demo_int8.tflite").read_bytes())
    demo = np.load(str(DEMO / "demo_samples.npz"))
    rows = np.arange(16 * 64 + 400) % len(demo["x"])
    np.savez(folder / "samples.npz", x=demo["x"][rows], y=demo["y"][rows])
    return folder


@pytest.fixture
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler, and its workers, each with the nanny that would start it again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    processes = [start(folder, "scheduler", "--host", address, "--no-dashboard")]
    processes += [start(folder, "worker", address, "--nthreads", "1", "--no-dashboard") for _ in range(2)]
    try:
        yield address, processes[1:]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def start(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with (folder / "cluster.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *command],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def convert(folder: Path, name: str, *flags: str) -> subprocess.Popen[str]:
    command = ["fmtc-convert", "model.tflite", "--calibration_data", "samples.npz", "--num_samples", "0"]
    command += ["--calibration_store", f"{name}.npz", "--output", f"{name}.tflite", "--execution", "ops", *flags]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.Popen(
        [*command, "--num_threads", "1"], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    )


def test_a_worker_that_is_killed_changes_no_byte(
    folder: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    alone = convert(folder, "alone")
    flags = f"--beam=--runner=DaskRunner --dask_client_address={address} --temp_location={folder / 'shared'}"
    running = convert(folder, "dask", flags)
    until = time.monotonic() + _PATIENCE_SECONDS
    while not list((folder / "shared").glob("*/result-*.npz")):  # at work
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < until, (folder / "cluster.log").read_text()
        time.sleep(0.02)
    os.killpg(workers[0].pid, signal.SIGKILL)  # with its nanny
    _, complaints = running.communicate(timeout=_PATIENCE_SECONDS)
    assert running.returncode == 0, complaints
    assert "Discarding unparseable args" not in complaints
    alone.communicate(timeout=_PATIENCE_SECONDS)
    assert alone.returncode == 0
    for suffix in (".npz", ".tflite"):
        assert (folder / f"dask{suffix}").read_bytes() == (folder / f"alone{suffix}").read_bytes()
    assert list((folder / "shared").iterdir()) == []

"""Bad flags for --beam, and what a signal leaves; test_documents.py runs the commands of docs/scale_out.md."""

from __future__ import annotations

import importlib.resources
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.extras

pytest.importorskip("apache_beam")


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model.tflite` and `images/`."""
    folder = tmp_path_factory.mktemp("scale_out")
    demo = importlib.resources.files("fmtc_tflite") / "demo"
    (folder / "model.tflite").write_bytes((demo / "demo_int8.tflite").read_bytes())
    (folder / "images").mkdir()
    for i, pixels in enumerate(np.load(str(demo / "demo_samples.npz"))["x"][:24]):
        Image.fromarray(pixels.squeeze()).save(folder / "images" / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("--beam='--runner=FlinkRunner' --calibration_store s.npz", "needs --temp_location as well"),
        ("--beam='--runer=FlinkRunner' --calibration_store s.npz", "Beam knows no option --runer"),
        ('--beam="it\'s" --calibration_store s.npz', "give Beam's options as one quoted text"),
        ("--beam=''", "needs --calibration_data and --calibration_store"),
    ],
)
def test_flags_that_will_not_do(folder: Path, flags: str, text: str) -> None:
    result = run(f"fmtc-convert model.tflite --calibration_data images/ --output x.tflite {flags}", folder)
    assert result.returncode == 2, result.stderr
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert text in error
    assert not {"x.tflite", "s.npz"} & {path.name for path in folder.iterdir()}


def processes_with(mark: str) -> list[str]:
    """Command lines of the processes whose environment has this text."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize(
    "options", ["--direct_running_mode=multi_processing --direct_num_workers=2", "--runner=DaskRunner"]
)
def test_a_terminated_run_leaves_no_worker_and_goes_on(folder: Path, tmp_path: Path, options: str) -> None:
    """What is finished stays in --temp_location until the same command is through."""
    if "Dask" in options:
        pytest.importorskip("dask.distributed")
    demo = np.load(str(importlib.resources.files("fmtc_tflite") / "demo" / "demo_samples.npz"))
    np.savez(tmp_path / "many.npz", x=demo["x"][np.arange(160 * 64) % len(demo["x"])])
    (tmp_path / "model.tflite").write_bytes((folder / "model.tflite").read_bytes())
    shared, temporary, mark = tmp_path / "shared", tmp_path / "temporary", f"FMTC_RUN={uuid.uuid4().hex}"
    temporary.mkdir()
    command = (
        f"{mark} TMPDIR=temporary exec fmtc-eval model.tflite --data many.npz --json result.json "
        f"--beam='{options} --temp_location=shared'"
    )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        ["sh", "-c", command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as running:
        until = time.monotonic() + 60
        while not list(shared.glob("*/result-*.npz")):
            assert running.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        workers = [line for line in processes_with(mark) if "sdk_worker_main" in line or "spawn_main" in line]
        assert len(workers) >= min(2, os.cpu_count() or 1)
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate()
        assert running.returncode == 128 + signal.SIGTERM
    assert "error: ended by SIGTERM; no output was written; the same command goes on from what is kept in" in said
    assert "Traceback" not in said
    until = time.monotonic() + 5  # Python's tracker of resources sees that its parent is gone
    while left := processes_with(mark):
        assert time.monotonic() < until, left
        time.sleep(0.01)
    assert list(shared.glob("*/result-*.npz"))
    assert not list(shared.glob("*/*.tmp"))
    assert [path.name for path in temporary.rglob("*") if path.suffix not in (".lock", ".dirlock")] in (
        [],
        ["dask-scratch-space"],  # where Dask keeps its locks
    )
    result = run(command, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "of 160 shards were finished by an earlier run" in result.stderr
    assert (tmp_path / "result.json").exists()
    assert list(shared.iterdir()) == []

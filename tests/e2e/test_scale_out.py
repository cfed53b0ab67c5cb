"""What bad flags for --beam get; tests/e2e/test_documents.py runs the commands of docs/scale_out.md."""

from __future__ import annotations

import importlib.resources
import os
import signal
import subprocess
import sys
import time
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


def test_a_terminated_run_goes_on(folder: Path) -> None:
    """What is finished stays in --temp_location until the same command is through."""
    demo = np.load(str(importlib.resources.files("fmtc_tflite") / "demo" / "demo_samples.npz"))
    np.savez(folder / "many.npz", x=demo["x"][np.arange(40 * 64) % len(demo["x"])])
    command = "exec fmtc-eval model.tflite --data many.npz --json result.json --beam='--temp_location=shared'"
    temporary = folder / "temporary"
    temporary.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TMPDIR": str(temporary)}
    with subprocess.Popen(["sh", "-c", command], cwd=folder, env=environment, stderr=subprocess.PIPE) as running:
        until = time.monotonic() + 60
        while not list((folder / "shared").glob("*/result-*.npz")):
            assert running.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        assert running.wait() == 128 + signal.SIGTERM
    assert list((folder / "shared").glob("*/result-*.npz"))
    assert not list((folder / "shared").glob("*/*.tmp"))
    assert not list(temporary.glob("beam-pipeline-temp*"))
    result = run(command, folder)
    assert result.returncode == 0, result.stderr
    assert "of 40 shards were finished by an earlier run" in result.stderr
    assert (folder / "result.json").exists()
    assert list((folder / "shared").iterdir()) == []

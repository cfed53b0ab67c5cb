"""What bad flags for --beam get; tests/e2e/test_documents.py runs the commands of docs/scale_out.md."""

from __future__ import annotations

import importlib.resources
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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

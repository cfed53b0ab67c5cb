"""A model's maps as files for the benchmark."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys
from pathlib import Path

import numpy as np

DEMO = importlib.resources.files("fmtc_tflite") / "demo"


def run(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, repository / "tools" / "dump_maps.py", str(DEMO / "demo_int8.tflite"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_writes_maps_and_their_list(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    arguments = ["--calibration_data", str(DEMO / "demo_samples.npz"), "--output", str(folder)]
    done = run(repository, *arguments)
    assert done.returncode == 0, done.stderr
    lines = (folder / "maps.txt").read_text().splitlines()
    assert len(lines) > 5
    for line in lines:
        name, shape = line.split()
        height, width, channels = map(int, shape.split("x"))
        values = np.fromfile(folder / name, np.int8)
        assert values.size == height * width * channels
        assert values.min() < values.max()

    again = run(repository, *arguments)
    assert again.returncode == 2
    assert "exists" in again.stderr
    assert sorted(path.name for path in folder.iterdir())[-1] == "maps.txt"

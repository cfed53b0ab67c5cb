"""The latency benchmark runs and writes what it says; what it measures is not looked at."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = importlib.resources.files("fmtc_tflite") / "demo"
SAMPLES = str(DEMO / "demo_samples.npz")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes((DEMO / "demo_int8.tflite").read_bytes())
    return path


def run(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, repository / "tools" / "bench_latency.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_table_and_json(repository: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "latency.json"
    done = run(
        repository, model, "--calibration_data", SAMPLES, "--turns", "2", "--cpu_levels", "scalar,", "--json", out
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text())
    assert document["model"] == "model.tflite"
    assert document["turns"] == 2
    combinations = [(r["kernels"], r["threads"], r["model"]) for r in document["runs"]]
    models = ["original", "lossless", "lossless", "default", "default"]
    assert combinations == [(k, t, m) for k in ("xnnpack", "builtin") for t in (1, 2) for m in models]
    for result in document["runs"]:
        assert result["median_ms"] > 0
        assert result["load_ms"] > 0
        assert result["spread"] >= 0
        if result["model"] == "original":
            assert result["cpu_level"] is None
            assert result["ratio"] == result["load_ratio"] == 1
    assert document["runs"][1]["cpu_level"] == "scalar"
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| xnnpack |", "| builtin |"))]
    assert len(rows) == len(document["runs"])
    assert all(len(row.split("|")) == 11 for row in rows)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latency.json", "model.tflite"]


def test_converted_files_are_taken(repository: Path, model: Path) -> None:
    done = run(
        repository, model, "--converted", f"same={model}", "--turns", "1", "--threads", "1", "--kernels", "builtin"
    )
    assert done.returncode == 0, done.stderr
    assert "| builtin | 1 | same |" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint", "code"),
    [
        (["--threads", "0"], "--threads 0: expected numbers", 2),
        (["--converted", "a"], "--converted a: expected NAME=FILE", 2),
        (["--kernels", "gpu"], "kernels", 2),
        (["--cpu_levels", "sse2", "--threads", "1"], "FMTC_CPU_LEVEL='sse2'", 5),
    ],
)
def test_bad_input(repository: Path, model: Path, arguments: list[str], complaint: str, code: int) -> None:
    done = run(repository, model, "--turns", "1", *arguments)
    assert done.returncode == code
    assert complaint in done.stderr.splitlines()[-1]

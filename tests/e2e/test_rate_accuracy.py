"""tools/rate_accuracy.py: what it writes, and what bad input gets."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.extras

DEMO = Path(str(importlib.resources.files("fmtc_tflite") / "demo"))


@pytest.fixture
def base(repository: Path) -> list[str]:
    tool = str(repository / "tools" / "rate_accuracy.py")
    data = str(DEMO / "demo_samples.npz")
    flags = {"model_file": DEMO / "demo_int8.tflite", "calibration_data": data, "data": data, "output": "result"}
    return [sys.executable, tool, *(f"--{name}={value}" for name, value in flags.items())]


def run(command: list[str], *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *more], capture_output=True, text=True)


def assert_fails(result: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    assert result.returncode == code, result.stderr
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    for text in texts:
        assert text in error
    assert "Traceback" not in result.stderr


def test_two_curves_and_their_files(base: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    flags = ("--max_kl=0.05", "--paper_bits=5,8", "--num_samples=24", "--num_calibration_samples=64", "--num_workers=2")
    result = run(base, *flags, "--peer_samples=2", "--num_threads=1")
    assert result.returncode == 0, result.stderr
    assert "zero_value" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.csv", "result.json", "result.png"]
    document = json.loads((tmp_path / "result.json").read_text())
    assert [p["point"] for p in document["points"]] == ["lossless", "max_kl 0.05", "paper 5 bits", "paper 8 bits"]
    assert document["points"][1]["accuracy_difference_std_error"] is not None
    (row,) = document["at_equal_loss"]
    assert (row["saved"] is None) == (row["reason"] is not None)
    assert (tmp_path / "result.png").read_bytes()[:4] == b"\x89PNG"
    assert_fails(run(base, *flags), 2, "result.json exists; pass --overwrite")


def test_without_bounds_there_is_the_lossless_point(base: list[str], tmp_path: Path) -> None:
    """Whose loss of 0 has no place on a logarithmic axis."""
    pytest.importorskip("matplotlib")
    flags = ("--max_kl=", "--paper_bits=", "--num_samples=8", "--num_calibration_samples=32", "--peer_samples=1")
    result = run(base, *flags)
    assert result.returncode == 0, result.stderr
    assert [p["point"] for p in json.loads((tmp_path / "result.json").read_text())["points"]] == ["lossless"]


def test_bad_flags(base: list[str]) -> None:
    pytest.importorskip("matplotlib")
    assert_fails(run(base[:2]), 2, "got models: none; --calibration_data and --data and --output not given")
    assert_fails(run(base, "--max_kl=x"), 2, "--max_kl x: expected numbers")
    assert_fails(run(base, "--paper_bits=1"), 2, "--paper_bits 1: expected 2 to 10")
    assert_fails(run(base, "--data=nowhere.npz"), 2, "nowhere.npz")
    assert_fails(run(base, "--output=missing/result"), 2, "missing")

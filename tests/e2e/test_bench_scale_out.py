"""The benchmark of scale-out runs and writes what it says; what it measures is not looked at."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.extras

pytest.importorskip("apache_beam")

DEMO = importlib.resources.files("fmtc_tflite") / "demo"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model; `images/` is beside it."""
    path = tmp_path / "model.tflite"
    path.write_bytes((DEMO / "demo_int8.tflite").read_bytes())
    (tmp_path / "images").mkdir()
    for i, pixels in enumerate(np.load(str(DEMO / "demo_samples.npz"))["x"][:5]):
        Image.fromarray(pixels.squeeze()).save(tmp_path / "images" / f"{i}.png")
    return path


def run(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, repository / "tools" / "bench_scale_out.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_runs_with_a_list_and_what_follows(repository: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("dask.distributed")
    out = tmp_path / "scale_out.json"
    flags = ["--engines", "alone", "--engines", "dask", "--work", "calibration", "--workers", "2", "--samples", "8,130"]
    done = run(repository, model, "--data", tmp_path / "images", *flags, "--shards", "9", "--rows", "2500", "-o", out)
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text())
    combinations = [(r["work"], r["engine"], r["workers"], r["samples"]) for r in document["runs"]]
    who = [("alone", 1), ("dask", 2)]
    assert combinations == [("calibration", *each, samples) for each in who for samples in (8, 130)]
    for result in document["runs"]:
        assert result["seconds"] > 0
        assert result["cpu_seconds"] > 0
        assert result["start_peak_bytes"] > 20e6
        assert (result["worker_peak_bytes"] > 20e6) == (result["engine"] == "dask")
    assert [(rate["engine"], rate["samples"]) for rate in document["rates"]] == [("alone", 130), ("dask", 130)]
    (shard,) = document["shards"]
    assert shard["samples"] == 9
    assert shard["held_bytes"] > shard["written_bytes"] > 0
    listed = document["list"]
    assert (listed["rows"], listed["measured"], listed["shards"], listed["shard_samples"]) == (2500, 1750, 28, 64)
    assert listed["list_bytes"] > 2500
    assert document["projection"]["written_bytes"] == 28 * shard["written_bytes"]
    assert document["projection"]["steps"][0] == "2,500 images: 1,750 are measured, the others held back"
    for text in ("| calibration | dask | 2 |", "shard of 9: ", "list of 2,500: ", "28 x ", "written  "):
        assert text in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "model.tflite", "scale_out.json"]


def test_one_kind_of_run_alone(repository: Path, model: Path, tmp_path: Path) -> None:
    flags = ["--engines", "processes", "--work", "evaluation", "--workers", "1", "--samples", "3,4", "--shards", ""]
    done = run(repository, model, "--data", tmp_path / "images", *flags, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [run["samples"] for run in document["runs"]] == [3, 4]
    assert (document["shards"], document["list"], document["projection"]) == ([], None, None)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "nothing to measure; give --data or --rows"),
        (["--rows", "10", "--workers", "0,x"], "--workers 0,x: expected numbers from 1 on, such as 1,2"),
        (["--data", "none"], "none: does not exist"),
    ],
)
def test_bad_input(repository: Path, model: Path, arguments: list[str], complaint: str) -> None:
    done = run(repository, model, *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]

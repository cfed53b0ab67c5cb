"""The benchmark of regions runs and writes what it says; what it measures is not looked at."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fmtc_tflite import ConvertOptions, convert
from model_builder import ModelBuilder

DEMO = Path(str(importlib.resources.files("fmtc_tflite") / "demo" / "demo_int8.tflite"))


def run(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    tool = repository / "tools" / "bench_regions.py"
    command = [sys.executable, tool, "--seconds", "0.1", "--loads", "2", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def one_convolution(path: str, seed: int = 0, name: str = "x", channels: int = 4, outputs: int = 1) -> str:
    builder = ModelBuilder(seed)
    graph = builder.graph()
    x = graph.input(name, [1, 8, 8, 3])
    for i in range(outputs):
        graph.output(graph.conv(x, channels, name=f"y{i}"))
    Path(path).write_bytes(builder.build())
    return path


@pytest.mark.parametrize("kernels", ["xnnpack", "builtin", "reference"])
def test_tables_and_json(repository: Path, kernels: str) -> None:
    convert(DEMO, "given.tflite", options=ConvertOptions(execution="regions", kernels=kernels))
    done = run(repository, f"{DEMO}=given.tflite", "--kernels", kernels, "--cpu_level", "scalar", "--json", "out.json")
    assert done.returncode == 0, done.stderr
    document = json.loads(Path("out.json").read_text())
    assert (document["cpu_level"], document["kernels"]) == ("scalar", kernels)
    (row,) = document["models"]
    for times in (row["original"], row["regions"]):
        assert 0 < times["least_us"] <= times["median_us"]
        assert 0 < times["load_us"] < times["load_and_first_us"]
        assert times["spread"] >= 0
    for ratio, what in (("ratio", "median_us"), ("load_ratio", "load_us")):
        assert row[ratio] == row["regions"][what] / row["original"][what]
    lines = done.stdout.splitlines()
    assert lines[0] == "our instructions: scalar"
    assert [len(line.split("|")) for line in lines if line.startswith("| demo_int8 |")] == [9, 9]
    assert f"| model | {kernels}, us |" in done.stdout


def test_threads(repository: Path) -> None:
    done = run(repository, DEMO, "--threads", "2", "--json", "out.json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(Path("out.json").read_text())["models"]
    for times in (row["original"], row["regions"]):
        assert times["speedup"] == times["one_thread_us"] / times["median_us"] > 0
    assert "| model | xnnpack, 1 thread, us | 2 threads | times faster |" in done.stdout
    assert done.stdout.count("| demo_int8 |") == 3


def test_a_model_is_converted(repository: Path) -> None:
    done = run(repository, DEMO, DEMO)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| demo_int8 |") == 4


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ({"name": "image"}, "different inputs: 'x' int8[1, 8, 8, 3]; and 'image' int8[1, 8, 8, 3]; expected"),
        ({"channels": 8}, "different outputs: 'y0' int8[1, 8, 8, 4]; and 'y0' int8[1, 8, 8, 8]; expected"),
        ({"outputs": 2}, "different outputs: 'y0' int8[1, 8, 8, 4]; and 'y0' int8[1, 8, 8, 4], 'y1'"),
        ({"seed": 1}, "b.tflite: its outputs are not those of a.tflite with the kernels xnnpack"),
    ],
)
def test_models_that_do_not_belong_together(repository: Path, other: dict[str, int | str], complaint: str) -> None:
    pair = f"{one_convolution('a.tflite')}={one_convolution('b.tflite', **other)}"
    done = run(repository, pair)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_a_file_that_is_no_model(repository: Path) -> None:
    Path("text").write_text("no model")
    done = run(repository, f"{DEMO}=text")
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: text: the runtime refuses it: ")

"""FMTC_REGION ops that are none: every tool says so in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.graph.model_io import load_model
from model_builder import GraphBuilder, ModelBuilder, Ref
from region_programs import copies

BIN = Path(sys.executable).parent


def no_inputs(graph: GraphBuilder, x: Ref, y: Ref) -> None:
    graph.op("FMTC_REGION", [], [y])


def no_program(graph: GraphBuilder, x: Ref, y: Ref) -> None:
    graph.op("FMTC_REGION", [x, x], [y])


def program(graph: GraphBuilder, content: bytes) -> Ref:
    return graph.tensor("program", [len(content)], "UINT8", scale=0, data=np.frombuffer(content, np.uint8))


def garbage(graph: GraphBuilder, x: Ref, y: Ref) -> None:
    graph.op("FMTC_REGION", [x, program(graph, b"FMRG" + bytes(range(200)))], [y])


def too_short(graph: GraphBuilder, x: Ref, y: Ref) -> None:
    graph.op("FMTC_REGION", [x, program(graph, b"FMRG")], [y])


def without_restore_data(graph: GraphBuilder, x: Ref, y: Ref) -> None:
    graph.op("FMTC_REGION", [x, program(graph, copies()[0].content)], [y])


def absent_input(graph: GraphBuilder, x: Ref, y: Ref) -> None:
    graph.op("FMTC_REGION", [None, program(graph, copies()[0].content)], [y])


BUILDERS = [no_inputs, no_program, garbage, too_short, without_restore_data, absent_input]


# What a tool has no need to refuse: a sound program without its original, and what only runtimes mind.
RUNS = [("profile", without_restore_data), ("eval", without_restore_data), ("profile", absent_input)]


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "samples.npz"
    np.savez(path, x=np.zeros((4, 5, 3, 3), np.int8), labels=np.zeros(4, np.int64))
    return path


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("tool", ["convert", "restore", "profile", "eval"])
def test_one_line(build: object, tool: str, tmp_path: Path, samples: Path) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x, y = graph.input("x", [1, 5, 3, 3]), graph.tensor("y", [1, 5, 3, 3])
    build(graph, x, y)  # type: ignore[operator]
    graph.output(y)
    model = tmp_path / "model.tflite"
    model.write_bytes(load_model(builder.build()).to_bytes() if build is without_restore_data else builder.build())
    command = {
        "convert": ["fmtc-convert", model, "--execution", "regions"],
        "restore": ["fmtc-convert", "--restore", model],
        "profile": ["fmtc-profile", model],
        "eval": ["fmtc-eval", "--model_file", model, "--data", samples],
    }[tool]
    result = subprocess.run([BIN / command[0], *map(str, command[1:])], capture_output=True, text=True)
    runs = (tool, build) in RUNS
    assert result.returncode == (0 if runs else 2), (result.stdout, result.stderr)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == (0 if runs else 1), result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.tflite", "samples.npz"]

"""Models as C source: what it says of itself, and that it builds and runs, here and on an emulated board."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from fmtc_tflite.conversion.emit_c import bare_program, source_files
from fmtc_tflite.errors import UnsupportedModelError
from fmtc_tflite.runtime.region import RegionProgram
from model_builder import GraphBuilder, ModelBuilder, chain


def written(folder: Path, content: bytes, name: str = "a model-2") -> Path:
    for file, data in source_files(bare_program(content, name)).items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def run(*command: str | Path) -> None:
    found = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def with_two_inputs() -> bytes:
    builder = ModelBuilder()
    graph: GraphBuilder = builder.graph()
    a, b = (graph.input(name, [1, 8, 8, 4]) for name in "ab")
    graph.output(graph.conv(graph.add(a, b), 4))
    return builder.build()


def test_memory_is_what_the_header_says() -> None:
    bare = bare_program(chain(), "net")
    report = bare.report()
    assert bare.takes_rows
    assert report["peak_bytes"] == bare.scratch_bytes + 16 * 16 * 3
    assert report["peak_bytes_by_rows"] == bare.scratch_bytes + 16 * 3
    header = source_files(bare)["net.h"].decode()
    constants = dict(re.findall(r"#define NET_(\w+) (\d+)", header))
    assert int(constants["SCRATCH_BYTES"]) == bare.scratch_bytes
    assert (constants["ROWS"], constants["ROW_BYTES"]) == ("16", str(16 * 3))


def test_array_is_the_program() -> None:
    bare = bare_program(chain(), "net")
    array = source_files(bare)["net.cc"].decode().partition("{")[2]
    assert bytes(int(value) for value in re.findall(r"\d+", array)) == bare.program.content


def test_several_inputs_are_not_pushed() -> None:
    bare = bare_program(with_two_inputs(), "net")
    assert not bare.takes_rows
    assert bare.report()["peak_bytes_by_rows"] is None
    assert "fmtc_region_invoke" in source_files(bare)["main.cc"].decode()


def test_names_that_are_no_identifiers() -> None:
    assert bare_program(chain(), "8 bit-net").name == "model_8_bit_net"


def test_op_that_nothing_runs_is_named() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 8, 8, 4]), 4)
    graph.output(graph.unary("L2_NORMALIZATION", x))
    with pytest.raises(UnsupportedModelError, match=r"op 1 \(L2_NORMALIZATION\)"):
        bare_program(builder.build(), "net")


def test_means_of_moved_maps_are_those_of_the_maps() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 6, 5, 4]), 12)
    order = graph.tensor("order", [4], "INT32", data=np.array([0, 3, 1, 2], np.int32), scale=0)
    moved = graph.tensor("moved", [1, 12, 6, 5], scale=x.scale, zero_point=x.zero_point)
    graph.op("TRANSPOSE", [x, order], [moved], schema.TransposeOptionsT(), version=2)
    for name, axis, shape in (("columns", 3, [1, 12, 6]), ("rows", 2, [1, 12])):
        axes = graph.tensor(f"axis_of_{name}", [1], "INT32", data=np.array([axis], np.int32), scale=0)
        mean = graph.tensor(name, shape, scale=0.03, zero_point=-7)
        graph.op("MEAN", [moved, axes], [mean], schema.ReducerOptionsT(keepDims=False), version=2)
        moved = mean
    graph.output(moved)
    content = builder.build()
    program = RegionProgram(bare_program(content, "net").program.content)
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for _ in range(8):
        given = builder.rng.integers(-128, 128, (1, 6, 5, 4)).astype(np.int8)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
        interpreter.invoke()
        expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        assert (program.run([given])[0].ravel() == expected.ravel()).all()


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs CMake")
@pytest.mark.parametrize("make", [chain, with_two_inputs])
def test_builds_and_runs_here(tmp_path: Path, make: Callable[[], bytes]) -> None:
    written(tmp_path, make())
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build")
    run("cmake", "--build", tmp_path / "build", "--parallel", "2")
    run(tmp_path / "build" / "a_model_2")


@pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("cmake", "arm-none-eabi-g++", "qemu-system-arm")),
    reason="needs CMake, GCC for Arm's microcontrollers and QEMU",
)
@pytest.mark.parametrize(
    ("cpu", "board"), [("cortex-m4", "mps2_an386"), ("cortex-m55", "mps3_an547")], ids=["m4", "m55"]
)
def test_builds_and_runs_on_a_board(tmp_path: Path, cpu: str, board: str) -> None:
    written(tmp_path, chain())
    toolchain = tmp_path / "fmtc" / "cmake" / "arm-none-eabi.cmake"
    options = [f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", f"-DFMTC_CPU={cpu}", f"-DFMTC_BOARD={board}"]
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", *options)
    run("cmake", "--build", tmp_path / "build", "--parallel", "2")
    emulator = ["qemu-system-arm", "-M", board.replace("_", "-"), "-nographic", "-semihosting", "-kernel"]
    run(*emulator, tmp_path / "build" / "a_model_2")

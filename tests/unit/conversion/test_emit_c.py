"""Models as C source: what it says of itself, and that it builds and runs, here and on an emulated board."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fmtc_tflite.conversion.emit_c import bare_program, source_files
from fmtc_tflite.errors import UnsupportedModelError
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

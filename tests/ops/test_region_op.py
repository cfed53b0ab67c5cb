"""FMTC_REGION in the stock runtimes: a hand-made program between ordinary ops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.writer import serialize
from fmtc_tflite.runtime.interpreter import load_interpreter
from fmtc_tflite.runtime.region import RegionProgram
from model_builder import ModelBuilder
from region_programs import convolution

pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
HEIGHT, WIDTH = 6, 5


def region_model(content: bytes) -> bytes:
    """int8 input -> region -> CONV_2D."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, HEIGHT, WIDTH, 3])
    program = graph.tensor("program", [len(content)], "UINT8", scale=0, data=np.frombuffer(content, np.uint8))
    y = graph.tensor("y", [1, HEIGHT, WIDTH, 5])
    graph.op("FMTC_REGION", [x, program], [y])
    graph.output(y)
    graph.output(graph.conv(y, 4))
    return serialize(load_model(builder.build()))


def opened(path: Path, runtime: str, builtin_kernels_only: bool = False) -> Any:
    return load_interpreter(path, runtime, builtin_kernels_only=builtin_kernels_only)


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(region_model(convolution()[0].content))
    return path


@pytest.mark.parametrize("builtin_kernels_only", [False, True])
def test_equals_the_program_alone_at_any_batch(runtime: str, model_path: Path, builtin_kernels_only: bool) -> None:
    interpreter = opened(model_path, runtime, builtin_kernels_only)
    program = RegionProgram(convolution()[0].content)
    rng = np.random.default_rng(3)
    number = interpreter.get_input_details()[0]["index"]
    for batch in (1, 3, 2):
        interpreter.resize_tensor_input(number, [batch, HEIGHT, WIDTH, 3])
        interpreter.allocate_tensors()
        x = rng.integers(-128, 128, (batch, HEIGHT, WIDTH, 3)).astype(np.int8)
        for _ in range(2):
            interpreter.set_tensor(number, x)
            interpreter.invoke()
            y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
            np.testing.assert_array_equal(y, program.run([x])[0])


def test_model_content_in_memory(runtime: str, model_path: Path) -> None:
    interpreter = load_interpreter(model_content=model_path.read_bytes(), runtime=runtime)
    interpreter.allocate_tensors()
    interpreter.invoke()


def test_another_size_is_refused(runtime: str, model_path: Path) -> None:
    interpreter = opened(model_path, runtime)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [1, HEIGHT + 1, WIDTH, 3])
    with pytest.raises(RuntimeError, match=r"got int8 \[1,7,5,3\]; convert again with --input_shape for this size"):
        interpreter.allocate_tensors()


def test_a_damaged_program_is_refused(runtime: str, tmp_path: Path) -> None:
    content = bytearray(convolution()[0].content)
    content[200] ^= 1
    path = tmp_path / "model.tflite"
    path.write_bytes(region_model(bytes(content)))
    with pytest.raises((RuntimeError, ValueError), match="its checksum does not match"):
        opened(path, runtime).allocate_tensors()

"""SOFTMAX in fixed point: what TensorFlow Lite Micro's interpreter (0.dev20261023182759) gave, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.conversion.emit_c import bare_program
from fmtc_tflite.errors import UnsupportedModelError
from fmtc_tflite.regions.reference.machine import run_program
from fmtc_tflite.runtime.region import RegionProgram
from model_builder import ModelBuilder

# beta, the input's scale, its values, and the outputs.
GIVEN = [
    (1.0, 0.05, [47, 68, -57, 69, 15, 22, 40, -15], [-96, -38, -128, -33, -122, -119, -106, -127]),
    (1.0, 0.3, [96, -52, -16, 1, 31, 5, -40, -53], [127, -128, -128, -128, -128, -128, -128, -128]),
    (0.5, 0.01, [-60, -53, -37, 99, -30, 44, 60, -23], [-105, -104, -102, -78, -102, -90, -87, -101]),
]


def softmax(beta: float, scale: float, output_scale: float = 1 / 256) -> bytes:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 8], scale=scale, zero_point=3)
    options = schema.SoftmaxOptionsT(beta=beta)
    graph.output(graph.unary("SOFTMAX", x, options, "y", scale=output_scale, zero_point=-128))
    return builder.build()


@pytest.mark.parametrize(("beta", "scale", "values", "expected"), GIVEN)
def test_outputs_are_those_of_the_interpreter(
    beta: float, scale: float, values: list[int], expected: list[int]
) -> None:
    program = bare_program(softmax(beta, scale), "net").program.content
    given = np.array(values, np.int8).reshape(1, 1, 1, 8)
    for outputs in (run_program(program, [given]), RegionProgram(program).run([given])):
        assert outputs[0].ravel().tolist() == expected


def test_other_scales_of_the_output_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="its output's scale is not 1/256"):
        bare_program(softmax(1.0, 0.1, 1 / 128), "net")


def test_inputs_without_differences_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="its input's scale is too small"):
        bare_program(softmax(1.0, 1e-9), "net")

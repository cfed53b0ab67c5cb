"""Open shapes, fixed."""

from __future__ import annotations

import numpy as np
import pytest

from fmtc_tflite.errors import UnsupportedModelError, UsageError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.inference.input_shapes import fix_input_shapes
from fmtc_tflite.types import parse_input_shape
from model_builder import ModelBuilder


def open_model() -> bytes:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("image:0", [1, 1, 1, 3], signature=[-1, -1, -1, 3])
    y = graph.conv(x, 8, 3, stride=2, name="features", signature=[-1, -1, -1, 8])
    graph.output(graph.conv(y, 4, name="scores", signature=[-1, -1, -1, 4]))
    return builder.build()


def test_shapes_follow() -> None:
    fixed = load_model(fix_input_shapes(open_model(), [parse_input_shape("image:0:2,24,20,3")]))
    shapes = {t.name: t.shape for t in fixed.subgraphs[0].tensors}
    assert (shapes["image:0"], shapes["features"], shapes["scores"]) == ((2, 24, 20, 3), (2, 12, 10, 8), (2, 12, 10, 4))
    assert all(t.shape_signature is None for t in fixed.subgraphs[0].tensors if t.data is None)
    assert fix_input_shapes(open_model(), []) == open_model()


@pytest.mark.parametrize("text", ["", "x", "x:", ":1,2", "x:1,,2", "x:1,a", "x:1,-1", "x:0"])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(UsageError, match="expected NAME"):
        parse_input_shape(text)


def test_what_does_not_fit() -> None:
    with pytest.raises(UsageError, match="no input 'other'; it has 'image:0'"):
        fix_input_shapes(open_model(), [("other", (1, 8, 8, 3))])
    with pytest.raises(UsageError, match="got 3 sizes, expected 4"):
        fix_input_shapes(open_model(), [("image:0", (8, 8, 3))])
    with pytest.raises(UnsupportedModelError, match="refuses"):
        fix_input_shapes(open_model(), [("image:0", (1, 8, 8, 5))])


def test_constants_keep_their_bytes() -> None:
    content = open_model()
    fixed = load_model(fix_input_shapes(content, [("image:0", (1, 8, 8, 3))]))
    for before, after in zip(load_model(content).subgraphs[0].tensors, fixed.subgraphs[0].tensors, strict=True):
        if before.data is not None and after.data is not None:
            np.testing.assert_array_equal(before.data, after.data)

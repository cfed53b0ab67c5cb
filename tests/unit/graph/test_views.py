"""Views of a map: chains of steps beside the same steps in numpy, and ops that are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import copy_networks
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.operators.views import UNCHANGED, View, says_again, then
from model_builder import ModelBuilder


@given(st.data())
def test_chains_are_what_their_steps_are(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    x = rng.integers(0, 256, (2, *rng.integers(1, 6, 3))).astype(np.uint8)
    view, expected = View.whole(x.shape), x
    for _ in range(int(rng.integers(1, 6))):
        kind = rng.choice(["pad", "cut", "transpose", "table", "reshape"], p=[0.3, 0.3, 0.2, 0.15, 0.05])
        if kind == "pad":
            around = [(int(a), int(b)) for a, b in rng.integers(0, 3, (3, 2))]
            value = int(rng.integers(0, 2))
            found = view.padded(around, value)
            expected = np.pad(expected, [(0, 0), *around], constant_values=value)
        elif kind == "cut":
            begins = [int(rng.integers(0, size)) for size in expected.shape[1:]]
            steps = [int(step) for step in rng.integers(1, 4, 3)]
            parts = [slice(b, int(rng.integers(b + 1, n + 1)), s)
                     for b, n, s in zip(begins, expected.shape[1:], steps, strict=True)]  # fmt: skip
            found = view.cut(parts)
            expected = expected[:, parts[0], parts[1], parts[2]]
        elif kind == "transpose":
            order = [int(axis) for axis in rng.permutation(3)]
            found = view.transposed(order)
            expected = expected.transpose(0, *(1 + axis for axis in order))
        elif kind == "table":
            table = rng.integers(0, 256, 256).astype(np.uint8)
            found = view.remapped(table)
            expected = table[expected]
        else:
            found = view.reshaped((1, expected[0].size, 1))
            expected = expected.reshape(len(x), 1, -1, 1)
        if found is None:  # two borders, a step behind another shape, or nothing but border
            return
        view = found
        assert np.array_equal(view.apply(x), expected)


def test_what_is_no_view() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 8, 8, 4])
    graph.output(graph.conv(x, 4, name="conv"))
    graph.output(graph.max_pool(x, name="pool"))
    graph.output(graph.reshape(x, [1, 256], "flat"))
    graph.output(graph.reshape(x, [8, 8, 4, 1], "other_batch"))
    graph.output(graph.dequantize(x, "real"))
    graph.output(copy_networks.transpose(graph, x, [1, 0, 2, 3], "moved_batch"))
    for op in load_model(builder.build()).subgraphs[0].ops:
        assert not says_again(op), op.opcode


@pytest.mark.parametrize("value", [-128, -1, 0, 127])
def test_the_border_is_a_byte(value: int) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 4, 4, 2])
    graph.output(copy_networks.pad(graph, x, [[1, 0], [0, 0], [0, 0]], "padded", value=value))
    (op,) = load_model(builder.build()).subgraphs[0].ops
    view = then(View.whole((1, 4, 4, 2)), op, UNCHANGED)
    assert view is not None
    assert np.uint8(view.border).astype(np.int8) == value

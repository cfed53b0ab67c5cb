"""The head of a TensorFlow Lite Micro arena."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.memory.micro_arena import Buffer, MicroHead, greedy_offsets, kernel_scratch, plan_head
from fmtc_tflite.memory.micro_tail import plan_tail
from model_builder import ModelBuilder

LIVES = st.tuples(st.integers(1, 40).map(lambda n: 16 * n), st.integers(0, 6), st.integers(0, 6))


def head_of(builder: ModelBuilder) -> MicroHead:
    subgraph = load_model(builder.build()).subgraphs[0]
    return plan_head(subgraph.tensors, subgraph.ops, subgraph.inputs, subgraph.outputs)


def test_inputs_are_freed_behind_their_last_reader() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 8, 8, 64])
    x = graph.conv(x, 4)
    x = graph.conv(x, 48)
    graph.output(graph.conv(x, 8))
    head = head_of(builder)
    # The input and the first result; then 8 * 8 * (48 + 8), which begin at its place.
    assert head.capacity_bytes == 64 * (64 + 4)
    assert head.peak_op_name == "CONV_2D"


def test_a_tensor_that_nobody_uses_takes_memory() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 8, 8, 4])
    graph.tensor("unused", [1, 64, 64, 4])
    graph.output(graph.conv(x, 4))
    assert head_of(builder).capacity_bytes == 64 * 64 * 4


def test_the_first_gap_is_taken_and_not_the_smallest() -> None:
    buffers = [
        Buffer(1000, 0, 0),  # leaves a large gap at point 1
        Buffer(900, 0, 1),
        Buffer(300, 0, 0),  # leaves a gap that is just as large as the last one
        Buffer(280, 0, 1),
        Buffer(272, 1, 1),
    ]
    assert greedy_offsets(buffers) == [0, 1000, 1900, 2200, 0]


def test_of_equal_buffers_the_later_is_placed_first() -> None:
    assert greedy_offsets([Buffer(16, 0, 0), Buffer(16, 0, 0)]) == [16, 0]


@given(st.lists(LIVES, max_size=12))
def test_buffers_that_live_at_once_do_not_overlap(lives: list[tuple[int, int, int]]) -> None:
    buffers = [Buffer(size, min(pair), max(pair)) for size, *pair in lives]
    placed = list(zip(greedy_offsets(buffers), buffers, strict=True))
    for number, (start, one) in enumerate(placed):
        for other_start, other in placed[:number]:
            at_once = one.first <= other.last and other.first <= one.last
            assert not at_once or start + one.size <= other_start or other_start + other.size <= start


def test_reference_kernels_ask_for_scratch_memory() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 8, 8, 5])
    axes = graph.constant("axes", np.array([1, 2], np.int32), 0)
    y = graph.tensor("y", [1, 5])
    graph.op("MEAN", [x, axes], [graph.output(y)], schema.ReducerOptionsT())
    op = load_model(builder.build()).subgraphs[0].ops[0]
    assert list(kernel_scratch(op)) == [4 * 5, 4 * 4, 4 * 2]  # sums, a place in the input, axes


def test_tails_of_unknown_ops_are_lower_bounds() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    graph.output(graph.conv(graph.input("x", [1, 8, 8, 4]), 4))
    subgraph = load_model(builder.build()).subgraphs[0]
    tail = plan_tail(subgraph, 8)
    assert tail.unknown == ("CONV_2D",)
    assert plan_tail(subgraph, 4).bytes < tail.bytes

"""A small streaming model, as keyword spotters are: a ring of past frames in a resource variable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import GraphBuilder, ModelBuilder, Ref

FRAMES, FEATURES, CHANNELS, KEPT = 4, 16, 32, 12
STEP_SHAPE = (FRAMES, 1, FEATURES)


def _handle(graph: GraphBuilder) -> Ref:
    handle = graph.tensor("stream/handle", [], "RESOURCE")
    graph.op("VAR_HANDLE", [], [handle], schema.VarHandleOptionsT(container=b"", sharedName=b"stream/state"))
    return handle


def _tall_conv(graph: GraphBuilder, x: Ref, height: int, channels: int, name: str, activation: int = 1) -> Ref:
    """A convolution over `height` rows of a column, without padding."""
    rng = graph.builder.rng
    weights = np.clip(np.round(rng.normal(size=(channels, height, 1, x.shape[3])) * 35), -127, 127).astype(np.int8)
    scale = 0.6 / np.sqrt(height * x.shape[3]) / 35
    constants = [
        graph.constant(f"{name}/w", weights, scale),
        graph.constant(f"{name}/b", rng.integers(-50, 50, channels).astype(np.int32), scale * x.scale),
    ]
    shape = [1, x.shape[1] - height + 1, 1, channels]
    y = graph.tensor(name, shape, scale=0.02, zero_point=-128 if activation else 0)
    options = schema.Conv2DOptionsT(
        padding=schema.Padding.VALID, strideW=1, strideH=1, fusedActivationFunction=activation
    )
    graph.op("CONV_2D", [x, *constants], [y], options, version=3)
    return y


def streaming(front: Sequence[int] = ()) -> bytes:
    """[1, 4, 1, 16] -> scores of the last 16 frames, [1, 1, 1, 4]; a second subgraph empties the ring once.

    Args:
      front: channels of further convolutions before the ring.
    """
    builder = ModelBuilder()
    graph = builder.graph()
    frames = graph.input("frames", [1, *STEP_SHAPE], scale=0.02)
    graph.op("CALL_ONCE", [], [], schema.CallOnceOptionsT(initSubgraphIndex=1))
    handle = _handle(graph)
    x = frames
    for number, channels in enumerate(front):
        x = _tall_conv(graph, x, 1, channels, f"front_{number}")
    first = _tall_conv(graph, x, 1, CHANNELS, "first")
    quantized = {"scale": 0.02, "zero_point": -128}
    past = graph.tensor("past", [1, KEPT, 1, CHANNELS], **quantized)
    graph.op("READ_VARIABLE", [handle], [past], schema.ReadVariableOptionsT())
    whole = graph.tensor("whole", [1, KEPT + FRAMES, 1, CHANNELS], **quantized)
    graph.op("CONCATENATION", [past, first], [whole], schema.ConcatenationOptionsT(axis=1), version=2)
    kept = graph.tensor("kept", past.shape, **quantized)
    ends = ([0, FRAMES, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1])
    ranges = [graph.constant(f"range_{i}", np.array(v, np.int32), 0) for i, v in enumerate(ends)]
    options = schema.StridedSliceOptionsT(beginMask=13, endMask=15)
    graph.op("STRIDED_SLICE", [whole, *ranges], [kept], options, version=2)
    graph.op("ASSIGN_VARIABLE", [handle, kept], [], schema.AssignVariableOptionsT())
    second = _tall_conv(graph, whole, KEPT + FRAMES, 16, "second")
    graph.output(_tall_conv(graph, second, 1, 4, "scores", activation=0))
    start = builder.graph("start")
    empty = start.tensor("empty", past.shape, **quantized, data=np.full(past.shape, -128, np.int8))
    start.op("ASSIGN_VARIABLE", [_handle(start), empty], [], schema.AssignVariableOptionsT())
    return builder.build()


def stream(seed: int, steps: int) -> np.ndarray:
    """Smooth features, int8 [steps, 4, 1, 16]."""
    noise = np.random.default_rng(seed).normal(size=(steps * FRAMES, FEATURES)).cumsum(1)
    waves = noise * 6 + 50 * np.sin(np.arange(len(noise)) / 9.0)[:, None]
    return np.clip(np.round(waves), -128, 127).astype(np.int8).reshape(steps, *STEP_SHAPE)

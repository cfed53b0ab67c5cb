"""Small networks with maps that only say another map again, one for each kind and way of chaining them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import ACTIVATION, GraphBuilder, ModelBuilder, Ref

SIZE, CHANNELS = 12, 6


def pad(graph: GraphBuilder, x: Ref, paddings: Sequence[Sequence[int]], name: str, value: int | None = None) -> Ref:
    """PAD, or PADV2 with a value; paddings of rows, columns and channels."""
    shape = [x.shape[0], *(size + sum(around) for size, around in zip(x.shape[1:], paddings, strict=True))]
    result = graph.tensor(name, shape, x.dtype, scale=x.scale, zero_point=x.zero_point)
    amounts = graph.constant(f"{name}/paddings", np.array([[0, 0], *paddings], np.int32), 0)
    if value is None:
        graph.op("PAD", [x, amounts], [result], schema.PadOptionsT(), version=2)
        return result
    data = np.array([value], x.dtype.lower())
    one = graph.tensor(f"{name}/value", [1], x.dtype, scale=x.scale, zero_point=x.zero_point, data=data)
    graph.op("PADV2", [x, amounts, one], [result], schema.PadV2OptionsT(), version=2)
    return result


def cut(graph: GraphBuilder, x: Ref, cuts: Sequence[slice], name: str) -> Ref:
    """STRIDED_SLICE of rows, columns and channels."""
    parts = [slice(0, x.shape[0], 1), *(slice(*c.indices(n)) for c, n in zip(cuts, x.shape[1:], strict=True))]
    shape = [len(range(p.start, p.stop, p.step)) for p in parts]
    result = graph.tensor(name, shape, x.dtype, scale=x.scale, zero_point=x.zero_point)
    numbers = [[p.start for p in parts], [p.stop for p in parts], [p.step for p in parts]]
    ranges = [graph.constant(f"{name}/{i}", np.array(n, np.int32), 0) for i, n in enumerate(numbers)]
    graph.op("STRIDED_SLICE", [x, *ranges], [result], schema.StridedSliceOptionsT(), version=2)
    return result


def plain_slice(graph: GraphBuilder, x: Ref, begin: Sequence[int], sizes: Sequence[int], name: str) -> Ref:
    """SLICE of rows, columns and channels."""
    shape = [x.shape[0], *(n - b if s == -1 else s for b, s, n in zip(begin, sizes, x.shape[1:], strict=True))]
    result = graph.tensor(name, shape, x.dtype, scale=x.scale, zero_point=x.zero_point)
    constants = [
        graph.constant(f"{name}/{i}", np.array(n, np.int32), 0) for i, n in enumerate(([0, *begin], [-1, *sizes]))
    ]
    graph.op("SLICE", [x, *constants], [result], schema.SliceOptionsT(), version=2)
    return result


def transpose(graph: GraphBuilder, x: Ref, order: Sequence[int], name: str) -> Ref:
    shape = [x.shape[axis] for axis in order]
    result = graph.tensor(name, shape, x.dtype, scale=x.scale, zero_point=x.zero_point)
    permutation = graph.constant(f"{name}/order", np.array(order, np.int32), 0)
    graph.op("TRANSPOSE", [x, permutation], [result], schema.TransposeOptionsT(), version=2)
    return result


def valid_conv(graph: GraphBuilder, x: Ref, channels: int, stride: int, name: str) -> Ref:
    """A 3x3 CONV_2D without padding, with RELU6."""
    rng = graph.builder.rng
    height, width = ((size - 3) // stride + 1 for size in x.shape[1:3])
    result = graph.tensor(name, [x.shape[0], height, width, channels], x.dtype, scale=0.03, zero_point=-128)
    weights = graph.constant(f"{name}/w", rng.integers(-127, 128, (channels, 3, 3, x.shape[3])).astype(np.int8), 0.01)
    bias = graph.constant(f"{name}/b", rng.integers(-100, 100, channels).astype(np.int32), x.scale * 0.01)
    options = schema.Conv2DOptionsT(
        padding=schema.Padding.VALID, strideW=stride, strideH=stride, fusedActivationFunction=ACTIVATION.RELU6
    )
    graph.op("CONV_2D", [x, weights, bias], [result], options, version=3)
    return result


def depthwise(graph: GraphBuilder, x: Ref, stride: int, name: str) -> Ref:
    """A 3x3 DEPTHWISE_CONV_2D without padding, with RELU6."""
    rng = graph.builder.rng
    height, width = ((size - 3) // stride + 1 for size in x.shape[1:3])
    result = graph.tensor(name, [x.shape[0], height, width, x.shape[3]], x.dtype, scale=0.03, zero_point=-128)
    weights = graph.constant(f"{name}/w", rng.integers(-127, 128, (1, 3, 3, x.shape[3])).astype(np.int8), 0.01)
    bias = graph.constant(f"{name}/b", rng.integers(-100, 100, x.shape[3]).astype(np.int32), x.scale * 0.01)
    options = schema.DepthwiseConv2DOptionsT(
        padding=schema.Padding.VALID, strideW=stride, strideH=stride, depthMultiplier=1,
        fusedActivationFunction=ACTIVATION.RELU6,
    )  # fmt: skip
    graph.op("DEPTHWISE_CONV_2D", [x, weights, bias], [result], options, version=3)
    return result


# Kind -> the copies, in order, of a map [1, 12, 12, 6] of 8 bits.
KINDS: dict[str, Callable[[GraphBuilder, Ref], Ref]] = {
    "pad": lambda g, x: pad(g, x, [[1, 1], [1, 1], [0, 0]], "copy"),
    "pad one side": lambda g, x: pad(g, x, [[0, 1], [0, 2], [0, 0]], "copy"),
    "padv2": lambda g, x: pad(g, x, [[2, 0], [1, 3], [0, 0]], "copy", value=17),
    "channel pad": lambda g, x: pad(g, x, [[0, 0], [0, 0], [3, 3]], "copy"),
    "strided slice": lambda g, x: cut(g, x, [slice(None, None, 2), slice(1, None, 2), slice(None)], "copy"),
    "slice": lambda g, x: plain_slice(g, x, [2, 0, 1], [7, -1, 4], "copy"),
    "transpose": lambda g, x: transpose(g, x, [0, 3, 1, 2], "copy"),
    "reshape": lambda g, x: g.reshape(x, [1, 6, 24, 6], "copy"),
    "quantize, the other type": lambda g, x: g.quantize(
        x, "UINT8", "copy", scale=x.scale, zero_point=x.zero_point + 128
    ),
    "slice, then channel pad": lambda g, x: pad(
        g,
        cut(g, x, [slice(None, None, 2), slice(None, None, 2), slice(None)], "part"),
        [[0, 0], [0, 0], [3, 3]],
        "copy",
    ),
    "pad, then pad": lambda g, x: pad(g, pad(g, x, [[1, 0], [1, 0], [0, 0]], "part"), [[0, 1], [2, 1], [0, 0]], "copy"),
    "pad, then slice": lambda g, x: cut(
        g, pad(g, x, [[3, 3], [1, 1], [0, 0]], "part"), [slice(1, 17, 3), slice(0, 13, 1), slice(1, 6)], "copy"
    ),
    "transpose, then pad": lambda g, x: pad(g, transpose(g, x, [0, 2, 3, 1], "part"), [[1, 1], [2, 0], [0, 1]], "copy"),
    "pad, then quantize": lambda g, x: g.quantize(
        pad(g, x, [[1, 1], [1, 1], [0, 0]], "part"), "UINT8", "copy", scale=x.scale, zero_point=x.zero_point + 128
    ),
    "pad, then reshape": lambda g, x: g.reshape(pad(g, x, [[1, 1], [0, 0], [0, 0]], "part"), [1, 12, 14, 6], "copy"),
    "padded with two values": lambda g, x: pad(
        g, pad(g, x, [[1, 1], [1, 1], [0, 0]], "part", value=5), [[1, 1], [1, 1], [0, 0]], "copy"
    ),
}


def network(kind: str, also_read: bool) -> bytes:
    """image -> features -> copies of a kind -> end; `also_read`: features are read as they are, too."""
    builder = ModelBuilder(seed=len(kind))
    graph = builder.graph()
    image = graph.input("image", [1, SIZE, SIZE, 3])
    features = graph.conv(image, CHANNELS, 3, activation="RELU", name="features", zero_point=-100)
    copy = KINDS[kind](graph, features)
    if also_read:
        graph.output(graph.conv(features, 4, 3, name="beside"))
    graph.output(graph.max_pool(copy, 2, name="end"))
    return builder.build()


def of_input(dtype: str = "UINT8") -> bytes:
    """A uint8 image in rows of planes -> QUANTIZE -> TRANSPOSE -> PAD -> convolutions."""
    builder = ModelBuilder(seed=3)
    graph = builder.graph()
    image = graph.input("image", [1, 3, SIZE, SIZE], dtype, scale=0.02, zero_point=100)
    signed = graph.quantize(image, "INT8", "signed", scale=0.02, zero_point=-28)
    padded = pad(graph, transpose(graph, signed, [0, 2, 3, 1], "rows"), [[1, 1], [1, 1], [0, 0]], "padded")
    stem = valid_conv(graph, padded, 8, 1, "stem")
    graph.output(graph.conv(stem, 4, 3, name="end"))
    return builder.build()


def mobile_network(blocks: int = 3, size: int = 32, width: int = 8) -> bytes:
    """What exporters make of a MobileNetV2 of PyTorch: planes first, a PAD before each convolution of 3x3."""
    builder = ModelBuilder(seed=5)
    graph = builder.graph()
    image = graph.input("image", [1, 3, size, size], scale=0.02)
    rows = transpose(graph, image, [0, 2, 3, 1], "rows")
    x = valid_conv(graph, pad(graph, rows, [[1, 1], [1, 1], [0, 0]], "padded"), width, 2, "stem")
    for number in range(blocks):
        stride = 2 if number == blocks - 1 else 1
        wide = graph.conv(x, 6 * width, activation="RELU6", name=f"wide_{number}", scale=0.03, zero_point=-128)
        around = pad(graph, wide, [[1, 1], [1, 1], [0, 0]], f"around_{number}")
        narrow = graph.conv(depthwise(graph, around, stride, f"depthwise_{number}"), width, name=f"narrow_{number}")
        x = graph.add(x, narrow, name=f"sum_{number}") if stride == 1 and number else narrow
    graph.output(graph.conv(x, 4, name="end"))
    return builder.build()

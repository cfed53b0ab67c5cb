"""Random ops that move values without computing new ones, for single_ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import Ref

if TYPE_CHECKING:
    from single_ops import Maker


def _pad(maker: Maker) -> Ref:
    x = maker.input(maker.shape(20, 7))
    paddings = np.array([(0, 0), *((maker.integer(0, 3), maker.integer(0, 3)) for _ in range(3))], np.int32)
    shape = tuple(size + int(pad.sum()) for size, pad in zip(x.shape, paddings, strict=True))
    y = maker.result(shape, **maker.same_as(x))
    operands = [x, maker.graph.constant("paddings", paddings, 0)]
    if maker.opcode == "PADV2":
        value = maker.rng.integers(0, 256, 1).astype(np.uint8).view(maker.dtype.lower())
        operands.append(maker.graph.tensor("value", (1,), maker.dtype, data=value, **maker.same_as(x)))
    options = schema.PadOptionsT() if maker.opcode == "PAD" else schema.PadV2OptionsT()
    maker.graph.op(maker.opcode, operands, [y], options, version=2)
    return y


def _mirror_pad(maker: Maker) -> Ref:
    x = maker.input(maker.shape(20, 7))
    mode = maker.pick(schema.MirrorPadMode.REFLECT, schema.MirrorPadMode.SYMMETRIC)
    most = [size - (mode == schema.MirrorPadMode.REFLECT) for size in x.shape[1:]]
    paddings = [(0, 0), *((maker.integer(0, min(n, 4)), maker.integer(0, min(n, 4))) for n in most)]
    if maker.rng.random() < 0.7:
        paddings[3] = (0, 0)
    y = maker.result(tuple(size + sum(p) for size, p in zip(x.shape, paddings, strict=True)), **maker.same_as(x))
    options = schema.MirrorPadOptionsT(mode=mode)
    maker.graph.op("MIRROR_PAD", [x, maker.numbers("paddings", paddings)], [y], options, version=2)
    return y


def _strided_slice(maker: Maker) -> Ref:
    x = maker.input(maker.shape(20))
    options = schema.StridedSliceOptionsT(beginMask=maker.pick(0, 0, 6, 15), endMask=maker.pick(0, 0, 10, 15))
    begins, ends, steps = [0], [x.shape[0]], [1]
    for size in x.shape[1:]:
        begins.append(maker.integer(0, size - 1))
        ends.append(maker.integer(begins[-1] + 1, size + 2))
        steps.append(maker.pick(1, 1, 2, 3))
        begins[-1] -= size if maker.rng.random() < 0.2 else 0
    resolved = []
    for axis, (begin, end, step, size) in enumerate(zip(begins, ends, steps, x.shape, strict=True)):
        first = None if options.beginMask >> axis & 1 else begin
        resolved.append(len(range(*slice(first, None if options.endMask >> axis & 1 else end, step).indices(size))))
    if maker.rng.random() < 0.2:  # the row axis is dropped
        options.shrinkAxisMask, ends[1], steps[1] = 2, begins[1] + 1 or x.shape[1], 1
        del resolved[1]
    y = maker.result(tuple(resolved), **maker.same_as(x))
    constants = [maker.numbers(f"c{index}", values) for index, values in enumerate((begins, ends, steps))]
    maker.graph.op("STRIDED_SLICE", [x, *constants], [y], options, version=2)
    return y


def _slice(maker: Maker) -> Ref:
    x = maker.input(maker.shape(20))
    begins = [0, *(maker.integer(0, size - 1) for size in x.shape[1:])]
    sizes = [x.shape[0], *(maker.integer(1, n - b) for n, b in zip(x.shape[1:], begins[1:], strict=True))]
    y_shape = list(sizes)
    if maker.rng.random() < 0.3:
        sizes[2], y_shape[2] = -1, x.shape[2] - begins[2]
    y = maker.result(tuple(y_shape), **maker.same_as(x))
    constants = [maker.numbers("begins", begins), maker.numbers("sizes", sizes)]
    maker.graph.op("SLICE", [x, *constants], [y], schema.SliceOptionsT(), version=2)
    return y


def _split(maker: Maker) -> list[Ref]:
    count, axis = maker.integer(2, 4), maker.integer(1, 3)
    shape = list(maker.shape(8))
    shape[axis] *= count
    x = maker.input(tuple(shape))
    shape[axis] //= count
    parts = maker.results(x, [tuple(shape)] * count)
    dimension = maker.numbers("axis", maker.pick(axis, axis - 4))
    maker.graph.op("SPLIT", [dimension, x], parts, schema.SplitOptionsT(numSplits=count), version=2)
    return parts


def _split_v(maker: Maker) -> list[Ref]:
    axis = maker.integer(1, 3)
    sizes = [maker.integer(1, 4) for _ in range(maker.integer(2, 4))]
    shape = list(maker.shape(8))
    shapes = [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]
    shape[axis] = sum(sizes)
    x = maker.input(tuple(shape))
    parts = maker.results(x, shapes)
    if maker.rng.random() < 0.3:
        sizes[0] = -1
    constants = [maker.numbers("sizes", sizes), maker.numbers("axis", axis)]
    maker.graph.op("SPLIT_V", [x, *constants], parts, schema.SplitVOptionsT(numSplits=len(sizes)), version=2)
    return parts


def _unpack(maker: Maker) -> list[Ref]:
    shape = maker.shape(8, 5)
    x = maker.input(shape)
    parts = maker.results(x, [(shape[0], *shape[2:])] * shape[1])
    maker.graph.op("UNPACK", [x], parts, schema.UnpackOptionsT(num=shape[1], axis=1), version=2)
    return parts


def _depth_to_space(maker: Maker) -> Ref:
    block = maker.integer(2, 3)
    batch, height, width, channels = maker.shape(8, 5)
    shallow, deep = (batch, height * block, width * block, channels), (batch, height, width, channels * block**2)
    folds = maker.opcode == "SPACE_TO_DEPTH"
    x = maker.input(shallow if folds else deep)
    y = maker.result(deep if folds else shallow, **maker.same_as(x))
    options = schema.SpaceToDepthOptionsT(block) if folds else schema.DepthToSpaceOptionsT(block)
    maker.graph.op(maker.opcode, [x], [y], options)
    return y


def _transpose(maker: Maker) -> Ref:
    x = maker.input(maker.shape(12))
    order = [0, *(int(axis) for axis in 1 + maker.rng.permutation(3))]
    y = maker.result(tuple(x.shape[axis] for axis in order), **maker.same_as(x))
    constant = maker.graph.constant("order", np.array(order, np.int32), 0)
    maker.graph.op("TRANSPOSE", [x, constant], [y], schema.TransposeOptionsT(), version=2)
    return y


MOVE_MAKERS: dict[str, Callable[[Maker], Ref | list[Ref]]] = {
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _mirror_pad,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "UNPACK": _unpack,
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _depth_to_space,
    "TRANSPOSE": _transpose,
}

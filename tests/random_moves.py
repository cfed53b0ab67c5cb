"""Ops of random networks that move values: cuts, parts, mirrors, blocks, and what is joined along an axis.

Part of the network of random_networks, whose choices it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model_builder import Ref

_MOST_SIDE, _MOST_CHANNELS = 16, 40


class Moves:
    """Each maker adds ops to the network and returns the maps that they make."""

    def _moves(self) -> list[tuple[Callable[[], list[Ref]], float]]:
        """The makers and how often they are taken."""
        return [
            (self._transpose_conv, 1.5),
            (self._dilated, 1.0),
            (self._cut, 0.9),
            (self._split, 0.9),
            (self._mirror, 0.6),
            (self._blocks, 0.8),
            (self._join, 0.5),
            (self._rescaling_join, 0.3),
        ]

    def _numbers(self, values: Any) -> Ref:
        array = np.array(values, np.int32)
        return self.graph.tensor(self._name("numbers"), array.shape, "INT32", scale=0, data=array)

    def _dilated(self) -> list[Ref]:
        """A convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, VALID or SAME, with crops or without."""
        x, rng = self._pick(), self.rng
        block, kernel = [int(rng.integers(1, 4)) for _ in range(2)], [int(rng.choice([1, 2, 3])) for _ in range(2)]
        same = rng.random() < 0.5
        pads, inner = [], []
        for size, step, taps in zip(x.shape[1:3], block, kernel, strict=True):
            extent = (taps - 1) * step
            before = 0 if same else int(rng.integers(0, extent + 1))
            least = size + before if same else max(size + before, extent + step)
            whole = -(-least // step) * step
            pads.append((before, whole - size - before))
            inner.append(whole // step)
        # What is cropped before is at most what padding lies before.
        spans = [n if same else n - taps + 1 for n, taps in zip(inner, kernel, strict=True)]
        crops = []
        for (before, _), step, taps, span in zip(pads, block, kernel, spans, strict=True):
            own = before + (step * ((taps - 1) // 2) if same else 0)
            first = int(rng.integers(0, min(own, span * step - 1, 2) + 1))
            crops.append((first, int(rng.integers(0, min(span * step - 1 - first, 2) + 1))))
        items = self.batch * block[0] * block[1]
        spread = self._tensor("spread", (items, *inner, x.shape[3]), like=x)
        operands = [x, self._numbers(block), self._numbers(pads)]
        self.graph.op("SPACE_TO_BATCH_ND", operands, [spread], schema.SpaceToBatchNDOptionsT(), version=2)
        made = self._inner_convolution(spread, kernel, spans, same)
        shape = [span * step - sum(cut) for span, step, cut in zip(spans, block, crops, strict=True)]
        result = self._tensor("gathered", (self.batch, *shape, made.shape[3]), like=made)
        operands = [made, self._numbers(block), self._numbers(crops)]
        self.graph.op("BATCH_TO_SPACE_ND", operands, [result], schema.BatchToSpaceNDOptionsT(), version=2)
        return [result]

    def _inner_convolution(self, x: Ref, kernel: list[int], size: list[int], same: bool) -> Ref:
        padding = schema.Padding.SAME if same else schema.Padding.VALID
        window = {"padding": padding, "strideH": 1, "strideW": 1, "fusedActivationFunction": self._activation()}
        if self.rng.random() < 0.5:
            result = self._tensor("inner", (x.shape[0], *size, x.shape[3]))
            constants = self._constants((1, *kernel, x.shape[3]), x.shape[3], 3, x)
            options = schema.DepthwiseConv2DOptionsT(**window, depthMultiplier=1)
            self.graph.op("DEPTHWISE_CONV_2D", [x, *constants], [result], options, version=3)
            return result
        channels = int(self.rng.integers(1, 17))
        result = self._tensor("inner", (x.shape[0], *size, channels))
        constants = self._constants((channels, *kernel, x.shape[3]), channels, 0, x)
        self.graph.op("CONV_2D", [x, *constants], [result], schema.Conv2DOptionsT(**window), version=3)
        return result

    def _cut(self) -> list[Ref]:
        """STRIDED_SLICE or SLICE of rows, columns and channels."""
        x, rng = self._pick(), self.rng
        strided = rng.random() < 0.6
        begins = [0, *(int(rng.integers(0, min(n, 3))) for n in x.shape[1:])]
        most = zip(x.shape[1:], begins[1:], strict=True)
        ends = [x.shape[0], *(int(rng.integers(max(b + 1, n - 2), n + 1)) for n, b in most)]
        steps = [1, *(int(rng.integers(1, 3)) for _ in x.shape[1:])] if strided else [1, 1, 1, 1]
        shape = tuple(len(range(b, e, s)) for b, e, s in zip(begins, ends, steps, strict=True))
        result = self._tensor("cut", shape, like=x)
        if strided:
            constants = [self._numbers(values) for values in (begins, ends, steps)]
            self.graph.op("STRIDED_SLICE", [x, *constants], [result], schema.StridedSliceOptionsT(), version=2)
        else:
            constants = [self._numbers(values) for values in (begins, shape)]
            self.graph.op("SLICE", [x, *constants], [result], schema.SliceOptionsT(), version=2)
        return [result]

    def _split(self) -> list[Ref]:
        """SPLIT or SPLIT_V; some parts may stay unread."""
        x, rng = self._pick(), self.rng
        axis = int(rng.choice([1, 2, 3, 3, 3]))
        size = x.shape[axis]
        if size < 2:
            return self._cut()
        parts = [n for n in (2, 3, 4) if size % n == 0]
        even = bool(parts) and rng.random() < 0.5
        if even:
            count = int(rng.choice(parts))
            sizes = [size // count] * count
        else:
            first = int(rng.integers(1, size))
            sizes = [first, size - first]
        results = [self._tensor("part", (*x.shape[:axis], n, *x.shape[axis + 1 :]), like=x) for n in sizes]
        if even:
            operands, options = [self._numbers(axis), x], schema.SplitOptionsT(numSplits=len(sizes))
        else:
            operands = [x, self._numbers(sizes), self._numbers(axis)]
            options = schema.SplitVOptionsT(numSplits=len(sizes))
        self.graph.op("SPLIT" if even else "SPLIT_V", operands, results, options, version=2)
        return results

    def _mirror(self) -> list[Ref]:
        """MIRROR_PAD of rows and columns, sometimes of channels."""
        x, rng = self._pick(), self.rng
        mode = int(rng.integers(0, 2))
        skipped = int(mode == schema.MirrorPadMode.REFLECT)
        pads = [(0, 0), *(tuple(int(rng.integers(0, min(n - skipped, 3) + 1)) for _ in range(2)) for n in x.shape[1:])]
        if rng.random() < 0.7:
            pads[3] = (0, 0)
        result = self._tensor("mirrored", tuple(n + sum(p) for n, p in zip(x.shape, pads, strict=True)), like=x)
        options = schema.MirrorPadOptionsT(mode=mode)
        self.graph.op("MIRROR_PAD", [x, self._numbers(pads)], [result], options, version=2)
        return [result]

    def _blocks(self) -> list[Ref]:
        """DEPTH_TO_SPACE or SPACE_TO_DEPTH, whichever fits; else a cut."""
        x, rng = self._pick(), self.rng
        batch, height, width, depth = x.shape
        block = int(rng.choice([2, 2, 3]))
        if depth % block**2 == 0 and max(height, width) * block <= _MOST_SIDE:
            shape = (batch, height * block, width * block, depth // block**2)
            result = self._tensor("unfolded", shape, like=x)
            self.graph.op("DEPTH_TO_SPACE", [x], [result], schema.DepthToSpaceOptionsT(block))
            return [result]
        if height % block == 0 and width % block == 0 and depth * block**2 <= _MOST_CHANNELS:
            result = self._tensor("folded", (batch, height // block, width // block, depth * block**2), like=x)
            self.graph.op("SPACE_TO_DEPTH", [x], [result], schema.SpaceToDepthOptionsT(block))
            return [result]
        return self._cut()

    def _join(self) -> list[Ref]:
        """CONCATENATION along rows or columns of a map and itself or what a pool makes of it."""
        x, rng = self._pick(), self.rng
        axis = int(rng.choice([1, 2]))
        if x.shape[axis] > _MOST_SIDE // 2:
            return self._cut()
        pooled = self._tensor("pooled", x.shape, like=x)
        options = schema.Pool2DOptionsT(
            padding=schema.Padding.SAME, strideH=1, strideW=1, filterHeight=3, filterWidth=3
        )
        self.graph.op("MAX_POOL_2D", [x], [pooled], options, version=2)
        parts: Sequence[Ref] = [(x, pooled), (pooled, x), (x, pooled, x)][int(rng.integers(3))]
        shape = list(x.shape)
        shape[axis] *= len(parts)
        result = self._tensor("joined", tuple(shape), like=x)
        self.graph.op("CONCATENATION", list(parts), [result], schema.ConcatenationOptionsT(axis=axis), version=2)
        return [result]

    def _rescaling_join(self) -> list[Ref]:
        """CONCATENATION of maps of other scales than its output's, which the runtimes know of uint8 alone."""
        x = self._pick()
        if self.dtype != "UINT8":
            return self._join()
        parts = [x]
        for _ in range(2):
            other = self._tensor("scaled", x.shape)
            self.graph.op("QUANTIZE", [x], [other], schema.QuantizeOptionsT(), version=2)
            parts.append(other)
        result = self._tensor("joined", (*x.shape[:3], sum(part.shape[3] for part in parts)))
        self.graph.op("CONCATENATION", parts, [result], schema.ConcatenationOptionsT(axis=3), version=2)
        return [result]

    def _transpose_conv(self) -> list[Ref]:
        """Of every padding, stride and kernel, with and without biases."""
        x, rng = self._pick(), self.rng
        strides = [int(rng.choice([s for s in (1, 2, 2, 3) if s == 1 or n * s <= _MOST_SIDE])) for n in x.shape[1:3]]
        kernel = [int(rng.integers(1, 6)) for _ in range(2)]
        padding = int(rng.choice([schema.Padding.SAME, schema.Padding.VALID]))
        size = [n * stride for n, stride in zip(x.shape[1:3], strides, strict=True)]
        if padding == schema.Padding.VALID:
            size = [(n - 1) * stride + k for n, stride, k in zip(x.shape[1:3], strides, kernel, strict=True)]
        channels = int(rng.integers(1, 17))
        filters, biases = self._constants((channels, *kernel, x.shape[3]), channels, 0, x)
        result = self._tensor("upsampled", (self.batch, *size, channels))
        operands = [self._numbers(result.shape), filters, x, *([biases] if rng.random() < 0.7 else [])]
        options = schema.TransposeConvOptionsT(
            padding=padding, strideH=strides[0], strideW=strides[1], fusedActivationFunction=self._activation()
        )
        self.graph.op("TRANSPOSE_CONV", operands, [result], options, version=4)
        return [result]

    def _planes(self, name: str, shape: tuple[int, ...]) -> Ref:
        """An input plane by plane, as PyTorch exports: of 8 bits, or quantized before or after it is transposed."""
        planes = [shape[axis] for axis in (0, 3, 1, 2)]
        kind = str(self.rng.choice(["8 bits", "before", "after"]))
        if kind == "8 bits":
            source = self.graph.input(name, planes, self.dtype, **self._quantization())
            return self._transposed(source, self._tensor("transposed", shape, like=source))
        image = self.graph.input(name, planes, "FLOAT32")
        if kind == "before":
            source = self._tensor("quantized", planes)
            self.graph.op("QUANTIZE", [image], [source], schema.QuantizeOptionsT(), version=1)
            return self._transposed(source, self._tensor("transposed", shape, like=source))
        moved = self._transposed(image, self.graph.tensor(self._name("transposed"), shape, "FLOAT32"))
        result = self._tensor("quantized", shape)
        self.graph.op("QUANTIZE", [moved], [result], schema.QuantizeOptionsT(), version=1)
        return result

    def _transposed(self, source: Ref, result: Ref) -> Ref:
        operands = [source, self._numbers([0, 2, 3, 1])]
        self.graph.op("TRANSPOSE", operands, [result], schema.TransposeOptionsT(), version=2)
        return result

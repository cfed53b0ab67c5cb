"""Ops of regions that compute nothing: windows, sums of two and reductions, at random; to plan with."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.graph.model import Buffer, Tensor
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.region import Region


def int8_tensor(name: str, height: int, width: int, channels: int) -> RegionTensor:
    """A tensor with a graph's tensor of its own."""
    return RegionTensor(
        Tensor(name, (1, height, width, channels), 9, Buffer()), height, width, channels, np.dtype(np.int8), 128
    )


@dataclass(frozen=True, eq=False)
class WindowDouble(RegionOp):
    """Reads `kernel` rows and columns from `stride` times its own, less `above`, of each input."""

    kind = 200
    cost_kind = "MaxPool"
    stride: int = 1
    kernel: int = 1
    above: int = 0

    def _needed(self, first: int, size: int) -> tuple[int, int]:
        low = first * self.stride - self.above
        return min(max(low, 0), size - 1), max(min(low + self.kernel - 1, size - 1), 0)

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return self._needed(step, self.inputs[operand].height)

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        low, _ = self._needed(first, self.inputs[operand].width)
        return low, self._needed(end - 1, self.inputs[operand].width)[1] + 1

    def column_padding(self, operand: int) -> tuple[int, int]:
        return self.above, self.above

    def reads_words(self, operand: int) -> bool:
        return self.kernel > 1

    def reads_region_inputs(self, operand: int) -> bool:
        return self.kernel == 1

    @property
    def own_memory_bytes(self) -> int:
        return self.kernel * self.inputs[0].channels if self.above else 0

    @property
    def macs(self) -> int:
        return self.output.height * self.output.width * self.output.channels * self.kernel**2

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return b""


@dataclass(frozen=True, eq=False)
class SumDouble(RegionOp):
    """Adds all rows of its input."""

    kind = 201
    cost_kind = "Mean"

    @property
    def steps(self) -> int:
        return self.inputs[0].height

    @property
    def accumulates(self) -> bool:
        return True

    def rows_needed(self, operand: int, step: int) -> tuple[int, int]:
        return step, step

    def columns_needed(self, operand: int, first: int, end: int) -> tuple[int, int]:
        return 0, self.inputs[0].width

    @property
    def own_memory_bytes(self) -> int:
        return 4 * self.output.channels

    def parameters(self, add: Callable[[bytes, int], int], outside: Collection[RegionTensor]) -> bytes:
        return b""


def window(source: RegionTensor, name: str, channels: int, stride: int = 1, kernel: int = 1) -> WindowDouble:
    """With padding above that keeps the middle of the kernel at its row."""
    height, width = -(-source.height // stride), -(-source.width // stride)
    return WindowDouble(
        None, (source,), int8_tensor(name, height, width, channels), 0, stride, kernel, (kernel - 1) // 2
    )


def add(a: RegionTensor, b: RegionTensor, name: str) -> WindowDouble:
    return WindowDouble(None, (a, b), int8_tensor(name, a.height, a.width, a.channels), 0)


def random_region(rng: np.random.Generator, op_count: int) -> Region:
    """A DAG with branches and skips; what nobody reads is an output, and now and then something else as well."""
    size = int(rng.integers(3, 12))
    source = int8_tensor("x", size, int(rng.integers(2, 10)), int(rng.integers(1, 9)))
    tensors, ops = [source], list[RegionOp]()
    for number in range(op_count):
        name, a = f"t{number}", tensors[-1 if rng.random() < 0.7 else int(rng.integers(len(tensors)))]
        same = [t for t in tensors if t is not a and (t.height, t.width, t.channels) == (a.height, a.width, a.channels)]
        if same and rng.random() < 0.6:
            op: RegionOp = add(a, same[int(rng.integers(len(same)))], name)
        elif rng.random() < 0.08:
            op = SumDouble(None, (a,), int8_tensor(name, 1, 1, a.channels), 0)
        else:
            channels = a.channels if rng.random() < 0.6 else int(rng.integers(1, 24))
            op = window(a, name, channels, int(rng.choice([1, 1, 1, 2])), int(rng.choice([1, 1, 3, 5])))
        ops.append(op)
        tensors.append(op.output)
    read = {tensor for op in ops for tensor in op.inputs}
    outputs, with_copies = [], []
    for op in ops:
        with_copies.append(op)
        if op.output not in read or rng.random() < 0.1:
            copy = Copy.of(op.output)
            with_copies.append(copy)
            outputs.append(copy.output)
    return Region(tuple(with_copies), (source,), tuple(outputs))

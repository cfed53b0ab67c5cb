"""The head of a TensorFlow Lite Micro arena: what its greedy planner makes of a graph's tensors and scratch memory.

Follows `MicroAllocator`, `AllocationInfoBuilder` and `GreedyMemoryPlanner` of TensorFlow Lite Micro. Every tensor that
is no constant lives from the op that writes it to the last one that reads it, inputs of the graph from its beginning
and outputs to its end; a tensor that nobody uses still takes memory. The largest buffers are placed first, each in the
first gap (not the smallest) of those that live meanwhile; of equal ones the later. Offline plans are not followed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.memory.arena import tensor_bytes

ALIGNMENT_BYTES = 16
_UNUSED = -1  # when a tensor lives that nobody uses
_INT_BYTES = 4

MicroScratch = Callable[[Op], Sequence[int]]


@dataclass(frozen=True)
class MicroHead:
    """The planned head.

    Attributes:
      capacity_bytes: its size.
      peak_op_name: the op while which most of it is taken.
      holders: (name, bytes) of what is live then, the largest first; scratch memory has the name of its op's first
        output plus ' (scratch)'.
      offsets: where each tensor begins.
    """

    capacity_bytes: int
    peak_op_name: str
    holders: tuple[tuple[str, int], ...]
    offsets: dict[Tensor, int]


@dataclass(frozen=True)
class Buffer:
    """What the planner places: bytes that are taken from one point of time to another, both included."""

    size: int
    first: int
    last: int
    name: str = ""
    tensor: Tensor | None = None


def kernel_scratch(op: Op) -> Sequence[int]:
    """Buffers that the reference kernel of an op requests in the arena, in this order; optimized ones want others.

    Known are those of 8-bit MEAN, SUM, REDUCE_MAX and TRANSPOSE_CONV.
    """
    source, result = op.inputs[-1 if op.opcode == "TRANSPOSE_CONV" else 0], op.outputs[0]
    if source is None or result is None:
        return ()
    if op.opcode in ("MEAN", "SUM", "REDUCE_MAX"):
        axes = op.inputs[1].shape if len(op.inputs) > 1 and op.inputs[1] is not None else (0,)
        sums = () if op.opcode == "REDUCE_MAX" else (_INT_BYTES * prod(result.shape),)
        return (*sums, _INT_BYTES * len(source.shape), _INT_BYTES * prod(axes))
    if op.opcode == "TRANSPOSE_CONV":
        return (_INT_BYTES * prod(result.shape),)
    return ()


def plan_head(
    tensors: Iterable[Tensor],
    ops: Sequence[Op],
    inputs: Iterable[Tensor],
    outputs: Iterable[Tensor],
    scratch: MicroScratch = kernel_scratch,
) -> MicroHead:
    """Plans the head of a graph.

    Args:
      tensors: of the graph, in the file's order.
      scratch: sizes of the buffers that an op requests.
    """
    buffers = [*_tensor_buffers(tensors, ops, inputs, outputs), *_scratch_buffers(ops, scratch)]
    offsets = greedy_offsets(buffers)
    head = max((offset + buffer.size for offset, buffer in zip(offsets, buffers, strict=True)), default=0)
    peak = _peak(buffers, len(ops))
    held = [(b.name, b.size) for b in buffers if b.first <= peak <= b.last]
    return MicroHead(
        head,
        ops[max(peak - 1, 0)].opcode if ops else "",
        tuple(sorted(held, key=lambda pair: -pair[1])),
        {b.tensor: offset for offset, b in zip(offsets, buffers, strict=True) if b.tensor is not None},
    )


def greedy_offsets(buffers: Sequence[Buffer]) -> list[int]:
    """GreedyMemoryPlanner: the offset of each buffer."""
    offsets = [0] * len(buffers)
    placed: list[tuple[int, Buffer]] = []  # by offset, of equal ones the earlier first
    starts: list[int] = []
    for number in sorted(range(len(buffers)), key=lambda n: (-buffers[n].size, -n)):
        wanted, offset = buffers[number], 0
        for start, other in placed:
            if other.first <= wanted.last and wanted.first <= other.last:
                if start - offset >= wanted.size:
                    break
                offset = max(offset, start + other.size)
        offsets[number] = offset
        position = bisect_right(starts, offset)
        placed.insert(position, (offset, wanted))
        starts.insert(position, offset)
    return offsets


def _tensor_buffers(
    tensors: Iterable[Tensor], ops: Sequence[Op], inputs: Iterable[Tensor], outputs: Iterable[Tensor]
) -> Iterable[Buffer]:
    """Point 0 is before the first op, point n + 1 is op n."""
    first: dict[Tensor | None, int] = dict.fromkeys(inputs, 0)
    last: dict[Tensor | None, int] = dict.fromkeys(first, 0)
    for point, op in enumerate(ops, 1):
        for tensor in op.outputs:
            first.setdefault(tensor, point)
        last.update(dict.fromkeys((*op.inputs, *op.outputs), point))
    for tensor in outputs:
        first.setdefault(tensor, len(ops))
        last[tensor] = len(ops)
    for tensor in tensors:
        size = tensor_bytes(tensor)
        if tensor.data is None and not tensor.is_variable and size:
            life = first.get(tensor, _UNUSED), last.get(tensor, _UNUSED)
            yield Buffer(_aligned(size), *life, tensor.name, tensor)


def _scratch_buffers(ops: Sequence[Op], scratch: MicroScratch) -> Iterable[Buffer]:
    for point, op in enumerate(ops, 1):
        name = next((tensor.name for tensor in op.outputs if tensor is not None), op.opcode)
        for size in scratch(op):
            yield Buffer(_aligned(size), point, point, f"{name} (scratch)")


def _peak(buffers: Sequence[Buffer], points: int) -> int:
    """The first point of time at which most is live."""
    live = [0] * (points + 2)
    for buffer in buffers:
        if buffer.first != _UNUSED:
            live[buffer.first] += buffer.size
            live[buffer.last + 1] -= buffer.size
    taken, best, peak = 0, -1, 0
    for point in range(points + 1):
        taken += live[point]
        if taken > best:
            best, peak = taken, point
    return peak


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES

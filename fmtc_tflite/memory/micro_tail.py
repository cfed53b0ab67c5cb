"""The tail of a TensorFlow Lite Micro arena: what the interpreter keeps of a graph, by the sizes of its structs.

Follows `MicroInterpreter::AllocateTensors` of TensorFlow Lite Micro, piece by piece from the arena's end, for graphs of
FMTC_REGION and of ops whose kernels' data are known here; of other ops there is a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.graph.names import REGION

_ALIGNMENT = 16  # of what the ops and the interpreter ask for


class _Bytes(NamedTuple):
    """A struct's size where pointers have 4 and 8 bytes."""

    on_32: int
    on_64: int

    def of(self, pointer_bytes: int) -> int:
        return self.on_32 if pointer_bytes == 4 else self.on_64


class _OpData(NamedTuple):
    """What an op keeps: its parsed options and its kernel's data."""

    options: _Bytes
    kernel: _Bytes


_NOTHING = _Bytes(0, 0)
# Allocators, planner and tables, as an interpreter has them that records allocations; another has a third less.
_FIXED = _Bytes(240, 480)
_EVAL_TENSOR, _NODE, _TENSOR = _Bytes(12, 24), _Bytes(32, 64), _Bytes(40, 64)
_QUANTIZATION, _ZERO_POINTS = _Bytes(12, 24), _Bytes(8, 8)
_OPS = {
    REGION: _OpData(_NOTHING, _Bytes(76, 144)),  # custom_ops/micro/tflm_region.cc
    "SOFTMAX": _OpData(_Bytes(4, 4), _Bytes(56, 80)),
}
_REQUESTS = (REGION,)  # ops of these that ask for scratch memory


@dataclass(frozen=True)
class MicroTail:
    """Planned bytes of a tail.

    Attributes:
      bytes: of it; at least so many if there are unknown ops.
      unknown: opcodes whose kernels' data are not known.
    """

    bytes: int
    unknown: tuple[str, ...]


def plan_tail(subgraph: Subgraph, pointer_bytes: int) -> MicroTail:
    """Plans the tail of a graph.

    Args:
      pointer_bytes: 4 or 8.
    """
    place = 0
    for size, alignment in _pieces(subgraph, pointer_bytes):
        place = -(-(place + size) // alignment) * alignment
    return MicroTail(place, tuple(dict.fromkeys(op.opcode for op in subgraph.ops if op.opcode not in _OPS)))


def _pieces(subgraph: Subgraph, pointer: int) -> Iterator[tuple[int, int]]:
    """Size and alignment of each allocation, in their order."""
    yield _FIXED.of(pointer), pointer
    yield len(subgraph.tensors) * _EVAL_TENSOR.of(pointer), pointer
    yield len(subgraph.ops) * _NODE.of(pointer), pointer
    known = [_OPS[op.opcode] for op in subgraph.ops if op.opcode in _OPS]
    yield from ((data.options.of(pointer), 4) for data in known if data.options is not _NOTHING)
    yield from ((data.kernel.of(pointer), _ALIGNMENT) for data in known)
    yield _requests(subgraph.ops) * pointer, pointer
    for tensors in (subgraph.inputs, subgraph.outputs):
        yield from _persistent_tensors(tensors, pointer)


def _requests(ops: Iterable[Op]) -> int:
    return sum(op.opcode in _REQUESTS for op in ops)


def _persistent_tensors(tensors: list[Tensor], pointer: int) -> Iterator[tuple[int, int]]:
    yield len(tensors) * pointer, _ALIGNMENT
    for tensor in tensors:
        yield _TENSOR.of(pointer), pointer
        if tensor.scale is not None:
            yield _QUANTIZATION.of(pointer), pointer
            yield _ZERO_POINTS.of(pointer), 4

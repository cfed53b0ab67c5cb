"""Running a model in pieces, so that few of its tensors, and little memory of its kernels, exist at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from fmtc_tflite.graph.coded_maps import is_converted
from fmtc_tflite.graph.model import Model, Op, Subgraph, Tensor
from fmtc_tflite.graph.variables import keeps_state
from fmtc_tflite.inference.memory_need import tensor_bytes
from fmtc_tflite.runtime.checked import CheckedInterpreter

_PIECE_BYTES = 64 << 20
_POINTER_BYTES = 8


def can_be_divided(model: Model) -> bool:
    """Whether nothing but the values of tensors goes from one op to the next."""
    activations = (t for t in model.subgraphs[0].tensors if t.data is None)
    return len(model.subgraphs) == 1 and not keeps_state(model) and all(t.dtype is not None for t in activations)


class PiecewiseInterpreter:
    """A model's subgraph in pieces of consecutive ops, each in an interpreter that lives while the piece runs.

    Kernels of convolutions have tables of their own (in XNNPACK a pointer for each tap of each output position), and an
    interpreter of the whole model those of all ops. Where ModelRunner is concerned it is a
    CheckedInterpreter.
    """

    def __init__(self, model: Model, readable: Collection[Tensor] | None, **settings: Any) -> None:
        """Cuts the model into pieces.

        Args:
          model: see `can_be_divided`.
          readable: what will be read; None for everything that ops write.
          settings: of each CheckedInterpreter.
        """
        graph = model.subgraphs[0]
        written = {t for op in graph.ops for t in op.outputs if t is not None}
        kept = written if readable is None else written & {*readable, *graph.outputs}
        self._tensors, self._kept = graph.tensors, kept
        self._settings = {**settings, "attach_delegate": is_converted(model)}
        self._pieces = list(_pieces(model, kept))
        self._given: dict[Tensor, np.ndarray] = {}
        self._values: dict[Tensor, np.ndarray] = {}

    def set_input(self, index: int, value: np.ndarray) -> None:
        """See CheckedInterpreter.set_input."""
        tensor = self._tensors[index]
        if value.shape != tensor.shape or value.dtype != tensor.dtype:
            raise ValueError(f"got {value.dtype} {list(value.shape)}, expected {tensor.dtype} {list(tensor.shape)}")
        self._given[tensor] = value

    def invoke(self) -> None:
        """Runs all pieces. Raises what CheckedInterpreter does."""
        self._values = dict(self._given)
        for place, piece in enumerate(self._pieces):
            piece.run(self._values, self._settings)
            later = {t for other in self._pieces[place + 1 :] for t in other.inputs}
            self._values = {t: value for t, value in self._values.items() if t in later or t in self._kept}

    def read(self, index: int, subgraph: int = 0) -> np.ndarray:
        """A tensor's value, not to be changed."""
        tensor = self._tensors[index]
        return self._given[tensor] if tensor in self._given else self._values[tensor]

    def view(self, index: int) -> None:
        """No tensor has memory before the model runs."""


@dataclass(frozen=True)
class _Piece:
    """Some consecutive ops as a model of their own; tensors are those of the whole one."""

    content: bytes
    labels: Sequence[tuple[str, str]]
    places: Mapping[Tensor, int]
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]

    def run(self, values: dict[Tensor, np.ndarray], settings: Mapping[str, Any]) -> None:
        interpreter = CheckedInterpreter(self.content, self.labels, **settings)
        for tensor in self.inputs:
            interpreter.set_input(self.places[tensor], values[tensor])
        interpreter.invoke()
        values.update((tensor, interpreter.read(self.places[tensor])) for tensor in self.outputs)


def _pieces(model: Model, kept: Collection[Tensor]) -> Iterator[_Piece]:
    ops = model.subgraphs[0].ops
    groups = list(_groups(ops))
    for place, group in enumerate(groups):
        later = {t for other in groups[place + 1 :] for op in other for t in op.inputs}
        written = {t: None for op in group for t in op.outputs if t is not None}
        read = {t: None for op in group for t in op.inputs if t is not None and t.data is None and t not in written}
        yield _piece(model, group, list(read), [t for t in written if t in later or t in kept])


def _groups(ops: Sequence[Op]) -> Iterator[list[Op]]:
    """Consecutive ops whose memory together stays small, or single ones."""
    group, total = list[Op](), 0
    for op in ops:
        need = _op_bytes(op)
        if group and total + need > _PIECE_BYTES:
            yield group
            group, total = [], 0
        group.append(op)
        total += need
    if group:
        yield group


def _op_bytes(op: Op) -> int:
    """About what an op takes while it runs: tensors, and a convolution's table of pointers."""
    tensors = {t for t in (*op.inputs, *op.outputs) if t is not None}
    total = sum(map(tensor_bytes, tensors))
    weights, output = [*op.inputs, None, None][1], [*op.outputs, None][0]
    if op.opcode in ("CONV_2D", "DEPTHWISE_CONV_2D") and weights is not None and output is not None:
        taps = prod(weights.shape[1:3])
        total += 0 if taps == 1 else _POINTER_BYTES * taps * prod(output.shape[:3])
    return total


def _piece(model: Model, ops: Sequence[Op], inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> _Piece:
    used = dict.fromkeys(t for op in ops for t in (*op.inputs, *op.outputs, *op.intermediates) if t is not None)
    graph = Subgraph("piece", 0, list(used), list(ops), list(inputs), list(outputs))
    buffers = list({id(b): b for b in (model.buffers[0], *(t.buffer for t in used))}.values())
    codes = list({id(op.code): op.code for op in ops}.values())
    places = {tensor: place for place, tensor in enumerate(used)}
    alone = replace(
        model,
        subgraphs=[graph],
        operator_codes=codes,
        buffers=buffers,
        metadata_entries=[],
        metadata_buffers=[],
        signatures=[],
        associated_files=[],
    )
    return _Piece(alone.to_bytes(), graph.op_labels, places, inputs, outputs)

"""Puts FMTC_REGION ops in the place of groups of ops, and takes out what nothing uses any more.

Constants of the ops that leave go with them; the program, one constant of the new op, holds all that is needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.graph.edits.unused import drop_unused
from fmtc_tflite.graph.model import CUSTOM_CODE, Buffer, Model, Op, Subgraph, Tensor
from fmtc_tflite.graph.names import PROGRAM_SUFFIX, REGION, REGION_VERSION
from fmtc_tflite.graph.schema import schema


@dataclass(frozen=True)
class Fusion:
    """One new op.

    Attributes:
      ops: those that it stands for; no path leads from them to others and back.
      inputs, outputs: tensors that it reads and writes, the program not counted.
      program: see REGION.md.
    """

    ops: tuple[Op, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    program: bytes


def fuse(model: Model, subgraph: Subgraph, fusions: Sequence[Fusion], free: Iterable[Op] = ()) -> None:
    """Replaces groups of ops in place.

    Args:
      free: ops that leave as well if nobody reads what they write (RESHAPEs before a region).
    """
    if not fusions:
        return
    code = schema.OperatorCodeT(
        deprecatedBuiltinCode=CUSTOM_CODE, builtinCode=CUSTOM_CODE, customCode=REGION.encode(), version=REGION_VERSION
    )
    model.operator_codes.append(code)
    before = list(subgraph.ops)
    subgraph.ops = fused_ops(
        subgraph, [(fusion.ops, _region_op(model, subgraph, code, fusion)) for fusion in fusions], free
    )
    kept = set(subgraph.ops)
    drop_unused(model, subgraph, [op for op in before if op not in kept])


def fused_ops(subgraph: Subgraph, fusions: Collection[tuple[Sequence[Op], Op]], free: Iterable[Op] = ()) -> list[Op]:
    """A subgraph's ops with one op in the place of each group; changes nothing.

    Args:
      fusions: the ops of a group and the new op.
      free: see `fuse`.
    """
    new_ops = {ops[-1]: new for ops, new in fusions}
    fused = {op for ops, _ in fusions for op in ops}
    nodes = [new_ops.get(op, op) for op in subgraph.ops if op not in fused or op in new_ops]
    return _without_unread(subgraph, _in_order(nodes), set(free))


def _region_op(model: Model, subgraph: Subgraph, code: schema.OperatorCodeT, fusion: Fusion) -> Op:
    program = Tensor(
        name=f"{fusion.outputs[0].name}{PROGRAM_SUFFIX}",
        shape=(len(fusion.program),),
        type=schema.TensorType.UINT8,
        buffer=Buffer(np.frombuffer(fusion.program, np.uint8)),
    )
    model.buffers.append(program.buffer)
    subgraph.tensors.append(program)
    return Op(code, [*fusion.inputs, program], list(fusion.outputs))


def _in_order(nodes: list[Op]) -> list[Op]:
    """The ops in their order, those that read what is not written yet behind what they wait for."""
    missing = {tensor for op in nodes for tensor in op.outputs if tensor is not None}
    ordered: list[Op] = []
    waiting: list[Op] = []
    for op in nodes:
        waiting.append(op)
        while ready := next(
            (o for o in waiting if not missing.intersection(t for t in o.inputs if t is not None)), None
        ):
            waiting.remove(ready)
            ordered.append(ready)
            missing.difference_update(t for t in ready.outputs if t is not None)
    return [*ordered, *waiting]


def _without_unread(subgraph: Subgraph, ops: list[Op], free: set[Op]) -> list[Op]:
    """Takes out those of the free ops whose results nobody reads, the last first."""
    read = {tensor for op in ops if op not in free for tensor in op.inputs} | set(subgraph.outputs)
    kept = []
    for op in reversed(ops):
        if op not in free or not read.isdisjoint(op.outputs):
            kept.append(op)
            read.update(op.inputs)
    return kept[::-1]

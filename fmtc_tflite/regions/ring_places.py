"""Rings of one row that lie in one another's place: a row that is read right behind where it is written is soon dead.

Such are the outputs of depthwise convolutions: of several in a stage, only one has a row that somebody still wants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.region import Form
from fmtc_tflite.regions.rows import Pull, RowTable


@dataclass(frozen=True)
class RingPlace:
    """A place in memory for rings.

    Attributes:
      tensors: whose rows are never there at the same time.
      bytes: of the largest.
    """

    tensors: tuple[RegionTensor, ...]
    bytes: int


def ring_places(
    ops: Sequence[RegionOp], found: Pull, rings: Mapping[RegionTensor, Form], table: RowTable
) -> tuple[RingPlace, ...]:
    """Places for the rings of a stage: one for each of several rows, and as few as are found for the others.

    Args:
      ops, found: the stage's execution.
      rings: with their forms.
      table: rows that ops need.
    """
    sizes = {tensor: found.depths[tensor] * form.row_bytes for tensor, form in rings.items()}
    single = {tensor for tensor in rings if found.depths[tensor] == 1}
    places = [([tensor], 0) for tensor in rings if tensor not in single]
    lives = _lives(ops, found.steps, single, table)
    shared: list[tuple[list[RegionTensor], int]] = []
    for tensor in sorted(lives, key=lambda t: -sizes[t]):
        number = next((n for n, (_, taken) in enumerate(shared) if not taken & lives[tensor]), len(shared))
        tensors, taken = shared[number] if number < len(shared) else ([], 0)
        shared[number : number + 1] = [([*tensors, tensor], taken | lives[tensor])]
    return tuple(RingPlace(tuple(tensors), sizes[tensors[0]]) for tensors, _ in places + shared)


def _lives(
    ops: Sequence[RegionOp], steps: Sequence[int], single: set[RegionTensor], table: RowTable
) -> dict[RegionTensor, int]:
    """The turns at which each tensor of one row has one that is being written or will be read, as a set of bits."""
    lives = dict.fromkeys((op.output for op in ops if op.output in single), 0)
    reads = [[(t, rows) for t, rows in zip(op.inputs, table.of(op), strict=True) if t in single] for op in ops]
    written, done = dict.fromkeys(single, 0), [0] * len(ops)
    for turn, number in enumerate(steps):
        op, step = ops[number], done[number]
        done[number] += 1
        for tensor, _ in reads[number]:
            lives[tensor] |= (2 << turn) - (1 << written[tensor])
        if op.output in single and (not op.accumulates or step + 1 == op.steps):
            written[op.output] = turn
            lives[op.output] |= 1 << turn
    return lives

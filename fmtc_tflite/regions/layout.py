"""What is inside a model's regions, op by op of the original: stages, rings, cuts, and where they lie in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from fmtc_tflite.graph.model import Model, Op, Tensor
from fmtc_tflite.graph.region_ops import is_region, program_bytes
from fmtc_tflite.regions.candidates import is_reshape
from fmtc_tflite.regions.coders import DECODE, ENCODE, side_information_bytes
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.program_format import INPUT, OUTPUT, SCRATCH
from fmtc_tflite.regions.restoration import OriginalOps

Form = Literal["ring", "cut", "output", "outside", "none"]
_STORED_FIRST = ("output", "cut", "ring")


@dataclass(frozen=True)
class RunOp:
    """An op of the original, and what becomes of its result.

    Attributes:
      number: of the op in the original.
      position: of the op in the converted graph that runs it.
      region, stage: which of the model's regions it is in, and which stage of that; None outside.
      form: ring, cut or output of a region; outside (a tensor of the graph); none for a RESHAPE that is gone. Of
        several results, what the one is that is stored.
      rows, height: of the result that lie in memory at once, and all that it has; 0 outside.
      memory_bytes: that these take in scratch memory, padding included, of all results; 0 elsewhere.
      rings: of its results, those that are never stored whole.
    """

    op: Op
    number: int
    position: int
    region: int | None
    stage: int | None
    form: Form
    rows: int
    height: int
    memory_bytes: int
    rings: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Block:
    """A piece of a region's scratch memory.

    Attributes:
      name: of the original's tensor; what else it is otherwise.
      tensor: the original's; None for copies of inputs and working memory.
      form: ring, cut, or working for an op's own memory.
      offset, size_bytes: in the scratch memory.
      rows, height: rows that it holds, and those that the tensor has; 0 for working memory.
      first, last: stages of the region in which it is taken.
    """

    name: str
    tensor: Tensor | None
    form: Literal["ring", "cut", "working"]
    region: int
    offset: int
    size_bytes: int
    rows: int
    height: int
    first: int
    last: int


@dataclass(frozen=True)
class CodedPlace:
    """Where a cut is coded: the region, and the number of the ENCODE in its program."""

    region: int
    op: int
    side_information_bytes: int


@dataclass(frozen=True)
class RegionLayout:
    """All regions of a model.

    Attributes:
      ops: those of the original, in the order in which the converted model runs them.
      blocks: what lies in scratch memory.
      coded: cuts that are stored coded.
    """

    ops: tuple[RunOp, ...]
    blocks: tuple[Block, ...]
    coded: Mapping[Tensor, CodedPlace]

    @property
    def rings(self) -> set[Tensor]:
        """The original's tensors that are never stored whole."""
        return {tensor for each in self.ops for tensor in each.rings}

    @property
    def gone(self) -> list[Op]:
        """RESHAPEs that are other names of what they read."""
        return [each.op for each in self.ops if each.form == "none"]


def region_layout(converted: Model, original: OriginalOps) -> RegionLayout:
    """Looks into a model's regions.

    Args:
      original: of the same model.

    Raises:
      ModelFormatError: a damaged program.
    """
    graph, there = converted.subgraphs[0], original.model.subgraphs[0]
    numbers = {op: number for number, op in enumerate(there.ops)}
    inside = iter(enumerate(zip(original.numbers, original.results, strict=True)))
    fused = {there.ops[number] for own in original.numbers for number in own if number >= 0}
    waiting = [op for op in there.ops if op not in fused]
    ops: list[RunOp] = []
    blocks: list[Block] = []
    coded: dict[Tensor, CodedPlace] = {}
    for position, op in enumerate(graph.ops):
        if is_region(op):
            index, (own, results) = next(inside)
            region = _Region(op, index, results, [None if n < 0 else there.ops[n] for n in own])
            ops += region.ops(position, numbers)
            blocks += region.blocks()
            coded |= dict(region.coded())
        else:
            same = next((o for o in waiting if (o.opcode, _names(o)) == (op.opcode, _names(op))), None)
            if same is not None:
                waiting.remove(same)
                ops.append(RunOp(same, numbers[same], position, None, None, "outside", 0, 0, 0))
    return RegionLayout(tuple(_with_reshapes(ops, waiting, numbers)), tuple(blocks), coded)


def _names(op: Op) -> list[str]:
    return [tensor.name for tensor in op.outputs if tensor is not None]


def _with_reshapes(ops: list[RunOp], gone: Iterable[Op], numbers: Mapping[Op, int]) -> Iterator[RunOp]:
    """Puts RESHAPEs that are gone behind what writes their input; those of graph inputs first."""
    waiting = [op for op in gone if is_reshape(op)]
    written: set[Tensor | None] = set()

    def ready(position: int, region: int | None, stage: int | None) -> Iterator[RunOp]:
        while op := next((o for o in waiting if o.inputs[0] in written or not ops), None):
            waiting.remove(op)
            written.update(op.outputs)
            yield RunOp(op, numbers[op], position, region, stage, "none", 0, 0, 0)

    made = {tensor for each in ops for tensor in each.op.outputs} | {t for op in waiting for t in op.outputs}
    written.update(op.inputs[0] for op in waiting if op.inputs[0] not in made)
    yield from ready(0, None, None)
    for each in ops:
        yield each
        written.update(each.op.outputs)
        yield from ready(each.position, each.region, each.stage)


class _Region:
    """One FMTC_REGION, its program's records as ops and tensors of the original."""

    def __init__(self, op: Op, index: int, results: Sequence[Tensor | None], ops: Sequence[Op | None]) -> None:
        self._op, self._index = op, index
        self._program = Program.from_bytes(program_bytes(op))
        self._results, self._ops = results, ops
        self._starts = sorted({part.first_op for part in self._program.passes})

    def _stage(self, number: int) -> int:
        """Of an op of the program. Strips of one stage are passes over the same ops."""
        return bisect_right(self._starts, number) - 1

    @cached_property
    def _writers(self) -> dict[int, int]:
        return {op.output: number for number, op in enumerate(self._program.ops)}

    @cached_property
    def _last_stages(self) -> dict[int, int]:
        """Of each tensor, the last stage that reads or writes it."""
        last = {index: self._stage(number) for index, number in self._writers.items()}
        for number, op in enumerate(self._program.ops):
            for index in op.inputs:
                last[index] = max(last.get(index, 0), self._stage(number))
        return last

    def _is_cut(self, index: int) -> bool:
        return self._last_stages[index] > self._stage(self._writers[index])

    @cached_property
    def _given_out(self) -> set[int]:
        """Tensors that are outputs of the region, themselves or by a copy that the planner made."""
        tensors = self._program.tensors
        found = {index for index, tensor in enumerate(tensors) if tensor.place == OUTPUT}
        copies = (op for op, source in zip(self._program.ops, self._ops, strict=True) if source is None)
        # What encodes or decodes does not write outputs.
        return found | {index for op in copies if op.output in found for index in op.inputs}

    @cached_property
    def _encoded(self) -> dict[int, int]:
        """Tensors that are stored coded, and what holds their segments."""
        return {op.inputs[0]: op.output for op in self._program.ops if op.kind == ENCODE}

    def coded(self) -> Iterator[tuple[Tensor, CodedPlace]]:
        """Tensors of the original that are stored coded."""
        for number, op in enumerate(self._program.ops):
            tensor = self._results[self._writers[op.inputs[0]]] if op.kind == ENCODE else None
            if tensor is not None:
                yield tensor, CodedPlace(self._index, number, side_information_bytes(op))

    def ops(self, position: int, numbers: Mapping[Op, int]) -> Iterator[RunOp]:
        """Those of the original, in the order of the program."""
        parts: dict[Op, list[int]] = {}
        for number, source in enumerate(self._ops):
            if source is not None:
                parts.setdefault(source, []).append(number)
        for source, own in parts.items():
            indices = [self._program.ops[number].output for number in own]
            forms = {self._results[number]: self._form(index) for number, index in zip(own, indices, strict=True)}
            index = min(indices, key=lambda index: _STORED_FIRST.index(self._form(index)))
            tensors = [self._program.tensors[self._encoded.get(each, each)] for each in indices]
            stored = self._program.tensors[index]
            yield RunOp(
                source,
                numbers[source],
                position,
                self._index,
                self._stage(own[-1]),
                self._form(index),
                stored.height if index in self._encoded else min(stored.rows_held, stored.height),
                stored.height,
                sum(tensor.rows_held * tensor.row_bytes for tensor in tensors if tensor.place == SCRATCH),
                tuple(t for t in source.outputs if t is not None and forms.get(t, "ring") == "ring"),
            )

    def _form(self, index: int) -> Form:
        if index in self._given_out:
            return "output"
        return "cut" if self._is_cut(index) or index in self._encoded else "ring"

    def blocks(self) -> Iterator[Block]:
        """Rings, cuts and working memory."""
        for number, op in enumerate(self._program.ops):
            tensor, stage = self._program.tensors[op.output], self._stage(number)
            name, result = self._name(number), self._results[number]
            if tensor.place == SCRATCH:
                is_cut = self._is_cut(op.output)
                yield Block(
                    name,
                    result,
                    "cut" if is_cut else "ring",
                    self._index,
                    tensor.offset,
                    tensor.memory_bytes,
                    min(tensor.rows_held, tensor.height),
                    tensor.height,
                    stage,
                    self._last_stages[op.output],
                )
            if op.memory_bytes:
                place = (op.memory_offset, op.memory_bytes, 0, 0, stage, stage)
                yield Block(f"working memory of {name}", None, "working", self._index, *place)

    def _name(self, number: int) -> str:
        result = self._results[number]
        if result is not None:
            return result.name
        op = self._program.ops[number]
        tensor = self._program.tensors[op.inputs[0]]
        if tensor.place == INPUT:
            read = self._op.inputs[tensor.index]
            return f"copy of {'' if read is None else read.name}"
        made = {ENCODE: "segments of ", DECODE: "rows of "}.get(op.kind, "copy of ")
        return f"{made}{self._name(self._writers[op.inputs[0]])}"

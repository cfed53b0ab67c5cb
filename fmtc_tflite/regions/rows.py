"""Which rows exist when: ops executed on demand on row counters, without any data.

Whoever wants a row has the ops before it do the steps that it needs, and no more. That gives the order of the steps,
how many rows of each tensor must lie in memory, and which rows of a stored tensor are still to be read when a row of
an output is written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from fmtc_tflite.regions.ops import RegionOp, RegionTensor


@dataclass(frozen=True)
class OperandRows:
    """First and last row of an input, for each step of the op."""

    first: tuple[int, ...]
    last: tuple[int, ...]


def operand_rows(op: RegionOp) -> tuple[OperandRows, ...]:
    """The rows of each input that an op reads."""
    rows = []
    for operand in range(len(op.inputs)):
        needed = [op.rows_needed(operand, step) for step in range(op.steps)]
        rows.append(OperandRows(*zip(*needed, strict=True)))
    return tuple(rows)


class RowTable:
    """`operand_rows` of each op, computed once."""

    def __init__(self) -> None:
        self._rows: dict[RegionOp, tuple[OperandRows, ...]] = {}

    def of(self, op: RegionOp) -> tuple[OperandRows, ...]:
        if op not in self._rows:
            self._rows[op] = operand_rows(op)
        return self._rows[op]


@dataclass(frozen=True)
class Pull:
    """What an execution on demand showed.

    Attributes:
      steps: numbers of the ops (among those executed) in the order of their turns.
      depths: rows that must lie in memory, of each tensor that is written and read.
      lowest: for pairs (stored input, output): the lowest row of the input that somebody may still read while row y of
        the output is being written (the input's height if nobody does), for each y.
    """

    steps: tuple[int, ...]
    depths: dict[RegionTensor, int]
    lowest: dict[tuple[RegionTensor, RegionTensor], tuple[int, ...]]


@dataclass
class _Feed:
    """A read of one op: who produces the tensor (-1: it is there), and after which of the producer's steps."""

    tensor: int
    producer: int
    first: tuple[int, ...]
    until: tuple[int, ...]


@dataclass
class _State:
    position: list[int]
    written: list[int]
    depth: list[int]
    steps: list[int] = field(default_factory=list)


def pull(
    ops: Sequence[RegionOp],
    wanted: Collection[RegionTensor],
    table: RowTable,
    dying: Collection[RegionTensor] = (),
    together: Collection[RegionOp] = (),
) -> Pull:
    """Executes ops on demand.

    Args:
      ops: in an order in which each tensor is written before it is read.
      wanted: the tensors to complete; where there are several, they grow side by side.
      table: rows that ops need.
      dying: stored inputs to watch for `lowest`.
      together: ops that do all their steps one right behind the other.
    """
    return _Pulling(ops, wanted, table, dying, together).run()


class _Pulling:
    def __init__(
        self,
        ops: Sequence[RegionOp],
        wanted: Collection[RegionTensor],
        table: RowTable,
        dying: Collection[RegionTensor],
        together: Collection[RegionOp],
    ) -> None:
        self._ops = ops
        self._together = together
        self._producer = {op.output: number for number, op in enumerate(ops)}
        self._numbers: dict[RegionTensor, int] = {}
        self._feeds = [self._feeds_of(op, table) for op in ops]
        for op in ops:
            self._number(op.output)
        self._roots = [number for number, op in enumerate(ops) if op.output in wanted]
        self._dying = [tensor for tensor in dying if tensor in self._numbers]
        self._watched = set(self._roots) if self._dying else set()
        self._lowest: dict[tuple[RegionTensor, RegionTensor], list[int]] = {}
        count = len(self._numbers)
        self._state = _State([0] * len(ops), [0] * count, [1] * count)
        self._readers = {
            tensor: [(k, feed) for k, feeds in enumerate(self._feeds) for feed in feeds if feed.tensor == number]
            for tensor in self._dying
            for number in (self._numbers[tensor],)
        }

    def run(self) -> Pull:
        steps = [self._ops[root].steps for root in self._roots]
        longest = max(steps)
        for turn in range(1, longest + 1):
            for root, own in zip(self._roots, steps, strict=True):
                self._advance(root, turn * own // longest - 1)
        for number, op in enumerate(self._ops):  # rows that nobody wants, such as a last one that a stride leaves out
            self._advance(number, op.steps - 1)
        state = self._state
        depths = {op.output: state.depth[self._numbers[op.output]] for op in self._ops}
        return Pull(tuple(state.steps), depths, {pair: tuple(rows) for pair, rows in self._lowest.items()})

    def _number(self, tensor: RegionTensor) -> int:
        return self._numbers.setdefault(tensor, len(self._numbers))

    def _feeds_of(self, op: RegionOp, table: RowTable) -> list[_Feed]:
        feeds = []
        for tensor, rows in zip(op.inputs, table.of(op), strict=True):
            producer = self._producer.get(tensor, -1)
            until = rows.last
            if producer >= 0 and self._ops[producer].accumulates:
                until = (self._ops[producer].steps - 1,) * len(rows.last)
            elif op in self._together:
                until = (rows.last[-1],) * len(rows.last)
            feeds.append(_Feed(self._number(tensor), producer, rows.first, until))
        return feeds

    def _advance(self, root: int, target: int) -> None:
        """Has an op do its steps up to the target, and whatever they need before."""
        position, feeds = self._state.position, self._feeds
        stack = [(root, self._goal(root, target))]
        while stack:
            op, goal = stack[-1]
            step = position[op]
            if step > goal:
                stack.pop()
                continue
            for feed in feeds[op]:
                if feed.producer >= 0 and position[feed.producer] <= feed.until[step]:
                    stack.append((feed.producer, self._goal(feed.producer, feed.until[step])))
                    break
            else:
                self._step(op, step)

    def _goal(self, op: int, step: int) -> int:
        own = self._ops[op]
        return own.steps - 1 if own in self._together else step

    def _step(self, op: int, step: int) -> None:
        state = self._state
        state.steps.append(op)
        for feed in self._feeds[op]:
            if feed.producer >= 0:
                rows = state.written[feed.tensor] - feed.first[step]
                if rows > state.depth[feed.tensor]:
                    state.depth[feed.tensor] = rows
        own = self._ops[op]
        if own.accumulates:
            if step + 1 == own.steps:
                self._watch(op)
                state.written[self._numbers[own.output]] = 1
        else:
            self._watch(op)
            state.written[self._numbers[own.output]] = step + 1
        state.position[op] = step + 1

    def _watch(self, op: int) -> None:
        if op not in self._watched:
            return
        for tensor in self._dying:
            lowest = tensor.height
            for reader, feed in self._readers[tensor]:
                step = self._state.position[reader]
                if step < len(feed.first):
                    lowest = min(lowest, feed.first[step])
            self._lowest.setdefault((tensor, self._ops[op].output), []).append(lowest)

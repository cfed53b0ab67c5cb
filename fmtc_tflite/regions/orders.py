"""The order of a region's ops, where branches leave a choice: one in which stages need less memory than in the file's.

A few orders that are often good, then moves away from the best one: what must be kept while the largest stage runs, and
is not read there, is made later or read earlier. For most orders lower bounds say that they are not better. The work is
bounded by the number of orders, not by time, so that the outcome is always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import pairwise

from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.regions.extra import NOTHING
from fmtc_tflite.regions.ops import RegionOp, RegionTensor
from fmtc_tflite.regions.region import Region
from fmtc_tflite.regions.rows import RowTable
from fmtc_tflite.regions.search import cheapest_stages, least_bound, least_scratch
from fmtc_tflite.regions.stage_costs import StageCosts
from fmtc_tflite.regions.stages import RegionSpans, Stage

_Order = tuple[RegionOp, ...]
_MOST_ORDERS, _MOST_WORK = 100, 600_000  # the latter in orders times square ops


def best_order(region: Region, forced_cuts: Collection[Tensor]) -> Region:
    """The region in the best order that was found; as it is if none is better."""
    if _is_only_order(region.ops):
        return region
    return _Search(region, forced_cuts).run()


def _is_only_order(ops: _Order) -> bool:
    """Whether every op reads what the one before it writes."""
    return all(one.output in other.inputs for one, other in pairwise(ops))


class _Search:
    def __init__(self, region: Region, forced_cuts: Collection[Tensor]) -> None:
        self._region, self._forced_cuts = region, forced_cuts
        self._table = RowTable()
        self._left = min(_MOST_ORDERS, _MOST_WORK // len(region.ops) ** 2)
        self._tried: set[_Order] = set()
        self._costs = self._costs_of(region.ops)
        self._need = least_scratch(self._costs, NOTHING)

    def run(self) -> Region:
        for order in _usual_orders(self._region.ops):
            self._try(order)
        while any(self._try(order) for order in self._moves()):
            pass
        found = self._costs.spans.region
        return self._region if found.ops == self._region.ops else found

    def _costs_of(self, order: _Order) -> StageCosts:
        self._tried.add(order)
        region = Region(order, self._region.inputs, self._region.outputs)
        return StageCosts(RegionSpans(region, self._table, self._forced_cuts))

    def _try(self, order: _Order) -> bool:
        """Takes an order if it is better."""
        if order in self._tried or self._left <= 0:
            return False
        self._left -= 1
        costs = self._costs_of(order)
        if least_bound(costs, NOTHING) >= self._need:
            return False
        need = least_scratch(costs, NOTHING)
        if need >= self._need:
            return False
        self._costs, self._need = costs, need
        return True

    def _moves(self) -> Iterator[_Order]:
        """Orders in which something that is kept during a largest stage is not."""
        spans = self._costs.spans
        stages = cheapest_stages(self._costs, self._need, NOTHING) or []
        for stage in (s for s in stages if s.scratch_bytes == self._need):
            read = {tensor for op in spans.region.ops[stage.first : stage.end] for tensor in op.inputs}
            kept = [tensor for tensor in spans.live(stage.first) if tensor not in read]
            for tensor in sorted(kept, key=lambda t: -spans.cut_bytes(t)):
                yield from _made_later(spans, tensor)
                yield from _read_earlier(spans, tensor, stage.first)
            yield from _shifted(spans, stage)


# --- moves ------------------------------------------------------------------------------------------------------------


def _made_later(spans: RegionSpans, tensor: RegionTensor) -> Iterator[_Order]:
    """A tensor's op, with more and more of those that work for it alone, right before the tensor's first reader."""
    ops, moved = spans.region.ops, {spans.producer[tensor]}
    target = min(number for number, _ in spans.reads[tensor])
    for number in range(spans.producer[tensor], -1, -1):
        readers = [reader for reader, _ in spans.reads.get(ops[number].output, [])]
        if number in moved or (readers and all(reader in moved for reader in readers)):
            moved.add(number)
            yield _moved(ops, moved, target)


def _read_earlier(spans: RegionSpans, tensor: RegionTensor, first: int) -> Iterator[_Order]:
    """A tensor's reader and what it needs, with more and more of what can follow it, before a stage."""
    ops = spans.region.ops
    for reader in dict.fromkeys(number for number, _ in spans.reads[tensor] if number >= first):
        moved = {reader}
        for number in range(reader, first - 1, -1):
            if any(read in moved for read, _ in spans.reads.get(ops[number].output, [])):
                moved.add(number)
        yield _moved(ops, moved, first)
        for number in range(reader + 1, len(ops)):
            sources = [spans.producer.get(t, -1) for t in ops[number].inputs]
            if any(s in moved for s in sources) and all(s in moved or s < first for s in sources):
                moved.add(number)
                yield _moved(ops, moved, first)


def _shifted(spans: RegionSpans, stage: Stage) -> Iterator[_Order]:
    """Each op of a stage as early and as late as it can be."""
    ops = spans.region.ops
    for number in range(stage.first, stage.end):
        earliest = max((spans.producer.get(tensor, -1) + 1 for tensor in ops[number].inputs), default=0)
        latest = min((reader for reader, _ in spans.reads.get(ops[number].output, [])), default=len(ops))
        yield _moved(ops, {number}, earliest)
        yield _moved(ops, {number}, latest)


def _moved(ops: _Order, moved: Collection[int], target: int) -> _Order:
    """The ops with some of them put before another, in the order that they had."""
    rest = [number for number in range(len(ops)) if number not in moved]
    place = sum(number < target for number in rest)
    return tuple(ops[number] for number in [*rest[:place], *sorted(moved), *rest[place:]])


# --- usual orders -----------------------------------------------------------------------------------------------------


def _usual_orders(ops: _Order) -> Iterator[_Order]:
    producer = {op.output: op for op in ops}
    needs = _tree_needs(ops, producer)
    yield _depth_first(ops, producer, lambda op: op.inputs)
    yield _depth_first(ops, producer, lambda op: op.inputs[::-1])
    yield _depth_first(ops, producer, lambda op: sorted(op.inputs, key=lambda t: t.bytes - needs.get(t, 0)))
    yield _frugal(ops, producer)


def _depth_first(
    ops: _Order, producer: dict[RegionTensor, RegionOp], operands: Callable[[RegionOp], Iterable[RegionTensor]]
) -> _Order:
    """Each op right behind what it needs."""
    read = {tensor for op in ops for tensor in op.inputs}
    done: dict[RegionOp, None] = {}
    stack = [(op, False) for op in reversed(ops) if op.output not in read]
    while stack:
        op, is_ready = stack.pop()
        if op in done:
            continue
        if is_ready:
            done[op] = None
            continue
        stack.append((op, True))
        sources = [producer[t] for t in operands(op) if t in producer]
        stack += [(source, False) for source in reversed(sources) if source not in done]
    return tuple(done)


def _tree_needs(ops: _Order, producer: dict[RegionTensor, RegionOp]) -> dict[RegionTensor, int]:
    """What must be live at once to make each tensor, were nothing shared and all maps whole."""
    needs: dict[RegionTensor, int] = {}
    for op in ops:
        sources = sorted((t for t in dict.fromkeys(op.inputs) if t in producer), key=lambda t: t.bytes - needs[t])
        held, most = 0, op.output.bytes + sum(t.bytes for t in sources)
        for tensor in sources:
            most = max(most, held + needs[tensor])
            held += tensor.bytes
        needs[op.output] = most
    return needs


def _frugal(ops: _Order, producer: dict[RegionTensor, RegionOp]) -> _Order:
    """Next always the op that leaves the fewest bytes live, the first one in the file among equals."""
    readers: dict[RegionTensor, set[RegionOp]] = {}
    for op in ops:
        for tensor in op.inputs:
            readers.setdefault(tensor, set()).add(op)
    waiting, done, order = list(ops), set[RegionTensor](), list[RegionOp]()

    def growth(op: RegionOp) -> int:
        dying = sum(t.bytes for t in dict.fromkeys(op.inputs) if t in producer and readers[t] == {op})
        return op.output.bytes * (op.output in readers) - dying

    while waiting:
        ready = [op for op in waiting if all(t in done or t not in producer for t in op.inputs)]
        op = min(ready, key=growth)
        waiting.remove(op)
        order.append(op)
        done.add(op.output)
        for tensor in op.inputs:
            readers[tensor].discard(op)
    return tuple(order)

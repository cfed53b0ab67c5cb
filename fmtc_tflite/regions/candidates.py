"""Which ops become regions: maximal connected groups that one op can stand for.

A group is convex: no path leads out of it and back, also not through other groups, so that an order exists in which
each group is one op. RESHAPEs that keep the batch join as other names of what they read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import numpy as np

from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.graph.selection import Filter, places
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.extra import NOTHING
from fmtc_tflite.regions.joined import find_joined, joining
from fmtc_tflite.regions.ops import OpBuilder, OpRefusedError, RegionOp, RegionTensor
from fmtc_tflite.regions.program_format import MAX_BYTES
from fmtc_tflite.regions.region import Region
from fmtc_tflite.regions.rewrites import with_padding_in_windows, with_transposed_inputs
from fmtc_tflite.regions.search import least_bound
from fmtc_tflite.regions.stage_costs import StageCosts
from fmtc_tflite.regions.stages import RegionSpans

_RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
_READS_ANY_SHAPE = ("FULLY_CONNECTED", "ARG_MAX", "ARG_MIN", *_RESHAPES)
_DTYPES = tuple(np.dtype(t) for t in (np.float32, np.int32, np.uint8, np.int64, np.int8))
LEAST_OPS = 2


@dataclass(frozen=True, eq=False)
class Group:
    """Ops of a subgraph that one FMTC_REGION stands for.

    Attributes:
      ops: in execution order, RESHAPEs included.
      inputs, outputs: the graph's tensors that the op reads and writes, those of the region in the same order.
      region: what is planned.
    """

    ops: tuple[Op, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    region: Region


@dataclass(frozen=True)
class Candidates:
    """What can be fused in a subgraph, and why the other ops cannot."""

    groups: tuple[Group, ...]
    left_out: dict[Op, str]


def find_candidates(
    subgraph: Subgraph,
    build: OpBuilder,
    include: str | None = None,
    exclude: str | None = None,
    outside: Mapping[Op, str] = MappingProxyType({}),
    least_ops: int = LEAST_OPS,
) -> Candidates:
    """Finds the groups.

    Args:
      build: makes an op's RegionOp.
      include, exclude: selectors of ops; see fmtc_tflite.graph.selection.
      outside: ops that are to stay outside, with reasons.
      least_ops: that a group has.

    Raises:
      UsageError: one is no selector.
    """
    left_out: dict[Op, str] = {}
    joined = find_joined(subgraph)
    build_one = joining(joined, build)
    filter_ = Filter.parse(include, exclude)
    for op, place in places(subgraph).items():
        own = filter_.reason(place) or _unfit(op, op not in joined or joined[op].keeps_batch) or _refusal(op, build_one)
        reason = own or outside.get(op)
        if reason is not None:
            left_out[op] = reason
    while True:
        grouping = _Grouping(subgraph, [op for op in subgraph.ops if op not in left_out])
        try:
            members = grouping.groups()
            made = {tensor for ops in members for op in ops for tensor in op.outputs if tensor is not None}
            groups = [_GroupBuilder(subgraph, ops, build, made).build() for ops in members]
        except _RefusedInGroup as refused:
            left_out[refused.op] = refused.reason
            continue
        large = tuple(group for group in groups if _fused_ops(group) >= least_ops and group.outputs)
        for group in groups:
            if group not in large:
                reason = "no supported op beside it to fuse it with" if group.outputs else "nobody reads what it makes"
                left_out |= dict.fromkeys(group.ops, reason)
        return Candidates(large, left_out)


def whole_group(subgraph: Subgraph, build: OpBuilder) -> Group | None:
    """All ops of a subgraph as one group; None if they cannot be one."""
    return part_of(subgraph, Group((), (), (), Region((), (), ())), list(subgraph.ops), build)


def is_reshape(op: Op) -> bool:
    """Whether the op gives its input another shape and does nothing else."""
    return op.opcode in _RESHAPES


class _RefusedInGroup(Exception):
    def __init__(self, op: Op, reason: str) -> None:
        super().__init__(reason)
        self.op, self.reason = op, reason


def _fused_ops(group: Group) -> int:
    return len({op.source for op in group.region.ops} - {None})


def _least_need(group: Group) -> int:
    """At least so many bytes of scratch memory; cheap."""
    return least_bound(StageCosts(RegionSpans(group.region)), NOTHING)


def _activations(op: Op) -> list[Tensor]:
    return [t for t in (*op.inputs, *op.outputs) if t is not None and t.data is None]


def _unfit(op: Op, keeps_batch: bool = True) -> str | None:
    """What keeps an op of any kind outside; one may change the batch that others change back."""
    activations = _activations(op)
    if not op.outputs or None in op.outputs or activations == op.outputs:
        return "it does not make tensors from others"
    if any(t.is_variable for t in activations) or any(t is not None for t in op.intermediates):
        return "it has a state"
    if any(t.raw.sparsity is not None for t in op.inputs if t is not None):
        return "it has sparse constants"
    for tensor in activations:
        if len(tensor.shape) < 2 or min(tensor.shape) < 1 or tensor.dtype not in _DTYPES:
            return f"tensor '{tensor.name}' has the shape {list(tensor.shape)} and type {tensor.type_name}"
        if prod(tensor.shape[1:]) * tensor.dtype.itemsize > MAX_BYTES:
            return f"tensor '{tensor.name}' has more than 2 GB an item"
        if keeps_batch and tensor.shape[0] != activations[0].shape[0]:
            return "it does not keep the batch"
    return None


def _refusal(op: Op, build: OpBuilder) -> str | None:
    if op.opcode in _RESHAPES:
        source, result = op.inputs[0], op.outputs[0]
        assert result is not None
        moves = source is None or source.data is not None or source.type != result.type
        return "it does more than reshape" if moves else None
    try:
        build(op, plain_tensor)
    except OpRefusedError as refusal:
        return str(refusal)
    return None


def plain_tensor(tensor: Tensor) -> RegionTensor:
    """An item of a graph's tensor [N, ..., C]: rank 4 as it is, others as one row, without columns at rank 2."""
    *spatial, channels = tensor.shape[1:]
    height = spatial[0] if len(spatial) > 1 else 1
    width = int(np.prod(spatial[1:] if len(spatial) > 1 else spatial, dtype=np.int64))
    assert tensor.dtype is not None
    zero_point = 0
    if tensor.dtype in (np.dtype(np.int8), np.dtype(np.uint8)):
        zero_point = (tensor.zero_point or 0) + (128 if tensor.dtype == np.int8 else 0)
    return RegionTensor(tensor, height, width, channels, tensor.dtype, zero_point)


class _Grouping:
    """Joins ops along their tensors as long as no path leads from a joint group out and back."""

    def __init__(self, subgraph: Subgraph, ops: Iterable[Op]) -> None:
        self._subgraph, self._members = subgraph, list(ops)
        view = GraphView(subgraph)
        self._next: dict[Op, list[Op]] = {
            op: [reader for t in op.outputs if t is not None for reader in view.consumer_ops(t)] for op in subgraph.ops
        }
        self._group: dict[Op, list[Op]] = {op: [op] for op in subgraph.ops}
        member = set(self._members)
        for op in self._members:
            for tensor in op.inputs:
                source = None if tensor is None else view.producer(tensor)
                if source in member and source is not None:
                    self._join(source, op)

    def groups(self) -> list[list[Op]]:
        """The groups in the order of their first ops, each in execution order, without RESHAPEs at its beginning."""
        position = {op: number for number, op in enumerate(self._subgraph.ops)}
        found = {id(self._group[op]): self._group[op] for op in self._members}
        groups = [sorted(group, key=position.__getitem__) for group in found.values()]
        return [group for group in map(without_leading_reshapes, groups) if group]

    def _join(self, first: Op, second: Op) -> None:
        one, other = self._group[first], self._group[second]
        if one is other or self._detour(one, other) or self._detour(other, one):
            return
        one += other
        for op in other:
            self._group[op] = one

    def _detour(self, start: list[Op], end: list[Op]) -> bool:
        """Whether a path leads from one group to the other through a third."""
        seen = {id(start), id(end)}
        pending = [op for op in start for op in self._next[op]]
        pending = [op for op in pending if id(self._group[op]) not in seen]
        while pending:
            group = self._group[pending.pop()]
            if id(group) in seen:
                continue
            seen.add(id(group))
            for op in group:
                for reader in self._next[op]:
                    if self._group[reader] is end:
                        return True
                    pending.append(reader)
        return False


def without_leading_reshapes(ops: list[Op]) -> list[Op]:
    """Leaves out RESHAPEs of what the group does not compute."""
    written: set[Tensor | None] = set()
    kept = []
    for op in ops:
        if op.opcode not in _RESHAPES or op.inputs[0] in written:
            kept.append(op)
            written.update(op.outputs)
    return kept


def split_group(subgraph: Subgraph, group: Group, last: Op, build: OpBuilder) -> tuple[Group, Group] | None:
    """Two groups for one, the first up to an op and RESHAPEs directly behind it; None if one of them cannot be."""
    end = group.ops.index(last) + 1
    while end < len(group.ops) and group.ops[end].opcode in _RESHAPES:
        end += 1
    parts = [list(group.ops[:end]), without_leading_reshapes(list(group.ops[end:]))]
    first, second = (part_of(subgraph, group, ops, build) for ops in parts)
    return None if first is None or second is None else (first, second)


def without_widening_ends(subgraph: Subgraph, group: Group, build: OpBuilder) -> tuple[Group, list[Op]] | None:
    """A group without ops at its ends that write larger elements than they read, and these; None if there are none.

    As a DEQUANTIZE: what it writes need not lie there while the group's other ops run.
    """
    ends = [op for op in group.ops if not is_reshape(op) and _widens(op) and set(op.outputs) <= set(group.outputs)]
    read = {tensor for op in group.ops for tensor in op.inputs}
    ends = [op for op in ends if not read & set(op.outputs)]
    part = part_of(subgraph, group, [op for op in group.ops if op not in ends], build) if ends else None
    return None if part is None else (part, ends)


def _widens(op: Op) -> bool:
    """Whether its output has larger elements than its inputs."""
    sizes = [
        max(t.dtype.itemsize for t in tensors if t is not None and t.data is None and t.dtype is not None)
        for tensors in (op.inputs, op.outputs)
    ]
    return sizes[0] < sizes[1]


def part_of(subgraph: Subgraph, group: Group, ops: list[Op], build: OpBuilder) -> Group | None:
    """A group of some of a group's ops, in execution order; None if they cannot be one."""
    if not ops:
        return None
    kept = {*group.inputs, *(tensor for op in group.ops for tensor in op.outputs if tensor is not None)}
    try:
        return _GroupBuilder(subgraph, ops, build, kept).build()
    except _RefusedInGroup:
        return None


class _GroupBuilder:
    """Makes a group of ops.

    Args:
      kept: tensors that are read as they are; what RESHAPEs read that make them may be inside another region.
    """

    def __init__(self, subgraph: Subgraph, ops: list[Op], build: OpBuilder, kept: Collection[Tensor]) -> None:
        self._subgraph, self._ops, self._kept = subgraph, ops, kept
        self._joined = find_joined(subgraph)
        self._build = joining(self._joined, build)
        self._view = GraphView(subgraph)
        self._tensors: dict[Tensor, RegionTensor] = {}

    def build(self) -> Group:
        region_ops = []
        for op in self._ops:
            if op.opcode in _RESHAPES:
                source, result = op.inputs[0], op.outputs[0]
                assert source is not None
                assert result is not None
                self._tensors[result] = self._tensor(source)
                continue
            self._check_shapes(op)
            joined = self._joined.get(op)
            if joined is not None and not set(joined.ops) <= set(self._ops):
                raise _RefusedInGroup(op, f"the {len(joined.ops)} ops that are {joined.what} are not together")
            try:
                built = self._build(op, self._tensor)
            except OpRefusedError as refusal:
                raise _RefusedInGroup(op, str(refusal)) from refusal
            for each in built:
                if self._is_used(op, each.output):
                    region_ops.append(each)
                if each.source is not None:
                    self._tensors[each.output.source] = each.output  # an op may give it another form than the graph's
        outputs = self._graph_outputs()
        kept = {self._tensors[output] for output in outputs}
        region_ops = with_transposed_inputs(region_ops, kept)
        group, padding = self._group(region_ops, outputs), with_padding_in_windows(region_ops, kept)
        if padding == region_ops:
            return group
        return min(self._group(padding, outputs), group, key=_least_need)

    def _group(self, region_ops: list[RegionOp], outputs: list[Tensor]) -> Group:
        inputs = self._read_from_outside(region_ops)
        ops, region_outputs = self._with_copies(region_ops, outputs)
        region = Region(tuple(ops), tuple(inputs), tuple(region_outputs))
        return Group(tuple(self._ops), tuple(inputs.values()), tuple(outputs), region)

    def _is_used(self, op: Op, output: RegionTensor) -> bool:
        """Whether anybody reads one of several outputs of an op."""
        tensor = output.source
        return len(op.outputs) == 1 or tensor in self._subgraph.outputs or bool(self._view.consumer_ops(tensor))

    def _check_shapes(self, op: Op) -> None:
        for tensor in op.inputs:
            if tensor is None or tensor.data is not None or op.opcode in _READS_ANY_SHAPE:
                continue
            mine, plain = self._tensor(tensor), plain_tensor(tensor)
            if (mine.height, mine.width, mine.channels) != (plain.height, plain.width, plain.channels):
                raise _RefusedInGroup(op, "a RESHAPE before it makes other rows, columns and channels")

    def _tensor(self, tensor: Tensor) -> RegionTensor:
        if tensor not in self._tensors:
            self._tensors[tensor] = plain_tensor(tensor)
        return self._tensors[tensor]

    def _read_from_outside(self, ops: list[RegionOp]) -> dict[RegionTensor, Tensor]:
        """The region's inputs; an op may have given one another form than the graph's."""
        written = {op.output for op in ops}
        made = {op.output.source for op in ops if op.source is not None}
        read = dict.fromkeys(tensor for op in ops for tensor in op.inputs if tensor not in written)
        for op in ops:
            if op.source is not None and any(t in read and t.source in made for t in op.inputs):
                raise _RefusedInGroup(op.source, "it reads all of a tensor at once that an op before it makes")
        return {tensor: self._before_reshapes(tensor.source) for tensor in read}

    def _before_reshapes(self, tensor: Tensor) -> Tensor:
        """The tensor whose bytes an input has: RESHAPEs before the region are not needed for it."""
        while tensor not in self._kept and (op := self._view.producer(tensor)) is not None and op.opcode in _RESHAPES:
            source = op.inputs[0]
            if source is None or _unfit(op) or _refusal(op, _refuse):
                break
            tensor = source
        return tensor

    def _graph_outputs(self) -> list[Tensor]:
        """What is read outside or is an output of the graph."""
        own, outputs = set(self._ops), set(self._subgraph.outputs)
        return [
            tensor
            for op in self._ops
            for tensor in op.outputs
            if tensor is not None
            and (tensor in outputs or any(reader not in own for reader in self._view.consumer_ops(tensor)))
        ]

    def _with_copies(self, ops: list[RegionOp], outputs: list[Tensor]) -> tuple[list[RegionOp], list[RegionTensor]]:
        """Puts copies behind ops whose output cannot be the region's: it is read inside, or they do not write it."""
        read = {tensor for op in ops for tensor in op.inputs}
        copies: dict[RegionTensor, list[Copy]] = {}
        found = []
        used: set[RegionTensor] = set()
        writer = {op.output: op for op in ops}
        for output in outputs:
            tensor = self._tensors[output]
            if tensor in read or tensor in used or not writer[tensor].writes_region_outputs:
                copy = Copy.of(tensor)
                copies.setdefault(tensor, []).append(copy)
                tensor = copy.output
            used.add(tensor)
            found.append(tensor)
        return [each for op in ops for each in (op, *copies.get(op.output, ()))], found


def _refuse(op: Op, tensor_of: Callable[[Tensor], RegionTensor]) -> tuple[RegionOp, ...]:
    raise OpRefusedError("not needed here")

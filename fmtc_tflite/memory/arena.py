"""How many bytes of activations must exist at once: the arena that a TFLite interpreter plans.

The plan follows TFLite's ArenaPlanner and SimpleMemoryArena (greedy by size, 64-byte alignment) with the built-in
kernels, which is what `OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES` runs: graph inputs, graph outputs and
variables are never freed, some ops write into their input's memory, and a kernel's working memory takes part in the
plan. Two things differ from the interpreter: of the built-in kernels' working memory only the large part is known
here (`kernel_scratch_bytes`), and tensors whose shape depends on data have the size that the file says.

Under a delegate such as XNNPACK the tensors inside its partitions live in the delegate's own memory instead.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod

import numpy as np

from fmtc_tflite.graph.model import Model, Op, Subgraph, Tensor
from fmtc_tflite.graph.operators.window import WindowForm, window_form
from fmtc_tflite.graph.region_ops import is_region, scratch_bytes
from fmtc_tflite.graph.variables import variable_values

ALIGNMENT_BYTES = 64

# Ops that may write into the memory of one of their first inputs: how many inputs are eligible.
_IN_PLACE = {"ADD": 2, "SUB": 2, "MUL": 2, "DIV": 2, "SOFTMAX": 1, "DYNAMIC_UPDATE_SLICE": 1}
# Ops whose output is their first input under another shape; several of them may share one input.
_ALIASES = ("RESHAPE", "BITCAST", "EXPAND_DIMS", "SQUEEZE")
_MIN_IN_PLACE_BYTES = 5  # scalars are not shared

_BITS_WITHOUT_DTYPE = {"INT4": 4, "UINT4": 4, "INT2": 2, "BFLOAT16": 16, "FLOAT8_E4M3FN": 8, "FLOAT8_E5M2": 8}

ScratchBytes = Callable[[Op], int]


@dataclass(frozen=True)
class ArenaPlan:
    """The planned arena of one subgraph. Ops are numbered in execution order; sizes are in bytes.

    Attributes:
      capacity_bytes: the arena's size.
      persistent_bytes: variables, of both kinds, which have memory of their own.
      peak_op_index, peak_op_name: the op while which most bytes are live.
      live_bytes: bytes live while each op runs, without alignment and gaps.
      holders: (tensor name, bytes) of what is live then, the largest first; an op's working memory has the name of
        the op's first output plus ' (scratch)'.
      offsets: where each tensor starts in the arena; tensors that share memory have one offset.
      lifetimes: first and last op during which each tensor's memory is taken.
      scratch_offsets: where the working memory of an op starts, by the op's number.
    """

    capacity_bytes: int
    persistent_bytes: int
    peak_op_index: int
    peak_op_name: str
    live_bytes: list[int]
    holders: list[tuple[str, int]]
    offsets: dict[Tensor, int]
    lifetimes: dict[Tensor, tuple[int, int]]
    scratch_offsets: dict[int, int]


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes of the tensor's values; 0 for types that do not live in an arena (strings, resources, variants)."""
    bits = _BITS_WITHOUT_DTYPE.get(tensor.type_name, 0) if tensor.dtype is None else 8 * tensor.dtype.itemsize
    return -(-_volume(tensor.shape) * bits // 8)


def kernel_scratch_bytes(op: Op) -> int:
    """Working memory of an op in the arena: of FMTC_REGION all, of built-in kernels the im2col of quantized CONV_2D."""
    if is_region(op):
        return scratch_bytes(op)
    if op.opcode != "CONV_2D" or len(op.inputs) < 2 or not op.outputs:
        return 0
    source, filters, result = op.inputs[0], op.inputs[1], op.outputs[0]
    if source is None or filters is None or result is None or op.options is None:
        return 0
    if source.dtype not in (np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int16)):
        return 0
    if (len(source.shape), len(filters.shape), len(result.shape)) != (4, 4, 4):
        return 0
    form = window_form(op)
    if form == WindowForm((1, 1), (1, 1), (1, 1)):
        return 0
    return _volume((*result.shape[:3], *form.kernel, source.shape[3])) * source.dtype.itemsize


def region_scratch_bytes(op: Op) -> int:
    """Working memory of FMTC_REGION ops alone, which belongs to the file and not to the kernels."""
    return scratch_bytes(op) if is_region(op) else 0


def no_scratch(op: Op) -> int:
    """For plans of the model file's tensors alone, whatever the kernels need."""
    return 0


def plan_arena(model: Model, subgraph_index: int = 0, scratch_bytes: ScratchBytes = kernel_scratch_bytes) -> ArenaPlan:
    """Plans the arena of one subgraph.

    Args:
      scratch_bytes: working memory of an op in the arena, in bytes. Pass a function of your own to add what custom
        ops take, or `no_scratch` to plan the feature maps alone.
    """
    subgraph = model.subgraphs[subgraph_index]
    blocks = _Lifetimes(subgraph).blocks()
    for position, op in enumerate(subgraph.ops):
        if size := scratch_bytes(op):
            name = op.outputs[0].name if op.outputs and op.outputs[0] is not None else op.opcode
            blocks.append(_Block(f"{name} (scratch)", size, position, position))
    _place(blocks, last_op=len(subgraph.ops) - 1)
    return _summarize(subgraph, blocks)


def aliases(subgraph: Subgraph) -> dict[Tensor, Tensor]:
    """Results of reshapes that move nothing, because they share their input's memory -> that input."""
    roots = _Lifetimes(subgraph).roots
    found = {}
    for op in subgraph.ops:
        if op.opcode in _ALIASES and op.outputs and op.outputs[0] in roots:
            result, source = op.outputs[0], op.inputs[0]
            if result is not None and source is not None:
                found[result] = source
    return found


@dataclass
class _Block:
    """A piece of memory and the tensors that live in it; `last_op` is None for what is never freed."""

    name: str
    size: int
    first_op: int
    last_op: int | None
    offset: int = 0
    tensors: list[Tensor] = field(default_factory=list)


class _Lifetimes:
    """When each tensor's memory is taken and freed, and which tensors share it."""

    def __init__(self, subgraph: Subgraph) -> None:
        self._subgraph = subgraph
        self._inputs = set(subgraph.inputs)
        self._outputs = set(subgraph.outputs)
        self._root: dict[Tensor, Tensor] = {}
        self._share()

    @property
    def roots(self) -> dict[Tensor, Tensor]:
        """The tensor whose memory each one uses, for those that share another's."""
        return self._root

    def blocks(self) -> list[_Block]:
        """The memory of all activations, in the order in which it is taken."""
        uses = self._count_uses()
        blocks: dict[Tensor, _Block] = {}
        for tensor in self._subgraph.inputs:
            self._take(blocks, tensor, 0)
        for position, op in enumerate(self._subgraph.ops):
            for tensor in _present(op.outputs):
                self._take(blocks, tensor, position)
            for tensor in _present(op.inputs):
                root = self._root_of(tensor)
                uses[root] -= 1
                if uses[root] == 0 and root in blocks:
                    blocks[root].last_op = position
        return list(blocks.values())

    def _take(self, blocks: dict[Tensor, _Block], tensor: Tensor, position: int) -> None:
        if tensor.is_variable or tensor.data is not None:
            return
        root = self._root_of(tensor)
        block = blocks.setdefault(root, _Block(root.name, tensor_bytes(root), position, None))
        block.tensors.append(tensor)

    def _root_of(self, tensor: Tensor) -> Tensor:
        return self._root.get(tensor, tensor)

    def _count_uses(self) -> Counter[Tensor]:
        """Reads of each piece of memory; one more for what is never freed."""
        variables = (tensor for tensor in self._subgraph.tensors if tensor.is_variable)
        uses = Counter([*self._subgraph.inputs, *self._subgraph.outputs, *variables])
        for op in self._subgraph.ops:
            uses.update(self._root_of(tensor) for tensor in _present(op.inputs))
        return uses

    def _share(self) -> None:
        uses = self._count_uses()
        written: set[Tensor] = set()
        for op in self._subgraph.ops:
            source = self._shared_input(op, uses, written)
            results = _present(op.outputs)
            if source is not None:
                self._root[results[0]] = self._root_of(source)
            written.update(results)

    def _shared_input(self, op: Op, uses: Counter[Tensor], written: set[Tensor]) -> Tensor | None:
        """The input whose memory the op's first output takes over, if any."""
        is_alias = op.opcode in _ALIASES
        eligible = 1 if is_alias else _IN_PLACE.get(op.opcode, 0)
        results = _present(op.outputs[:1])
        if not eligible or not results or results[0] in self._outputs:
            return None
        size = tensor_bytes(results[0])
        for source in _present(op.inputs[:eligible]):
            if source in self._inputs or source not in written or source.is_variable or tensor_bytes(source) != size:
                continue
            if is_alias:
                return source
            if size >= _MIN_IN_PLACE_BYTES and uses[source] <= 1:
                return source if uses[self._root_of(source)] <= 1 else None
        return None


def _place(blocks: list[_Block], last_op: int) -> None:
    """Gives every block its offset: the largest first, each into the smallest gap between its contemporaries."""

    def order(block: _Block) -> tuple[int, int, int]:
        if block.first_op == 0 and block.last_op is None:
            return (0, 0, 0)
        return (1, -block.size, block.first_op)

    placed: list[tuple[int, int, int, int]] = []  # (offset, end, first op, last op), by offset
    for block in sorted(blocks, key=order):
        if block.size == 0:
            continue
        last = last_op if block.last_op is None else block.last_op
        rivals = [(start, end) for start, end, other_first, other_last in placed
                  if other_last >= block.first_op and other_first <= last]  # fmt: skip
        block.offset = best_offset(rivals, block.size)
        insort(placed, (block.offset, block.offset + block.size, block.first_op, last))


def best_offset(rivals: Iterable[tuple[int, int]], size: int) -> int:
    """The aligned offset of the smallest gap that holds `size` bytes.

    Args:
      rivals: (start, end) of the memory that is taken meanwhile, by start.
    """
    best, best_gap, position = None, np.inf, 0
    for start, end in rivals:
        aligned = _align(position)
        if aligned + size <= start and start - aligned < best_gap:
            best, best_gap = aligned, start - position
        position = max(position, end)
    return _align(position) if best is None else best


def _volume(shape: Iterable[int]) -> int:
    return prod(max(dimension, 0) for dimension in shape)


def _align(position: int) -> int:
    return -(-position // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _summarize(subgraph: Subgraph, blocks: list[_Block]) -> ArenaPlan:
    final = max(len(subgraph.ops) - 1, 0)
    spans = [(block, block.first_op, final if block.last_op is None else block.last_op) for block in blocks]
    change = [0] * (final + 2)
    for block, first, last in spans:
        change[first] += block.size
        change[last + 1] -= block.size
    live_bytes = list(accumulate(change))
    peak = live_bytes.index(max(live_bytes))
    held = [(block.name, block.size) for block, first, last in spans if first <= peak <= last and block.size]
    return ArenaPlan(
        capacity_bytes=max((block.offset + block.size for block in blocks), default=0),
        persistent_bytes=sum(_align(tensor_bytes(t)) for t in variable_values(subgraph).values()),
        peak_op_index=peak,
        peak_op_name=subgraph.ops[peak].opcode if subgraph.ops else "",
        live_bytes=live_bytes[: len(subgraph.ops)],
        holders=sorted(held, key=lambda holder: -holder[1]),
        offsets={tensor: block.offset for block in blocks for tensor in block.tensors},
        lifetimes={tensor: (first, last) for block, first, last in spans for tensor in block.tensors},
        scratch_offsets={block.first_op: block.offset for block in blocks if not block.tensors},
    )


def _present(tensors: Iterable[Tensor | None]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor is not None]

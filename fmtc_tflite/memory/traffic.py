"""Who moves how many bytes: the memory traffic of one inference, in models that are never mixed.

* `as_executed`: what a TFLite interpreter does with the graph that it is given. Every op reads each of its inputs once,
  whole, and writes its outputs once; the inserted ops add their own reads and writes.
* `fused_codec`: the codec sits at the memory port. A feature map is written once, coded, and read whole once by each
  op that consumes it, coded; the inserted ops move nothing but side information, once for each side.

A third one, `fused_regions`, is of models with regions alone: see region_traffic.

In the second, ops that only say a feature map again (padded, cut, transposed, requantized; graph.operators.views) move
nothing either: who reads the copy reads the original, as compilers for NPUs have it.

In all, a reshape that shares its input's memory moves nothing, an op that reads a tensor twice counts once, and who
fills the graph's inputs and reads its outputs is outside of the graph. These are lower bounds: kernels that read
their input in overlapping tiles read more. Coded feature maps count with the bytes that the encoder writes, not with
their capacity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal, get_args

from fmtc_tflite.coding.side_info import STEP_ONE, SideInformation
from fmtc_tflite.errors import BitstreamError, ModelFormatError
from fmtc_tflite.graph.coded_maps import CodedMap, is_codec_op
from fmtc_tflite.graph.model import Op, Subgraph, Tensor
from fmtc_tflite.graph.names import DECODE, ENCODE
from fmtc_tflite.graph.operators.views import says_again_of
from fmtc_tflite.memory.arena import aliases, tensor_bytes

Kind = Literal["feature_map", "weights", "side_information", "ring"]
TrafficModel = Literal["as_executed", "fused_codec", "fused_regions"]
KINDS: tuple[Kind, ...] = ("feature_map", "weights", "side_information")  # that cross memory
TRAFFIC_MODELS: tuple[TrafficModel, ...] = get_args(TrafficModel)
ANY_GRAPH: tuple[TrafficModel, ...] = ("as_executed", "fused_codec")  # what every model has


@dataclass(frozen=True)
class Access:
    """One transfer of a tensor.

    Attributes:
      size_bytes: may be a mean over samples.
    """

    tensor: Tensor
    kind: Kind
    is_write: bool
    size_bytes: float


@dataclass(frozen=True)
class CodecWork:
    """Operations that encoding or decoding takes: multiply-accumulates of the transform, look-ups in tables."""

    multiply_accumulates: int = 0
    table_lookups: int = 0

    def __add__(self, other: CodecWork) -> CodecWork:
        return CodecWork(
            self.multiply_accumulates + other.multiply_accumulates, self.table_lookups + other.table_lookups
        )


@dataclass
class OpTraffic:
    """What one op moves, and the codec work that is done for it."""

    op: Op
    position: int
    accesses: list[Access] = field(default_factory=list)
    work: CodecWork = CodecWork()

    def total(self, kind: Kind, is_write: bool) -> float:
        """Bytes of one kind in one direction."""
        return sum(a.size_bytes for a in self.accesses if a.kind == kind and a.is_write == is_write)


@dataclass(frozen=True)
class Traffic:
    """The traffic of one inference.

    Attributes:
      ops: one entry per op, in execution order.
      held_bytes: memory that each feature map occupies while it lives; coded ones their capacity.
      lifetimes: first and last op during which each feature map is held.
      ring_bytes: memory that the rings of regions take during each op; empty without regions.
    """

    model: TrafficModel
    ops: list[OpTraffic]
    held_bytes: Mapping[Tensor, int]
    lifetimes: Mapping[Tensor, tuple[int, int]]
    ring_bytes: Sequence[int] = ()

    def total(self, kind: Kind, is_write: bool) -> float:
        """Bytes of one kind in one direction, over all ops."""
        return sum(op.total(kind, is_write) for op in self.ops)


def coded_capacity(m: CodedMap) -> int:
    """Bytes of memory that a map's coded form takes: none of its own for folded maps."""
    return 0 if m.is_folded else tensor_bytes(m.coded)


@dataclass(frozen=True)
class MapWork:
    """Operations of encoding a map, and of decoding it once."""

    encode: CodecWork
    decode: CodecWork


def codec_work(m: CodedMap) -> MapWork:
    """What coding a map takes: two look-ups per index for the entropy coder (state and token), one for the quantizer.

    Raises:
      ModelFormatError: side information that cannot be read, or is that of another feature map.
    """
    info = _side_information(m)
    indices = prod(m.source.shape[:3]) * info.components

    def work(pixels: int, has_matrix: bool) -> CodecWork:
        if has_matrix:
            return CodecWork(pixels * info.components * info.channels, 2 * indices)
        return CodecWork(0, indices * (3 if (info.steps > STEP_ONE).any() else 2))

    decoded = prod(m.feature_map.shape[:3])
    return MapWork(work(prod(m.source.shape[:3]), info.analysis is not None), work(decoded, info.has_synthesis))


def total_work(m: CodedMap) -> CodecWork:
    """What a map takes in the converted graph: encoding it, if it is stored, and each of its decodes."""
    work = codec_work(m)
    return sum((work.decode for _ in (*m.decoded, *m.copies)), CodecWork() if m.is_folded else work.encode)


def transform_of(m: CodedMap) -> str:
    """How a map is coded: lossless, step, klt, or folded_klt where it is not stored as it is.

    Raises:
      ModelFormatError: see codec_work.
    """
    info = _side_information(m)
    if m.is_folded or (not m.is_stored_as_it_is and m.decoded and info.analysis is None):
        return "folded_klt"
    if info.analysis is not None:
        return "klt"
    return "step" if (info.steps > STEP_ONE).any() else "lossless"


def replaced_weight_bytes(m: CodedMap) -> int:
    """Of a map's side information, what stands for the weights and biases of a convolution that left the graph.

    Raises:
      ModelFormatError: see codec_work.
    """
    return _side_information(m).weight_bytes if m.is_folded else 0


def side_information_accesses(m: CodedMap) -> list[Access]:
    """Reading a map's side information: the weights in it count as such."""
    weights = replaced_weight_bytes(m)
    own = Access(m.side, "side_information", False, tensor_bytes(m.side) - weights)
    return [own, Access(m.side, "weights", False, weights)] if weights else [own]


def _side_information(m: CodedMap) -> SideInformation:
    """Of a map's decoders: what is encoded must have its components, what is decoded its channels."""
    try:
        info = SideInformation.from_bytes(b"" if m.side.data is None else m.side.data.tobytes())
    except BitstreamError as e:
        raise ModelFormatError(f"tensor '{m.side.name}': {e}") from e
    wanted = [(m.source, {info.components, info.channels}), *((result, {info.channels}) for result in m.decoded)]
    for tensor, channels in wanted:
        if tensor.shape[3] not in channels:
            raise ModelFormatError(
                f"tensor '{m.side.name}' describes a feature map of {info.channels} channels, '{tensor.name}' has "
                f"{tensor.shape[3]}; convert the model again"
            )
    return info


def as_executed(subgraph: Subgraph, coded: Iterable[CodedMap], coded_bytes: Mapping[Tensor, float]) -> Traffic:
    """What the interpreter moves.

    Args:
      coded: of coded_maps(subgraph).
      coded_bytes: bytes that the encoder writes, by the map's `coded` tensor.
    """
    maps = list(coded)
    by_coded = {m.coded: m for m in maps if not m.is_folded}
    by_decoded = {t: m for m in maps for t in (*m.decoded, *m.copies)}
    by_side = {m.side: m for m in maps}
    work = {m: codec_work(m) for m in maps}
    alias = aliases(subgraph)
    ops = []
    for position, op in enumerate(subgraph.ops):
        traffic = OpTraffic(op, position)
        ops.append(traffic)
        if op.outputs and op.outputs[0] in alias:
            continue
        for operand, is_write in operands(op):
            tensor = root(operand, alias)
            if tensor in by_side:
                traffic.accesses += side_information_accesses(by_side[tensor])
                continue
            kind: Kind = "feature_map"
            if tensor.data is not None:
                kind = "side_information" if is_codec_op(op) else "weights"
            size = coded_bytes[tensor] if tensor in by_coded else tensor_bytes(tensor)
            traffic.accesses.append(Access(tensor, kind, is_write, size))
        if op.opcode == ENCODE and op.outputs[0] is not None:
            traffic.work = work[by_coded[op.outputs[0]]].encode
        elif op.opcode == DECODE and op.outputs[0] is not None:
            traffic.work = work[by_decoded[op.outputs[0]]].decode
    return finished("as_executed", subgraph, ops, {}, alias)


def fused_codec(
    subgraph: Subgraph,
    coded: Iterable[CodedMap],
    coded_bytes: Mapping[Tensor, float] | None,
    other_bytes: Mapping[Tensor, float] | None = None,
) -> Traffic:
    """What crosses the memory port if the codec sits there.

    Args:
      coded: of coded_maps(subgraph).
      coded_bytes: bytes that the encoder writes, by the map's `coded` tensor; None if nothing is coded after all: the
        same network without this codec. There, the first decoder of a folded map stands for the map's producer.
      other_bytes: sizes of uncoded feature maps under another scheme of compression; none for the maps as they are.
    """
    everything = list(coded)
    maps = {} if coded_bytes is None else {m.feature_map: m for m in everything}
    stored = {m.coded: m.feature_map for m in everything if not m.is_folded}
    sizes = dict(other_bytes or {}) | {stored[m.coded]: (coded_bytes or {})[m.coded] for m in maps.values()}
    same = aliases(subgraph) | says_again_of(subgraph, set() if coded_bytes is None else {m.source for m in everything})
    alias = dict(same)
    for m in everything:
        others = (*m.decoded, *m.copies) if m.is_folded else (m.source, m.coded, *m.decoded, *m.copies)
        alias |= {t: m.feature_map for t in others if t is not m.feature_map}
    port = _MemoryPort(maps, stored, sizes, _read_without_decoding(subgraph, maps))
    producers = {(*m.decoded, *m.copies)[0]: m for m in everything if m.is_folded and coded_bytes is None}
    ops = []
    for position, op in enumerate(subgraph.ops):
        traffic = OpTraffic(op, position)
        ops.append(traffic)
        result = op.outputs[0] if op.outputs else None
        if result in same or (is_codec_op(op) and result not in producers):
            continue
        touched = [(t, w) for t, w in operands(op) if op.opcode != DECODE or t.data is None]
        for tensor, is_write in dict.fromkeys((root(t, alias), is_write) for t, is_write in touched):
            port.transfer(traffic, tensor, is_write, is_direct=tensor in op.inputs)
        if result in producers:
            traffic.accesses += [a for a in side_information_accesses(producers[result]) if a.kind == "weights"]
    held = {m.feature_map: coded_capacity(m) for m in maps.values()}
    return finished("fused_codec", subgraph, ops, held, alias)


class _MemoryPort:
    """A memory port with a codec: adds to an op's traffic what its tensors move."""

    def __init__(
        self,
        maps: Mapping[Tensor, CodedMap],
        stored: Mapping[Tensor, Tensor],
        sizes: Mapping[Tensor, float],
        read_raw: set[Tensor],
    ) -> None:
        """Args: maps: by feature map. stored: coded tensor -> feature map. sizes: in memory. read_raw: also uncoded."""
        self._maps, self._stored, self._sizes, self._read_raw = maps, stored, sizes, read_raw
        self._work = {m: codec_work(m) for m in maps.values()}
        self._has_decoder_tables: set[Tensor] = set()

    def transfer(self, traffic: OpTraffic, tensor: Tensor, is_write: bool, is_direct: bool) -> None:
        """Adds a read or a write; `is_direct`: the op reads the tensor itself, not a decoded copy."""
        if tensor.data is not None:
            traffic.accesses.append(Access(tensor, "weights", is_write, tensor_bytes(tensor)))
            return
        in_raw_form = tensor in self._read_raw and (is_write or is_direct)
        if in_raw_form or tensor not in self._maps:
            size = tensor_bytes(tensor) if in_raw_form else self._sizes.get(tensor, tensor_bytes(tensor))
            traffic.accesses.append(Access(tensor, "feature_map", is_write, size))
        if tensor in self._maps and (is_write or not in_raw_form):
            self._transfer_coded(traffic, tensor, is_write)

    def _transfer_coded(self, traffic: OpTraffic, tensor: Tensor, is_write: bool) -> None:
        m = self._maps[tensor]
        held = self._stored[m.coded]
        traffic.accesses.append(Access(held, "feature_map", is_write, self._sizes[held]))
        traffic.work += self._work[m].encode if is_write else self._work[m].decode
        if is_write or tensor not in self._has_decoder_tables:  # each side reads its tables once
            traffic.accesses += side_information_accesses(m)
        if not is_write:
            self._has_decoder_tables.add(tensor)


def _read_without_decoding(subgraph: Subgraph, maps: Mapping[Tensor, CodedMap]) -> set[Tensor]:
    """Coded maps that some op reads in their raw form as well; conversion makes none, other tools might."""
    sources = {t for t, m in maps.items() if t is m.source}
    readers = (op for op in subgraph.ops if op.opcode != ENCODE)
    return {t for op in readers for t in op.inputs if t in sources and t is not None} | sources & set(subgraph.outputs)


def operands(op: Op) -> list[tuple[Tensor, bool]]:
    """(tensor, is written) of everything that an op touches, each once per direction."""
    inputs = dict.fromkeys(t for t in op.inputs if t is not None)
    outputs = dict.fromkeys(t for t in op.outputs if t is not None)
    return [(t, False) for t in inputs] + [(t, True) for t in outputs]


def root(tensor: Tensor, alias: Mapping[Tensor, Tensor]) -> Tensor:
    """The tensor that one stands for."""
    while tensor in alias:
        tensor = alias[tensor]
    return tensor


def finished(
    model: TrafficModel,
    subgraph: Subgraph,
    ops: list[OpTraffic],
    held: Mapping[Tensor, int],
    alias: Mapping[Tensor, Tensor],
    ring_bytes: Sequence[int] = (),
) -> Traffic:
    """Adds how much memory each feature map holds, and for how long."""
    spans = dict.fromkeys(subgraph.inputs, (0, 0))
    for traffic in ops:
        for access in traffic.accesses:
            if access.kind == "feature_map":
                first, _ = spans.get(access.tensor, (traffic.position, 0))
                spans[access.tensor] = (first, traffic.position)
    last = max(len(ops) - 1, 0)
    for tensor in subgraph.outputs:
        if (held_by := root(tensor, alias)) in spans:
            spans[held_by] = (spans[held_by][0], last)
    sizes = {tensor: held.get(tensor, tensor_bytes(tensor)) for tensor in spans}
    return Traffic(model, ops, sizes, spans, ring_bytes)

"""What a converted graph means: which of its ops and tensors stand for which feature map of the original."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from flatbuffers import flexbuffers

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Model, Op, Subgraph, Tensor
from fmtc_tflite.graph.names import (
    CODED_SUFFIX,
    COEFFICIENTS_SUFFIX,
    DECODE,
    DECODED_SUFFIX,
    ENCODE,
    SIDE_INFORMATION_SUFFIX,
)
from fmtc_tflite.graph.operators.views import says_again_of
from fmtc_tflite.graph.region_ops import is_region, kernel_set_of
from fmtc_tflite.graph.removed_ops import removed_ops
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.graph.view_options import writes_view


@dataclass(frozen=True, eq=False)
class CodedMap:
    """A feature map of the original between FMTC_ENCODE and FMTC_DECODE ops.

    Attributes:
      source: what FMTC_ENCODE reads.
      coded: the coded form that the map is decoded from.
      side: the constant with the decoder's side information.
      decoded: what the FMTC_DECODE ops write of the map as it is.
      copies: what they write of maps that only say this one again, which are stored nowhere.
      is_folded: the map is not stored; its decoders compute it from the coded form of what its producer read, with
        side information of their own.
      stand_in: of a folded map of which only copies are decoded, the tensor that its producer wrote in the original:
        nothing writes it any more.
    """

    source: Tensor
    coded: Tensor
    side: Tensor
    decoded: tuple[Tensor, ...]
    copies: tuple[Tensor, ...] = ()
    is_folded: bool = False
    stand_in: Tensor | None = None

    @property
    def name(self) -> str:
        """The name that the map has in the original model."""
        if self.is_folded:
            return self.side.name.removesuffix(SIDE_INFORMATION_SUFFIX)
        return self.coded.name.removesuffix(CODED_SUFFIX)

    @property
    def named_copies(self) -> dict[str, Tensor]:
        """What is decoded of each copy, by the name that it has in the original model; the first decode of several."""
        return {t.name.rpartition(DECODED_SUFFIX)[0]: t for t in reversed(self.copies)}

    @property
    def is_stored_as_it_is(self) -> bool:
        """Whether the encoder reads the map itself: neither another one, nor components that its producer emits."""
        moved = self.source.name.endswith(COEFFICIENTS_SUFFIX) or any(
            t.shape != self.source.shape for t in self.decoded
        )
        return not (self.is_folded or moved)

    @property
    def feature_map(self) -> Tensor:
        """The tensor that stands for the map: what is encoded, or what is decoded if that is something else."""
        if self.is_folded and not self.decoded:
            return self.stand_in or self.copies[0]
        return self.source if self.is_stored_as_it_is or not self.decoded else self.decoded[0]


def is_converted(model: Model) -> bool:
    """Whether the model contains ops of this package."""
    return any(is_codec_op(op) or is_region(op) for subgraph in model.subgraphs for op in subgraph.ops)


def is_codec_op(op: Op) -> bool:
    """Whether the op encodes or decodes."""
    return op.opcode in (ENCODE, DECODE)


def coded_maps(subgraph: Subgraph) -> list[CodedMap]:
    """The coded feature maps of a converted graph, in execution order; empty for others.

    Raises:
      ModelFormatError: an op of this package without its operands, or a decoder without an encoder before it.
    """
    encoded: dict[Tensor, tuple[Tensor, Tensor]] = {}  # coded tensor -> what is encoded, the encoder's side information
    decoded: dict[tuple[Tensor, Tensor], list[Tensor]] = {}  # (coded tensor, side information) -> what is decoded
    copies: dict[tuple[Tensor, Tensor], list[Tensor]] = {}  # the same, of views
    by_name = {tensor.name: tensor for tensor in reversed(subgraph.tensors)}
    for op in filter(is_codec_op, subgraph.ops):
        source, side, result = _operands(op)
        if op.opcode == ENCODE:
            encoded[result] = source, side
            decoded[result, side] = []
        elif source in encoded:
            own = decoded.setdefault((source, side), [])
            (copies.setdefault((source, side), []) if writes_view(op) else own).append(result)
        else:
            raise ModelFormatError(f"inconsistent TFLite model: {DECODE} '{result.name}' has no {ENCODE} before it")
    return [
        CodedMap(
            encoded[coded][0],
            coded,
            side,
            tuple(results),
            tuple(copies.get((coded, side), ())),
            is_folded=encoded[coded][1] is not side,
            stand_in=by_name.get(side.name.removesuffix(SIDE_INFORMATION_SUFFIX)),
        )
        for (coded, side), results in decoded.items()
    ]


def folded_kernels(model: Model) -> str | None:
    """The kernels whose results a model's folded maps give; None where none is folded, or not in such a way.

    Raises:
      ModelFormatError: options that cannot be read, or maps of several sets of kernels.
    """
    decodes = [op for subgraph in model.subgraphs for op in subgraph.ops if op.opcode == DECODE]
    try:
        options = [flexbuffers.Loads(op.custom_options) for op in decodes]
        named = {str(each["kernels"]) for each in options if "kernels" in each}
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, struct.error, AssertionError) as error:
        raise ModelFormatError(f"inconsistent TFLite model: options of a {DECODE} cannot be read: {error}") from error
    if len(named) > 1:
        raise ModelFormatError(f"the model's folded maps are of the kernel sets {sorted(named)}, expected one")
    return named.pop() if named else None


def named_kernels(model: Model) -> str | None:
    """The kernels whose results a model's regions or folded maps give; None where it has neither.

    Raises:
      ModelFormatError: see kernel_set_of and folded_kernels.
    """
    return kernel_set_of(model) or folded_kernels(model)


def coded_tensors(subgraph: Subgraph) -> dict[str, Tensor]:
    """Name of each stored feature map in the original model -> its coded tensor, in execution order."""
    return {m.name: m.coded for m in coded_maps(subgraph) if not m.is_folded}


def check_coded_names(model: Model) -> None:
    """Checks that subgraph 0's coded tensors have the names of feature maps, by which their sizes are reported.

    Raises:
      ModelFormatError: tensors that have been renamed since the conversion.
    """
    maps = coded_maps(model.subgraphs[0])
    encoders, coded = sum(not m.is_folded for m in maps), coded_tensors(model.subgraphs[0])
    unknown = {m.name for m in maps} - {*candidate_maps(model)}
    if unknown or len(coded) < encoders:
        raise ModelFormatError(
            f"converted model: its {encoders} coded tensors stand for {len(coded)} feature maps by name, of which "
            f"{len(unknown)} are unknown; the tensors were renamed, convert the model again"
        )


def candidate_maps(model: Model) -> dict[str, Tensor]:
    """The candidate feature maps of subgraph 0, by their names in the original: converted or not, the same names.

    Each with a tensor that has its shape and, up to what coding loses, its values (see CodedMap.feature_map). Maps that
    the converted graph has no more, neither stored nor decoded, have the original's tensor, which nothing writes.
    """
    subgraph = model.subgraphs[0]
    found = {s.name: s.tensor for s in find_sites(model) if s.subgraph is subgraph and not is_codec_op(s.producer)}
    for m in coded_maps(subgraph):
        if m.feature_map is not m.source:
            if not m.is_folded:
                found.pop(m.source.name, None)
            found[m.name] = m.feature_map
    removed, own = removed_ops(model), set(subgraph.tensors)
    found |= {original.name: written for written, original in reversed(list(removed.decoded.items())) if written in own}
    for gone in removed.ops:
        result = gone.op.outputs[0] if gone.op.outputs else None
        if gone.subgraph is subgraph and result is not None:
            found.setdefault(result.name, result)
    return found


def computed_maps(model: Model) -> dict[str, Tensor]:
    """Those of `candidate_maps` that an op of the graph writes, so that they can be read in a run."""
    written = {tensor for op in model.subgraphs[0].ops for tensor in op.outputs}
    return {name: tensor for name, tensor in candidate_maps(model).items() if tensor in written}


def copied_maps(model: Model) -> set[str]:
    """Names of subgraph 0's candidate feature maps that are stored nowhere, since they only say another one again.

    Ops that are still in the graph count if what they write is not encoded.
    """
    subgraph = model.subgraphs[0]
    maps = coded_maps(subgraph)
    names = {name for m in maps for name in m.named_copies}
    names |= {t.name for t in says_again_of(subgraph, {m.source for m in maps})}
    return names | {r.op.outputs[0].name for r in removed_ops(model).ops if r.subgraph is subgraph and r.op.outputs[0]}


def _operands(op: Op) -> tuple[Tensor, Tensor, Tensor]:
    """(input, side information, output) of an ENCODE or DECODE op."""
    has_table = len(op.inputs) == 3 and op.opcode == DECODE
    if not (len(op.inputs) == 2 or has_table) or len(op.outputs) != 1:
        raise ModelFormatError(
            f"inconsistent TFLite model: {op.opcode} has {len(op.inputs)} inputs and {len(op.outputs)} outputs, "
            "expected 2 and 1"
        )
    source, side, result = *op.inputs[:2], *op.outputs
    if source is None or side is None or result is None:
        raise ModelFormatError(f"inconsistent TFLite model: {op.opcode} has an absent input or output")
    return source, side, result

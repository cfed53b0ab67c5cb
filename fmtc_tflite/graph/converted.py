"""What a converted model holds: its coded tensors, and the feature maps of the original that they stand for."""

from __future__ import annotations

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Model, Subgraph, Tensor
from fmtc_tflite.graph.rewrite import CODED_SUFFIX, COEFFICIENTS_SUFFIX, DECODE, DECODED_SUFFIX, ENCODE, operands
from fmtc_tflite.graph.sites import find_sites


def coded_tensors(subgraph: Subgraph) -> dict[str, Tensor]:
    """Name of each stored feature map in the original model -> its coded tensor, in execution order."""
    coded = [op.outputs[0] for op in subgraph.ops if op.opcode == ENCODE and op.outputs[0] is not None]
    return {tensor.name.removesuffix(CODED_SUFFIX): tensor for tensor in coded}


def check_coded_names(model: Model) -> None:
    """Checks that subgraph 0's coded tensors have the names of feature maps, by which their sizes are reported.

    Raises:
      ModelFormatError: tensors that have been renamed since the conversion.
    """
    subgraph = model.subgraphs[0]
    encoders, coded = sum(op.opcode == ENCODE for op in subgraph.ops), coded_tensors(subgraph)
    unknown = {*coded, *folded_maps(subgraph)} - {*candidate_maps(model)}
    if unknown or len(coded) < encoders:
        raise ModelFormatError(
            f"converted model: its {encoders} coded tensors stand for {len(coded)} feature maps by name, of which "
            f"{len(unknown)} are unknown; the tensors were renamed, convert the model again"
        )


def side_information(subgraph: Subgraph) -> list[Tensor]:
    """The constants with side information, each once."""
    return list(dict.fromkeys(operands(op)[1] for op in subgraph.ops if op.opcode in (ENCODE, DECODE)))


def is_stored_as_it_is(source: Tensor, decoded: Tensor) -> bool:
    """Whether a stored map's encoder reads the map itself, rather than components that its producer emits."""
    return source.shape == decoded.shape and not source.name.endswith(COEFFICIENTS_SUFFIX)


def folded_maps(subgraph: Subgraph) -> dict[str, Tensor]:
    """Name of each folded feature map in the original model -> what the first of its decoders writes.

    A folded map is not stored: its decoders read another map's coded form with side information of their own.
    """
    found: dict[str, Tensor] = {}
    encoder_side: dict[Tensor, Tensor] = {}
    for op in subgraph.ops:
        if op.opcode == ENCODE:
            _, side, coded = operands(op)
            encoder_side[coded] = side
        elif op.opcode == DECODE:
            coded, side, result = operands(op)
            if encoder_side.get(coded) is not side:
                found.setdefault(result.name.rpartition(DECODED_SUFFIX)[0], result)
    return found


def candidate_maps(model: Model) -> dict[str, Tensor]:
    """The candidate feature maps of subgraph 0, by their names in the original: converted or not, the same names.

    Each with a tensor that has its shape and, up to what coding loses, its values: what is encoded, or what is decoded
    where that is something else (folded maps, and those whose producer emits components).
    """
    subgraph = model.subgraphs[0]
    sites = (s for s in find_sites(model) if s.subgraph is subgraph and s.producer.opcode not in (ENCODE, DECODE))
    found = {site.name: site.tensor for site in sites}
    folded = folded_maps(subgraph)
    sources = {operands(op)[2]: operands(op)[0] for op in subgraph.ops if op.opcode == ENCODE}
    for op in subgraph.ops:
        if op.opcode == DECODE:
            coded, _, result = operands(op)
            is_folded = result.name.rpartition(DECODED_SUFFIX)[0] in folded
            if not is_folded and coded in sources and not is_stored_as_it_is(sources[coded], result):
                found.pop(sources[coded].name, None)
                found.setdefault(coded.name.removesuffix(CODED_SUFFIX), result)
    return found | folded

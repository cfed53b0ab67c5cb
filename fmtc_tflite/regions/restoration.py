"""The original graph of a model with regions or folded maps: what is kept of it in the file, and how it comes back.

Kept is the original file without the constants that the converted one still has, that lie packed in programs or in the
side information of folded maps, and without scales of biases that are products of others; deflated, as one metadata
entry. What a program or a decoder does not give back bit for bit is kept as it was.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fmtc_tflite.coding import rounding
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.errors import BitstreamError, ModelFormatError, UnsupportedModelError, VerificationError
from fmtc_tflite.graph.edits.restore import restore
from fmtc_tflite.graph.model import Buffer, Model, Op, Tensor
from fmtc_tflite.graph.model_io import load_fragment, load_model
from fmtc_tflite.graph.names import RESTORE_METADATA_NAME
from fmtc_tflite.graph.region_ops import program_bytes, region_ops
from fmtc_tflite.regions.coders import DECODE, ENCODE
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.dilations import find_dilations
from fmtc_tflite.regions.kernel_sets import unsigned
from fmtc_tflite.regions.kinds.moves import Transpose
from fmtc_tflite.regions.kinds.pools import MaxPool
from fmtc_tflite.regions.kinds.reductions import Mean
from fmtc_tflite.regions.packed import unpack_constant
from fmtc_tflite.regions.program import Program

# Names of kinds that the planner adds, or that are a part of what ops are together.
MADE_UP = {
    Copy.kind: "COPY",
    ENCODE: "ENCODE",
    DECODE: "DECODE",
    Transpose.kind: "TRANSPOSE",
    Mean.kind: "MEAN",
    MaxPool.kind: "MAX_POOL_2D",
}
_VERSION = 1
_HEAD = struct.Struct("<HHI")  # version, 0, bytes of the directory
_LEAST_BYTES = 64  # smaller constants are not worth an entry in the directory
_LEAST_LIMIT, _MOST_INFLATION = 1 << 24, 400  # of an inflated entry: bytes, and times the file's
_CONSTANTS = (1, 2)  # inputs that are weights and biases
_DAMAGED = (BitstreamError, zlib.error, struct.error, ValueError, TypeError, KeyError, IndexError, AttributeError)


@dataclass(frozen=True)
class ProgramOps:
    """A program, and what each of its ops came from.

    Attributes:
      numbers: of the graph's ops; -1 where the planner made it up.
      outputs: which of that op's outputs it makes.
    """

    program: Program
    numbers: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class FoldedOp:
    """An op of the original whose work decoders do.

    Attributes:
      subgraph, number: where it is in the original.
      side: constant of the converted model with the side information.
    """

    subgraph: int
    number: int
    side: Buffer


def with_original(
    content: bytes,
    converted: Model,
    buffers: Sequence[Buffer],
    programs: Sequence[ProgramOps] = (),
    folded: Sequence[FoldedOp] = (),
) -> bytes:
    """A finished model's file, with what its original comes back from; that it does is tried at once.

    Args: as those of restore_data.

    Raises:
      VerificationError: it does not.
    """
    converted.metadata[RESTORE_METADATA_NAME] = restore_data(content, converted, buffers, programs, folded)
    for entry in converted.metadata_entries:
        # Runtimes copy metadata into their memory, all but what lies behind the flatbuffer.
        entry.buffer.in_tail |= entry.name == RESTORE_METADATA_NAME
    file = converted.to_bytes()
    if restore_original(load_model(file)).to_bytes() != load_model(content).to_bytes():
        raise VerificationError(
            "the converted model does not give the original back; nothing was written. Please report this with the "
            "model"
        )
    return file


def restore_data(
    content: bytes,
    converted: Model,
    buffers: Sequence[Buffer],
    programs: Sequence[ProgramOps],
    folded: Sequence[FoldedOp] = (),
) -> bytes:
    """The metadata entry.

    Args:
      content: the original file.
      converted: the finished model, but for this entry.
      buffers: those of `converted` before it was edited, in the file's order.
      programs: of its regions, in the order of the FMTC_REGION ops.
      folded: ops whose work its decoders do.
    """
    original = load_model(content)
    places = {id(buffer): index for index, buffer in enumerate(converted.buffers)}
    kept = {i: places[id(b)] for i, b in enumerate(buffers) if id(b) in places and b.size >= _LEAST_BYTES}
    packed = _packed_constants(original, programs)
    in_side = _constants_in_side_information(original, places, folded)
    products = [[s, *triple] for s, triple in _product_scales(original)]
    directory = {
        "sha256": _digest(original),
        "kept": sorted(kept.items()),
        "packed": sorted((index, *place) for index, place in packed.items() if index not in kept),
        "folded": sorted((index, *place) for index, place in in_side.items() if index not in kept),
        "products": products,
        "ops": [list(each.numbers) for each in programs],
        "outputs": [[[i, index] for i, index in enumerate(each.outputs) if index] for each in programs],
        "tail": [i for i, b in enumerate(original.buffers) if b.in_tail],
    }
    for index in kept.keys() | packed.keys() | in_side.keys():
        original.buffers[index].data = None
    for subgraph, bias, _, _ in products:
        original.subgraphs[subgraph].tensors[bias].quantization.scale = None
    original.associated_files = []
    head = json.dumps(directory, separators=(",", ":")).encode()
    return _HEAD.pack(_VERSION, 0, len(head)) + zlib.compress(head + original.to_bytes(), 9)


def without_our_ops(model: Model) -> Model:
    """The original graph of any converted model, by what the file keeps of it or by taking the codec's ops out of it.

    Raises:
      UnsupportedModelError: the file does not give it back.
    """
    if region_ops(model) or RESTORE_METADATA_NAME in model.metadata:
        return restore_original(model)
    restore(model)
    return model


def restore_original(converted: Model) -> Model:
    """The original model.

    Raises:
      UnsupportedModelError: the file has no restore data.
      ModelFormatError: the restore data, a program or side information is damaged, or was changed after conversion.
    """
    if RESTORE_METADATA_NAME not in converted.metadata:
        raise UnsupportedModelError(
            f"the model has no metadata '{RESTORE_METADATA_NAME}', from which its graph is restored; use the "
            "original model"
        )
    try:
        original = _restored(converted, converted.metadata[RESTORE_METADATA_NAME])
    except _DAMAGED as error:
        raise ModelFormatError(
            f"the metadata '{RESTORE_METADATA_NAME}' is damaged: {error}; copy or convert the model again"
        ) from error
    return original


@dataclass(frozen=True)
class OriginalOps:
    """The original of a model with regions, and where its ops are.

    Attributes:
      model: the original.
      numbers: for each FMTC_REGION, the number of the original op of each op of its program; -1 where the planner made
        it up.
      results: the same of the tensors of the original that these make; None where there is no op.
    """

    model: Model
    numbers: tuple[tuple[int, ...], ...]
    results: tuple[tuple[Tensor | None, ...], ...]


def original_ops(converted: Model) -> OriginalOps:
    """The original of a model with regions, and which of its ops are in which region.

    Raises:
      UnsupportedModelError, ModelFormatError: see restore_original.
    """
    original = restore_original(converted)
    ops = original.subgraphs[0].ops
    sizes = [len(Program.from_bytes(program_bytes(op)).ops) for op in region_ops(converted)]
    try:
        directory, _ = _entry(converted.metadata[RESTORE_METADATA_NAME])
        numbers = tuple(tuple(int(number) for number in own) for own in directory["ops"])
        if [len(own) for own in numbers] != sizes or any(number < -1 for own in numbers for number in own):
            raise ValueError("it numbers other ops than the programs have")
        others = [{int(place): int(index) for place, index in own} for own in directory["outputs"]]
        results = tuple(
            tuple(None if n < 0 else ops[n].outputs[other.get(place, 0)] for place, n in enumerate(own))
            for own, other in zip(numbers, others, strict=True)
        )
    except _DAMAGED as error:
        raise ModelFormatError(
            f"the metadata '{RESTORE_METADATA_NAME}' is damaged: {error}; convert the model again"
        ) from error
    return OriginalOps(original, numbers, results)


def region_op_names(converted: Model) -> list[list[tuple[str, str]]]:
    """(operator, tensor that it writes) of each op of each region's program; ('COPY', '') and the like for what the
    planner made up.

    Raises:
      UnsupportedModelError, ModelFormatError: see restore_original.
    """
    original = original_ops(converted)
    ops = original.model.subgraphs[0].ops
    programs = [Program.from_bytes(program_bytes(op)) for op in region_ops(converted)]
    return [
        [_name(ops[n]) if n >= 0 else (MADE_UP[op.kind], "") for n, op in zip(numbers, program.ops, strict=True)]
        for numbers, program in zip(original.numbers, programs, strict=True)
    ]


def _name(op: Op) -> tuple[str, str]:
    return op.opcode, next((tensor.name for tensor in op.outputs if tensor is not None), "")


def _entry(entry: bytes) -> tuple[dict[str, Any], bytes]:
    """The directory, and the original file without what is elsewhere."""
    version, _, head_bytes = _HEAD.unpack_from(entry)
    if version != _VERSION:
        raise ModelFormatError(f"restore data of version {version}, expected {_VERSION}; update fmtc-tflite")
    limit = max(_LEAST_LIMIT, _MOST_INFLATION * len(entry))
    inflated = zlib.decompressobj().decompress(entry[_HEAD.size :], limit)
    return json.loads(inflated[:head_bytes]), inflated[head_bytes:]


def _restored(converted: Model, entry: bytes) -> Model:
    directory, fragment = _entry(entry)
    original = load_fragment(fragment)
    programs = [Program.from_bytes(program_bytes(op)) for op in region_ops(converted)]
    for index, place in directory["kept"]:
        original.buffers[index].data = converted.buffers[place].data
    tensors = {id(t.buffer): t for subgraph in original.subgraphs for t in subgraph.tensors}
    for index, region, op, operand in directory["packed"]:
        buffer = original.buffers[index]
        constant = unpack_constant(programs[region], op, operand, tensors[id(buffer)])
        if constant is None:
            raise ValueError(f"op {op} of region {region} has no such constant")
        buffer.data = np.frombuffer(constant.tobytes(), np.uint8)
    for index, side, *place in directory["folded"]:
        constant = _unfolded(original, converted.buffers[side], *place)
        if constant is None:
            raise ValueError("side information of a folded map has no such constant")
        original.buffers[index].data = np.frombuffer(constant.tobytes(), np.uint8)
    for index in directory["tail"]:
        original.buffers[index].in_tail = True
    for subgraph, bias, source, weights in directory["products"]:
        own = original.subgraphs[subgraph].tensors
        own[bias].quantization.scale = _product(own[source], own[weights])
    if _digest(original) != directory["sha256"]:
        raise ValueError("it does not fit the model, which was changed after its conversion")
    original.associated_files = converted.associated_files
    return load_model(original.to_bytes())


def _digest(model: Model) -> str:
    files, model.associated_files = model.associated_files, []
    digest = hashlib.sha256(model.to_bytes()).hexdigest()
    model.associated_files = files
    return digest


def _packed_constants(original: Model, programs: Sequence[ProgramOps]) -> dict[int, tuple[int, int, int]]:
    """Buffers that programs give back exactly: index -> (region, op of its program, input of the graph's op)."""
    numbers = {id(buffer): index for index, buffer in enumerate(original.buffers)}
    ops, dilations = original.subgraphs[0].ops, find_dilations(original.subgraphs[0])
    found: dict[int, tuple[int, int, int]] = {}
    for region, each in enumerate(programs):
        for position, number in enumerate(each.numbers):
            op = ops[number] if number >= 0 else None
            if op in dilations:
                op = dilations[op].convolution
            inputs = op.inputs if op is not None else []
            for operand in _CONSTANTS:
                tensor = inputs[operand] if operand < len(inputs) else None
                if tensor is None or tensor.data is None or tensor.buffer.size < _LEAST_BYTES:
                    continue
                constant = unpack_constant(each.program, position, operand, tensor)
                if constant is not None and constant.tobytes() == tensor.data.tobytes():
                    found[numbers[id(tensor.buffer)]] = region, position, operand
    return found


def _constants_in_side_information(
    original: Model, places: Mapping[int, int], folded: Sequence[FoldedOp]
) -> dict[int, tuple[int, int, int, int]]:
    """Buffers that decoders give back exactly: index -> (buffer of the side information, subgraph, op, its input)."""
    numbers = {id(buffer): index for index, buffer in enumerate(original.buffers)}
    found: dict[int, tuple[int, int, int, int]] = {}
    for each in folded:
        inputs = original.subgraphs[each.subgraph].ops[each.number].inputs
        for operand in _CONSTANTS:
            tensor = inputs[operand] if operand < len(inputs) else None
            if tensor is None or tensor.data is None or tensor.buffer.size < _LEAST_BYTES:
                continue
            constant = _unfolded(original, each.side, each.subgraph, each.number, operand)
            if constant is not None and constant.tobytes() == tensor.data.tobytes():
                found[numbers[id(tensor.buffer)]] = places[id(each.side)], each.subgraph, each.number, operand
    return found


def _unfolded(original: Model, side: Buffer, subgraph: int, number: int, operand: int) -> np.ndarray | None:
    """Weights (operand 1) or biases (2) of a pointwise convolution from the side information of a folded map."""
    info = SideInformation.from_bytes(b"" if side.data is None else side.data.tobytes())
    source, weights = original.subgraphs[subgraph].ops[number].inputs[:2]
    if info.convolution is None or source is None or weights is None or source.zero_point is None:
        return None
    convolution = info.convolution
    if operand == 1:
        return convolution.weights.view(np.uint8) ^ 0x80 if weights.dtype == np.uint8 else convolution.weights
    sums = (convolution.weights.astype(np.int64) - convolution.weight_zero).sum(1)
    return rounding.wrap(convolution.biases + unsigned(source, source.zero_point) * sums).astype(np.int32)


def _product_scales(model: Model) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """(subgraph, (bias, input, weights)) of ops whose biases have the products of the other two's scales, by number."""
    for subgraph in model.subgraphs:
        numbers = {id(tensor): index for index, tensor in enumerate(subgraph.tensors)}
        taken: set[int] = set()
        for op in subgraph.ops:
            if len(op.inputs) < 3 or any(t is None for t in op.inputs[:3]):
                continue
            source, weights, bias = op.inputs[:3]
            if source is None or weights is None or bias is None or id(bias) in taken:
                continue
            product, own = _product(source, weights), _scales(bias)
            if product is not None and own is not None and len(own) > 1 and own.tobytes() == product.tobytes():
                taken.add(id(bias))
                yield subgraph.index, (numbers[id(bias)], numbers[id(source)], numbers[id(weights)])


def _product(source: Tensor, weights: Tensor) -> np.ndarray | None:
    one, others = _scales(source), _scales(weights)
    if one is None or others is None or len(one) != 1:
        return None
    with np.errstate(all="ignore"):
        return one * others


def _scales(tensor: Tensor) -> np.ndarray | None:
    quantization: Any = tensor.quantization
    if quantization is None or quantization.scale is None:
        return None
    return np.asarray(quantization.scale, np.float32)

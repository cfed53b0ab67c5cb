"""Where feature maps can be coded: the candidates of a model, and why the others are left alone.

An activation is looked at if it has rank 4 and more than one pixel (H*W > 1), is written by an op, is not computed from
constants alone, and lies in a subgraph that is an entry point: subgraph 0 or one that a signature names, unless another
subgraph calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from fmtc_tflite.graph.computed_constants import computed_constants
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model import Model, Op, Subgraph, Tensor
from fmtc_tflite.graph.operators.activation import quantize_limit, real_range
from fmtc_tflite.graph.rules import CANDIDATE_RULES, CODING_RULES, first_broken_rule


@dataclass(frozen=True, eq=False)
class Site:
    """A feature map [N, H, W, C] between its producer and its consumers.

    Attributes:
      consumers: the ops that read the map, each once, in execution order.
      activation_range: smallest and largest value that the producer's activation lets through, in the int8 domain
        (uint8 values minus 128).
      skipped_reason: why the map is left alone, None if it can be coded.
      is_graph_boundary, has_other_writers: what the rules in `rules` ask about.
    """

    tensor: Tensor
    subgraph: Subgraph
    producer: Op
    consumers: tuple[Op, ...]
    activation_range: tuple[int, int] = (-128, 127)
    skipped_reason: str | None = None
    is_graph_boundary: bool = False
    has_other_writers: bool = False

    @property
    def name(self) -> str:
        return self.tensor.name

    @property
    def grid(self) -> tuple[int, int, int]:
        """Batch size, height and width."""
        batch, height, width, _ = self.tensor.shape
        return batch, height, width

    @property
    def values(self) -> int:
        """Values in the map, N*H*W*C, which for 8-bit maps is its size in bytes."""
        return prod(self.tensor.shape)


def find_sites(model: Model) -> list[Site]:
    """Every candidate feature map, in execution order; `skipped_reason` is set on those that cannot be coded."""
    candidates = [site for site in _feature_maps(model) if first_broken_rule(site, CANDIDATE_RULES) is None]
    return [replace(site, skipped_reason=first_broken_rule(site, CODING_RULES)) for site in candidates]


def find_excluded_maps(model: Model) -> list[Site]:
    """Feature maps that are no candidates (float, graph outputs, ...), each with its `skipped_reason`."""
    maps = (replace(s, skipped_reason=first_broken_rule(s, CANDIDATE_RULES)) for s in _feature_maps(model))
    return [site for site in maps if site.skipped_reason is not None]


def skipped_subgraphs(model: Model) -> list[tuple[str, str]]:
    """(name, reason) of the subgraphs in which nothing is coded."""
    return [(s.name or f"subgraph {s.index}", reason) for s in model.subgraphs if (reason := _skip_reason(model, s))]


def entry_subgraphs(model: Model) -> list[Subgraph]:
    """The subgraphs in which feature maps are looked for."""
    return [subgraph for subgraph in model.subgraphs if _skip_reason(model, subgraph) is None]


def entry_name(model: Model, subgraph_index: int) -> str:
    """What messages call an entry point: its signatures' keys, or its subgraph where it has none."""
    subgraph = model.subgraphs[subgraph_index]
    keys = [signature.key for signature in model.signatures if signature.subgraph is subgraph]
    return ", ".join(keys) or subgraph.name or f"subgraph {subgraph_index}"


def _skip_reason(model: Model, subgraph: Subgraph) -> str | None:
    for caller in model.subgraphs:
        for op in caller.ops:
            if subgraph.index in op.called_subgraphs():
                return f"The subgraph is control flow: {op.opcode} in subgraph {caller.index} calls it."
    if subgraph.index != 0 and not any(signature.subgraph is subgraph for signature in model.signatures):
        return "No signature names the subgraph and it is not the first one."
    return None


def _feature_maps(model: Model) -> Iterator[Site]:
    for subgraph in entry_subgraphs(model):
        view = GraphView(subgraph)
        boundary = _boundary_tensors(model, subgraph)
        working_memory = {t for op in subgraph.ops for t in op.intermediates if t is not None}
        constants = computed_constants(subgraph)
        for op in subgraph.ops:
            for tensor in op.outputs:
                if tensor is None or view.producer(tensor) is not op or tensor in constants:
                    continue
                if len(tensor.shape) == 4 and tensor.shape[1] * tensor.shape[2] > 1:
                    yield _site(tensor, op, view, boundary, working_memory)


def _site(tensor: Tensor, producer: Op, view: GraphView, boundary: set[Tensor], working_memory: set[Tensor]) -> Site:
    consumers = tuple(view.consumer_ops(tensor))
    return Site(
        tensor=tensor,
        subgraph=view.subgraph,
        producer=producer,
        consumers=consumers,
        activation_range=activation_range(producer, tensor),
        is_graph_boundary=tensor in boundary,
        has_other_writers=len(view.producers(tensor)) > 1 or tensor in working_memory,
    )


def _boundary_tensors(model: Model, subgraph: Subgraph) -> set[Tensor]:
    tensors = [*subgraph.inputs, *subgraph.outputs]
    for signature in model.signatures:
        if signature.subgraph is subgraph:
            tensors += [tensor for _, tensor in signature.inputs + signature.outputs]
    return set(tensors)


def activation_range(producer: Op, tensor: Tensor) -> tuple[int, int]:
    """The range of quantized values that the producer's activation leaves, in the int8 domain (uint8 minus 128).

    Fused and standalone ReLUs clamp as TFLite's kernels do (CalculateActivationRangeQuantized): the real limit divided
    by the scale in float32, rounded half away from zero, plus the zero point. Everything else has the full range, as
    has a tensor without a usable quantization.
    """
    limits, scale, zero_point = real_range(producer), tensor.scale, tensor.zero_point
    if limits is None or scale is None or zero_point is None or not (np.isfinite(scale) and scale > 0):
        return -128, 127
    offset = zero_point - (128 if tensor.dtype == np.uint8 else 0)
    low, high = (_limit(real, scale, offset) for real in limits)
    return low, max(low, high)


def _limit(real: float, scale: float, offset: int) -> int:
    quantized = quantize_limit(real, scale, offset)
    if quantized is None:  # beyond all integers
        return 127 if real > 0 else -128
    return min(max(quantized, -128), 127)

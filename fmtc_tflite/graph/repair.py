"""Older files that today's runtimes refuse for a field that is wrong without a meaning.

Converters before 2021 wrote quantization parameters that nobody read, and that runtimes have checked since: a bias with
quantized_dimension 3, scales without zero points. Where only one value is possible, it is put in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Model, Tensor
from fmtc_tflite.graph.model_io import load_fragment


def repaired(content: bytes) -> tuple[bytes, list[str]]:
    """A model's bytes with such fields put right, the same bytes where there are none; and a line for each kind.

    What is no model, or a damaged one, is left to those who read it.
    """
    try:
        model = load_fragment(content)
    except ModelFormatError:
        return content, []
    lines = list(_repair(model))
    return (model.to_bytes(), lines) if lines else (content, [])


def _repair(model: Model) -> Iterable[str]:
    tensors = [
        tensor
        for subgraph in model.subgraphs
        for tensor in subgraph.tensors
        if tensor.quantization is not None
        and tensor.quantization.details is None
        and tensor.quantization.scale is not None
        and len(tensor.quantization.scale)
    ]
    moved = [tensor for tensor in tensors if _repair_dimension(tensor)]
    if moved:
        yield f"{_named(moved)}: quantized_dimension named no dimension with as many entries as there are scales"
    filled = [tensor for tensor in tensors if _repair_zero_points(tensor)]
    if filled:
        yield f"{_named(filled)}: fewer zero points than scales; now they are 0, or the only one that there was"


def _named(tensors: list[Tensor]) -> str:
    one = f"tensor '{tensors[0].name}'"
    return one if len(tensors) == 1 else f"{len(tensors)} tensors, such as '{tensors[0].name}'"


def _repair_dimension(tensor: Tensor) -> bool:
    """Lets quantized_dimension name the dimension that has as many entries as there are scales, if it is the only one.

    A single scale is for the whole tensor, whatever the dimension, which must only exist.
    """
    parameters, shape = tensor.quantization, tensor.shape
    count, dimension = len(parameters.scale), int(parameters.quantizedDimension)
    if not shape or (0 <= dimension < len(shape) and count in (1, shape[dimension])):
        return False
    fitting = [0] if count == 1 else [axis for axis, size in enumerate(shape) if size == count]
    if len(fitting) != 1:
        return False
    parameters.quantizedDimension = fitting[0]
    return True


def _repair_zero_points(tensor: Tensor) -> bool:
    parameters: Any = tensor.quantization
    given = np.atleast_1d([] if parameters.zeroPoint is None else parameters.zeroPoint).astype(np.int64)
    count = len(parameters.scale)
    if len(given) == count or len(given) > 1:
        return False
    parameters.zeroPoint = np.full(count, given[0] if len(given) else 0, np.int64)
    return True

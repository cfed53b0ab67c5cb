"""Giving a convolution constants with which it emits transform coefficients instead of a feature map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fmtc_tflite.graph.model import Buffer, Model, Tensor
from fmtc_tflite.graph.names import BIAS_SUFFIX, COEFFICIENTS_SUFFIX, WEIGHTS_SUFFIX
from fmtc_tflite.graph.schema import schema
from fmtc_tflite.graph.sites import Site


@dataclass(frozen=True, eq=False)
class RotatedConvolution:
    """Constants of a CONV_2D that emits r transform coefficients instead of the feature map.

    Attributes:
      weights: int8 [r, kernel height, kernel width, input channels], symmetric.
      weight_scales: float32 [r].
      bias: int32 [r].
      scale: of the coefficients, whose zero point is 0.
    """

    weights: np.ndarray
    weight_scales: np.ndarray
    bias: np.ndarray
    scale: float


def rotate(model: Model, site: Site, rotated: RotatedConvolution) -> Tensor:
    """Gives a map's CONV_2D new constants, and an output tensor of its own for what it then computes."""
    tensor, producer = site.tensor, site.producer
    source = producer.inputs[0]
    assert source is not None
    bias_scales = np.float32(source.scale or 0.0) * rotated.weight_scales
    constants = [
        _constant(tensor.name + WEIGHTS_SUFFIX, rotated.weights, rotated.weight_scales),
        _constant(tensor.name + BIAS_SUFFIX, rotated.bias, bias_scales),
    ]
    model.buffers += [constant.buffer for constant in constants]
    signature = tensor.shape_signature
    coefficients = Tensor(
        name=tensor.name + COEFFICIENTS_SUFFIX,
        shape=(*tensor.shape[:3], len(rotated.bias)),
        shape_signature=None if signature is None else (*signature[:3], len(rotated.bias)),
        type=tensor.type,
        buffer=model.buffers[0],
        quantization=_symmetric(np.array([rotated.scale], np.float32)),
    )
    site.subgraph.tensors += [*constants, coefficients]
    producer.inputs, producer.outputs = [source, *constants], [coefficients]
    producer.options.fusedActivationFunction = schema.ActivationFunctionType.NONE
    return coefficients


def _constant(name: str, values: np.ndarray, scales: np.ndarray) -> Tensor:
    return Tensor(
        name=name,
        shape=values.shape,
        type=getattr(schema.TensorType, values.dtype.name.upper()),
        buffer=Buffer(np.ascontiguousarray(values).reshape(-1).view(np.uint8)),
        quantization=_symmetric(scales),
    )


def _symmetric(scales: np.ndarray) -> Any:
    return schema.QuantizationParametersT(scale=scales, zeroPoint=np.zeros(len(scales), np.int64))

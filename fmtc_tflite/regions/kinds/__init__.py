"""The kinds of ops that regions compute, one class each (REGION.md section 5), and how they come from a graph's ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.arg_max import build_arg_max
from fmtc_tflite.regions.kinds.blocks import build_depth_to_space, build_space_to_depth
from fmtc_tflite.regions.kinds.elementwise import build_add, build_quantize
from fmtc_tflite.regions.kinds.floats import (
    BINARY_OPS,
    UNARY_OPS,
    build_binary,
    build_cast,
    build_dequantize,
    build_unary,
)
from fmtc_tflite.regions.kinds.moves import build_concatenation, build_transpose
from fmtc_tflite.regions.kinds.multiply_accumulate import build_conv, build_depthwise, build_fully_connected
from fmtc_tflite.regions.kinds.pads import build_mirror_pad, build_pad
from fmtc_tflite.regions.kinds.pools import build_pool
from fmtc_tflite.regions.kinds.products import build_extremum, build_multiply, build_prelu
from fmtc_tflite.regions.kinds.reductions import build_mean, build_reduce_max
from fmtc_tflite.regions.kinds.resizes import build_bilinear, build_nearest
from fmtc_tflite.regions.kinds.slices import build_slice, build_split, build_split_v, build_strided_slice, build_unpack
from fmtc_tflite.regions.kinds.softmax import build_softmax
from fmtc_tflite.regions.kinds.tables import TABLES, build_table
from fmtc_tflite.regions.kinds.transpose_conv import build_transpose_conv
from fmtc_tflite.regions.ops import OpBuilder, OpRefusedError, RegionOp, RegionTensor

_Built = RegionOp | tuple[RegionOp, ...]
_Builder = Callable[[Op, Callable[[Tensor], RegionTensor], KernelSet], _Built]

BUILDERS: dict[str, _Builder] = {
    "CONV_2D": build_conv,
    "DEPTHWISE_CONV_2D": build_depthwise,
    "FULLY_CONNECTED": build_fully_connected,
    "ADD": build_add,
    "MEAN": build_mean,
    "SUM": build_mean,
    "REDUCE_MAX": build_reduce_max,
    "AVERAGE_POOL_2D": build_pool,
    "MAX_POOL_2D": build_pool,
    "PAD": build_pad,
    "TRANSPOSE": build_transpose,
    "QUANTIZE": build_quantize,
    "CONCATENATION": build_concatenation,
    "RESIZE_BILINEAR": build_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": build_nearest,
    # Values that move, and transposed convolution.
    "TRANSPOSE_CONV": build_transpose_conv,
    "SLICE": build_slice,
    "STRIDED_SLICE": build_strided_slice,
    "SPLIT": build_split,
    "SPLIT_V": build_split_v,
    "UNPACK": build_unpack,
    "PADV2": build_pad,
    "MIRROR_PAD": build_mirror_pad,
    "DEPTH_TO_SPACE": build_depth_to_space,
    "SPACE_TO_DEPTH": build_space_to_depth,
    "ARG_MAX": build_arg_max,
    "ARG_MIN": build_arg_max,
    **dict.fromkeys(TABLES, build_table),
    "SUB": build_add,
    "MUL": build_multiply,
    "MAXIMUM": build_extremum,
    "MINIMUM": build_extremum,
    "PRELU": build_prelu,
}
# Of ops whose output is float32.
FLOAT_BUILDERS: dict[str, _Builder] = {
    "DEQUANTIZE": build_dequantize,
    "CAST": build_cast,
    "TRANSPOSE": build_transpose,
    **dict.fromkeys(BINARY_OPS, build_binary),
    **dict.fromkeys(UNARY_OPS, build_unary),
}

# Of ops that are computed so on microcontrollers alone. Elsewhere regions end before them, too, since who compares
# outputs wants to see what they read.
MICRO_BUILDERS: dict[str, _Builder] = {"SOFTMAX": build_softmax}


def op_builder(kernels: KernelSet, others: Mapping[str, _Builder] = MappingProxyType({})) -> OpBuilder:
    """What makes the ops of a region from an op of a graph, with the arithmetic of a kernel set.

    Args:
      others: builders of further ops whose outputs are not float32.
    """
    builders = {**BUILDERS, **others}

    def build(op: Op, tensor_of: Callable[[Tensor], RegionTensor]) -> tuple[RegionOp, ...]:
        is_float = any(t is not None and t.dtype == np.float32 for t in op.outputs)
        builder = (FLOAT_BUILDERS if is_float else builders).get(op.opcode)
        if builder is None:
            raise OpRefusedError(f"regions do not compute {op.opcode}" + " of float32" * is_float)
        try:
            built = builder(op, tensor_of, kernels)
        except ModelFormatError as error:
            raise OpRefusedError(str(error)) from error
        return built if isinstance(built, tuple) else (built,)

    return build

"""The kinds of ops that regions compute, one class each (REGION.md section 5), and how they come from a graph's ops."""

from __future__ import annotations

from collections.abc import Callable

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds.elementwise import build_add, build_quantize
from fmtc_tflite.regions.kinds.moves import build_concatenation, build_pad, build_slice, build_transpose
from fmtc_tflite.regions.kinds.multiply_accumulate import build_conv, build_depthwise, build_fully_connected
from fmtc_tflite.regions.kinds.pools import build_pool
from fmtc_tflite.regions.kinds.products import build_extremum, build_multiply, build_prelu
from fmtc_tflite.regions.kinds.reductions import build_mean
from fmtc_tflite.regions.kinds.resizes import build_bilinear, build_nearest
from fmtc_tflite.regions.kinds.tables import TABLES, build_table
from fmtc_tflite.regions.ops import OpBuilder, OpRefusedError, RegionOp, RegionTensor

_Builder = Callable[[Op, Callable[[Tensor], RegionTensor], KernelSet], RegionOp]

BUILDERS: dict[str, _Builder] = {
    "CONV_2D": build_conv,
    "DEPTHWISE_CONV_2D": build_depthwise,
    "FULLY_CONNECTED": build_fully_connected,
    "ADD": build_add,
    "MEAN": build_mean,
    "AVERAGE_POOL_2D": build_pool,
    "MAX_POOL_2D": build_pool,
    "PAD": build_pad,
    "STRIDED_SLICE": build_slice,
    "TRANSPOSE": build_transpose,
    "QUANTIZE": build_quantize,
    "CONCATENATION": build_concatenation,
    "RESIZE_BILINEAR": build_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": build_nearest,
    **dict.fromkeys(TABLES, build_table),
    "SUB": build_add,
    "MUL": build_multiply,
    "MAXIMUM": build_extremum,
    "MINIMUM": build_extremum,
    "PRELU": build_prelu,
}


def op_builder(kernels: KernelSet) -> OpBuilder:
    """What makes an op of a region from an op of a graph, with the arithmetic of a kernel set."""

    def build(op: Op, tensor_of: Callable[[Tensor], RegionTensor]) -> RegionOp:
        builder = BUILDERS.get(op.opcode)
        if builder is None:
            raise OpRefusedError(f"regions do not compute {op.opcode}")
        try:
            return builder(op, tensor_of, kernels)
        except ModelFormatError as error:
            raise OpRefusedError(str(error)) from error

    return build

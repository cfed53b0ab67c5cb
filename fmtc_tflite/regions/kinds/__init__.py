"""The kinds of ops that regions know (custom_ops/REGION.md, section 5), built from a graph's ops."""

from __future__ import annotations

from collections.abc import Callable

from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.graph.model import Op
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import elementwise, move, multiply_accumulate, reduce, resize
from fmtc_tflite.regions.kinds.facts import Operands, TensorOf
from fmtc_tflite.regions.ops import OpBuilder, OpRefusedError, RegionOp

_BUILDERS: dict[str, Callable[[Operands], RegionOp]] = {
    "ADD": elementwise.build_add,
    "AVERAGE_POOL_2D": reduce.build_pool,
    "CONCATENATION": move.build_concatenation,
    "CONV_2D": multiply_accumulate.build_conv,
    "DEPTHWISE_CONV_2D": multiply_accumulate.build_depthwise,
    "DEQUANTIZE": elementwise.build_dequantize,
    "FULLY_CONNECTED": multiply_accumulate.build_fully_connected,
    "MAX_POOL_2D": reduce.build_pool,
    "MEAN": reduce.build_mean,
    "PAD": move.build_pad,
    "QUANTIZE": elementwise.build_quantize,
    "RESIZE_BILINEAR": resize.build_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize.build_nearest,
    "STRIDED_SLICE": move.build_slice,
    "TRANSPOSE": move.build_transpose,
}


def op_builder(kernels: KernelSet) -> OpBuilder:
    """Makes RegionOps that give the results of a kernel set."""

    def build(op: Op, tensor_of: TensorOf) -> RegionOp:
        builder = _BUILDERS.get(op.opcode)
        if builder is None:
            raise OpRefusedError("regions do not know this operator")
        try:
            return builder(Operands(op, tensor_of, kernels))
        except ModelFormatError as error:
            raise OpRefusedError(str(error)) from error

    return build

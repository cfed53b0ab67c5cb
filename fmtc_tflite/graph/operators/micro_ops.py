"""Which ops TensorFlow Lite Micro runs: those of its `MicroMutableOpResolver`, on the types that its kernels take."""

from __future__ import annotations

import numpy as np

from fmtc_tflite.graph.model import Op

_OPS = frozenset((
    "ABS", "ADD", "ADD_N", "ARG_MAX", "ARG_MIN", "ASSIGN_VARIABLE", "AVERAGE_POOL_2D", "BATCH_MATMUL",
    "BATCH_TO_SPACE_ND", "BROADCAST_ARGS", "BROADCAST_TO", "CALL_ONCE", "CAST", "CEIL", "CONCATENATION", "CONV_2D",
    "COS", "CUMSUM", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "DYNAMIC_UPDATE_SLICE", "ELU",
    "EMBEDDING_LOOKUP", "EQUAL", "EXP", "EXPAND_DIMS", "FILL", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "FULLY_CONNECTED",
    "GATHER", "GATHER_ND", "GREATER", "GREATER_EQUAL", "HARD_SWISH", "IF", "L2_NORMALIZATION", "L2_POOL_2D",
    "LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC", "LOG_SOFTMAX",
    "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "PACK", "PAD", "PADV2",
    "PRELU", "QUANTIZE", "READ_VARIABLE", "REDUCE_ALL", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RESHAPE",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "RSQRT", "SELECT_V2", "SHAPE", "SIN",
    "SLICE", "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT", "SQUARE",
    "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "SVDF", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
    "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNPACK", "VAR_HANDLE", "WHILE", "ZEROS_LIKE",
))  # fmt: skip
_TAKE_UINT8 = frozenset(("DEQUANTIZE", "EXPAND_DIMS", "QUANTIZE", "RESHAPE", "REVERSE_V2", "SHAPE", "SQUEEZE"))
_TAKE_WEIGHTS = frozenset(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"))


def why_not_on_micro(op: Op) -> str | None:
    """Why the interpreter cannot run an op; None if nothing is known against it.

    Custom ops are the user's own, to register beside those of this package.
    """
    if op.is_custom:
        return None
    if op.opcode not in _OPS:
        return "TensorFlow Lite Micro has no such op"
    types = {tensor.dtype for tensor in (*op.inputs, *op.outputs) if tensor is not None and tensor.data is None}
    if np.dtype(np.uint8) in types and op.opcode not in _TAKE_UINT8:
        return "TensorFlow Lite Micro takes no uint8 there"
    if op.opcode in _TAKE_WEIGHTS and np.dtype(np.float32) in types:
        weights = op.inputs[1] if len(op.inputs) > 1 else None
        if weights is not None and weights.dtype is not None and weights.dtype.kind in "iu":
            return "TensorFlow Lite Micro takes no integer weights for float32 values"
    return None

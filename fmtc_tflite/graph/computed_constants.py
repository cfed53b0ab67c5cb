"""Tensors that ops compute from constants alone: weights behind TRANSPOSE, DENSIFY, DEQUANTIZE and others.

They are the same in every inference, so they are constants to whoever asks, and no feature maps.
"""

from __future__ import annotations

from fmtc_tflite.graph.model import Op, Subgraph, Tensor

_RANDOM = frozenset({"MULTINOMIAL", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"})


def computed_constants(subgraph: Subgraph) -> set[Tensor]:
    """What the subgraph's ops compute from constants alone; tensors without a numpy type (resources) are none."""
    found: set[Tensor] = set()
    for op in subgraph.ops:
        if _is_function(op) and _reads_constants_only(op, found):
            found |= {t for t in op.outputs if t is not None and t.dtype is not None and not t.is_variable}
    return found


def _is_function(op: Op) -> bool:
    """Whether what the op writes follows from what it reads."""
    return not op.is_custom and op.opcode not in _RANDOM and not op.called_subgraphs()


def _reads_constants_only(op: Op, computed: set[Tensor]) -> bool:
    read = [t for t in op.inputs if t is not None]
    return bool(read) and all((t.data is not None and not t.is_variable) or t in computed for t in read)

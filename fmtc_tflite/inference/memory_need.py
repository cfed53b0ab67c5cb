"""Whether a model's tensors fit into this machine's memory, said before anything is allocated."""

from __future__ import annotations

import functools
import logging
from math import prod
from pathlib import Path

from fmtc_tflite.errors import UnsupportedModelError
from fmtc_tflite.graph.model import Model, Subgraph, Tensor

_ANNOUNCED_BYTES = 1 << 29
_MOST_BUILTIN_BYTES = 200 << 20
_BRIEF_BYTES = 2 << 20  # smaller models run for less time than Python needs to hand its lock over
_RUNNERS = 2  # original and converted model run side by side
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

_logger = logging.getLogger(__name__)


def check_memory(model: Model, subgraph_index: int, keeps_all_tensors: bool) -> None:
    """Refuses a model whose activations do not fit, and says so where they take so much that nobody expects it.

    Args:
      keeps_all_tensors: every tensor has memory of its own; else only what an op touches must exist at once.

    Raises:
      UnsupportedModelError: more than this machine has.
    """
    subgraph = model.subgraphs[subgraph_index]
    need = _RUNNERS * activation_bytes(subgraph, keeps_all_tensors)
    if need < _ANNOUNCED_BYTES:
        return
    shapes = ", ".join(f"'{t.name}' {list(t.shape)}" for t in subgraph.inputs[:3])
    available = available_bytes()
    if available is not None and need > available:
        raise UnsupportedModelError(
            f"the model's inputs are {shapes}: its tensors take {need / 1e9:.1f} GB of memory, {available / 1e9:.1f} "
            "GB are available; export it with a batch of 1 or smaller inputs"
        )
    _announce(
        f"the model's inputs are {shapes}: its tensors alone take {need / 1e9:.1f} GB of memory, work on them several "
        "times that"
    )


@functools.cache
def _announce(message: str) -> None:
    _logger.warning(message)


def available_bytes() -> int | None:
    """Memory that this process may still take; None where the system does not say."""
    limits = [_available_of_machine(), *map(_limit_of_group, _CGROUP_LIMITS)]
    return min((limit for limit in limits if limit is not None), default=None)


def _available_of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _limit_of_group(path: str) -> int | None:
    try:
        limit = Path(path).read_text().strip()
    except OSError:
        return None
    return int(limit) if limit.isdigit() else None


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes of an activation; 0 for constants."""
    if tensor.data is not None:
        return 0
    return prod(tensor.shape) * (1 if tensor.dtype is None else tensor.dtype.itemsize)


def activation_bytes(subgraph: Subgraph, keeps_all_tensors: bool) -> int:
    """Bytes of activations that exist at once: all, or at least the most that one op reads and writes."""
    if keeps_all_tensors:
        return sum(map(tensor_bytes, subgraph.tensors))
    touched = ({t: tensor_bytes(t) for t in (*op.inputs, *op.outputs) if t is not None} for op in subgraph.ops)
    return max((sum(sizes.values()) for sizes in touched), default=0)


def outgrows_builtin_kernels(model: Model) -> bool:
    """Whether an interpreter with built-in kernels and all tensors kept would take more memory than it is worth."""
    return _builtin_bytes(model) > _MOST_BUILTIN_BYTES


def runs_briefly(model: Model) -> bool:
    """Whether threads gain nothing: they would wait for Python, and kernels' threads do that spinning."""
    return runner_bytes(model) < _BRIEF_BYTES


def runner_bytes(model: Model) -> int:
    """Bytes of activations in an interpreter with all tensors readable, by the kernels that such a runner takes."""
    return _kept_bytes(model) if outgrows_builtin_kernels(model) else _builtin_bytes(model)


def _kept_bytes(model: Model) -> int:
    return max((activation_bytes(g, keeps_all_tensors=True) for g in model.subgraphs), default=0)


def _builtin_bytes(model: Model) -> int:
    return max((activation_bytes(g, keeps_all_tensors=True) + _patch_bytes(g) for g in model.subgraphs), default=0)


def _patch_bytes(subgraph: Subgraph) -> int:
    """What built-in kernels of convolutions unroll their inputs into (im2col): a window for each output position."""
    total = 0
    for op in subgraph.ops:
        weights, output = [*op.inputs, None, None][1], [*op.outputs, None][0]
        if op.opcode == "CONV_2D" and weights is not None and output is not None and len(weights.shape) == 4:
            is_pointwise = weights.shape[1:3] == (1, 1)
            total += 0 if is_pointwise else prod(output.shape[:3]) * prod(weights.shape[1:])
    return total

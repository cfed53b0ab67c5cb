"""The rules that decide which tensors are coded, one predicate each.

A predicate returns whether the tensor may be coded. Its docstring is what the user reads as the reason when it may not.
CANDIDATE_RULES together are the definition of a candidate feature map (among activations of rank 4 with more than one
pixel, see `sites`); CODING_RULES hold candidates back that cannot be coded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fmtc_tflite.graph.sites import Site

Rule = Callable[["Site"], bool]

MAX_CHANNELS = 65536  # of the bitstream's side information
MAX_MAP_BYTES = 1 << 31  # keeps every length of the coded tensor below 32 bits


def is_quantized_to_8_bits(site: Site) -> bool:
    """The tensor is neither int8 nor uint8."""
    return site.tensor.dtype in (np.dtype(np.int8), np.dtype(np.uint8))


def has_one_scale(site: Site) -> bool:
    """The tensor has no per-tensor quantization (one positive scale and one zero point of its type's range)."""
    scale, zero_point, dtype = site.tensor.scale, site.tensor.zero_point, site.tensor.dtype
    if scale is None or zero_point is None or not (np.isfinite(scale) and scale > 0):
        return False
    return dtype is None or dtype.kind not in "iu" or np.iinfo(dtype).min <= zero_point <= np.iinfo(dtype).max


def is_internal(site: Site) -> bool:
    """The tensor is an input or output of the graph or of a signature: its users expect it uncoded."""
    return not site.is_graph_boundary


def is_consumed(site: Site) -> bool:
    """No op reads the tensor."""
    return bool(site.consumers)


def has_known_shape(site: Site) -> bool:
    """The tensor's shape is not known at conversion time; fix the model's input shape."""
    return all(dimension > 0 for dimension in site.tensor.shape)


def fits_the_bitstream(site: Site) -> bool:
    """The tensor has more than 65536 channels or 2^31 bytes or more."""
    return site.tensor.shape[3] <= MAX_CHANNELS and site.values < MAX_MAP_BYTES


def is_plain_activation(site: Site) -> bool:
    """The tensor is a variable, a constant or sparse."""
    tensor = site.tensor
    return not tensor.is_variable and tensor.data is None and tensor.raw.sparsity is None


def is_written_once(site: Site) -> bool:
    """Several ops write the tensor, or one uses it as working memory."""
    return not site.has_other_writers


CANDIDATE_RULES: Sequence[Rule] = (is_quantized_to_8_bits, has_one_scale, is_internal, is_consumed)
CODING_RULES: Sequence[Rule] = (
    has_known_shape,
    fits_the_bitstream,
    is_plain_activation,
    is_written_once,
)


def first_broken_rule(site: Site, rules: Sequence[Rule]) -> str | None:
    """The reason (one line) of the first rule that the tensor breaks, None if it keeps all."""
    for rule in rules:
        if not rule(site):
            return " ".join((rule.__doc__ or rule.__name__).split())
    return None

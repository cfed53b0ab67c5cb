"""Coded tensors smaller than their maps: capacities from measured sizes, levels for what does not fit.

See FORMAT.md section 4.3: a map that does not fit its coded tensor is coded coarser, as a whole.
"""

from dataclasses import replace

import numpy as np

from fmtc_tflite.coding.geometry import HEADER_BYTES
from fmtc_tflite.conversion.treatment import RESERVED_LEVEL, SitePlan
from fmtc_tflite.types import ConvertOptions

_ALIGNMENT = 64  # of tensors in TFLite's arena: less would be lost


def set_budget(plan: SitePlan, sizes: np.ndarray, options: ConvertOptions) -> None:
    """Shrinks a lossy map's coded tensor to what the options demand, if that is below what always suffices.

    Args:
      plan: a stored, lossy plan; its side information gets levels if the budget is used.
      sizes: payload bytes per batch item, one for each sample.
    """
    assert plan.info is not None
    wanted = float(np.percentile(sizes, options.effective_capacity_percentile)) * options.effective_capacity_margin
    budget = max(HEADER_BYTES, -(-int(wanted) // _ALIGNMENT) * _ALIGNMENT)
    if budget < plan.item_capacity:
        plan.item_capacity = budget
        plan.info = replace(plan.info, constant_level=RESERVED_LEVEL)

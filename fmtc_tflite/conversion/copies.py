"""Feature maps that only say another one again, or an input of the graph: they are stored nowhere.

Where the map that a chain of PADs, slices, reshapes and the like begins with is coded, decoders write the copy from its
coded form, and the ops leave the graph. Where it is an input of the graph, or stays as it is, the ops stay as well:
hardware with a codec at its memory port reads the original in the copy's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.operators.views import UNCHANGED, View, says_again, then
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.regions.kernel_sets import NAMES, TARGETS, KernelSet
from fmtc_tflite.regions.kinds.elementwise import requantized
from fmtc_tflite.regions.ops import OpRefusedError


@dataclass(frozen=True, eq=False)
class Copy:
    """What a feature map says again.

    Attributes:
      source: a feature map that is none itself, or an input of the graph.
      site: of the former, None for the latter.
      view: what the copy is of it.
    """

    source: Tensor
    site: Site | None
    view: View


def find_copies(sites: Sequence[Site]) -> dict[Site, Copy]:
    """The copies among candidate maps, which are in execution order; see `requantization_table` for QUANTIZE."""
    inputs = {t for subgraph in {s.subgraph: None for s in sites} for t in subgraph.inputs if len(t.shape) == 4}
    known: dict[Tensor | None, Copy] = {t: Copy(t, None, View.whole(t.shape)) for t in inputs}
    found: dict[Site, Copy] = {}
    for site in sites:
        copy = None if site.skipped_reason is not None else _copy(site.producer, known)
        if copy is not None:
            found[site] = copy
        known[site.tensor] = copy or Copy(site.tensor, site, View.whole(site.tensor.shape))
    return found


def _copy(op: Op, known: dict[Tensor | None, Copy]) -> Copy | None:
    before = known.get(op.inputs[0]) if op.inputs else None
    if before is None or not says_again(op):
        return None
    if before.site is None:  # the op stays: whatever it computes is right
        return before
    table = requantization_table(op) if op.opcode == "QUANTIZE" else UNCHANGED
    view = None if table is None else then(before.view, op, table)
    return None if view is None else Copy(before.source, before.site, view)


def requantization_table(op: Op) -> np.ndarray | None:
    """The byte that a QUANTIZE of 8 bits makes of each byte, uint8 [256]; None where kernel sets differ."""
    source, result = op.inputs[0], op.outputs[0]
    assert source is not None
    assert result is not None
    tables = []
    for name, target, vectors in product(NAMES, TARGETS, (True, False)):
        try:
            table = requantized(op, source, result, KernelSet(name, target, vectors))
        except OpRefusedError:
            return None
        # From the unsigned domain to bytes.
        flips = [0x80 if t.dtype == np.int8 else 0 for t in (source, result)]
        tables.append(table[np.arange(256) ^ flips[0]] ^ np.uint8(flips[1]))
    return tables[0] if all(np.array_equal(tables[0], table) for table in tables) else None

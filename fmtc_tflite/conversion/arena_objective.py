"""`--objective arena`: code only what lowers the planned peak of the tensor arena."""

from __future__ import annotations

from collections.abc import Sequence

from fmtc_tflite.conversion.build import build_converted, only
from fmtc_tflite.conversion.coder import Coder
from fmtc_tflite.conversion.map_coding import MapCoding
from fmtc_tflite.conversion.treatment import TreatedMap
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.memory.arena import ArenaPlan, no_scratch, plan_arena

# Coarseness at which maps are chosen, before the final one is known.
PLANNING_COARSENESS = 1.0
# Names of fused tensors are long; their ends tell them apart.
_NAME_LENGTH = 60


def restrict(coder: Coder, maps: Sequence[TreatedMap]) -> list[TreatedMap]:
    """Skips every map that does not help to lower the planned peak (greedy), judged at a middling coarseness.

    Raises:
      NothingToDoError: no choice lowers it; names the op at the peak and the tensors that hold it.
    """
    codings, _ = coder.with_tables(coder.quantized(maps, PLANNING_COARSENESS), coder.source.samples.tables)
    chosen = _choose(coder.source.file.content, coder.with_budgets(codings))
    reason = "its coded form would not lower the arena's peak"
    return [m.skipped(reason) if m.coded and m.site not in chosen else m for m in maps]


def _choose(content: bytes, codings: Sequence[MapCoding]) -> list[Site]:
    original = plan_arena(load_model(content), scratch_bytes=no_scratch)
    chosen: list[Site] = []
    best = original
    while True:
        trials = [(_planned(content, codings, [*chosen, s]), s) for s in _candidates(codings, chosen, best)]
        if not trials:
            break
        plan, site = min(trials, key=lambda trial: _pressure(trial[0]))
        if _pressure(plan) >= _pressure(best):
            break
        chosen, best = [*chosen, site], plan
    if best.capacity_bytes >= original.capacity_bytes:
        raise NothingToDoError(_explain(original))
    for site in list(chosen):  # what a later choice made superfluous
        without = [s for s in chosen if s is not site]
        if _planned(content, codings, without).capacity_bytes <= best.capacity_bytes:
            chosen = without
    return chosen


def _pressure(plan: ArenaPlan) -> tuple[int, list[int]]:
    """What is to be lowered: the capacity, then the fullest op, then the next (several may share the peak)."""
    return plan.capacity_bytes, sorted(plan.live_bytes, reverse=True)


def _candidates(codings: Sequence[MapCoding], chosen: Sequence[Site], current: ArenaPlan) -> list[Site]:
    """Maps that are alive at the peak, smaller when coded, and not coded yet."""
    alive = {name for name, _ in current.holders}
    smaller = (c.site for c in codings if c.coded and c.capacity_bytes < c.values)
    return [site for site in smaller if site not in chosen and site.name in alive]


def _planned(content: bytes, codings: Sequence[MapCoding], chosen: Sequence[Site]) -> ArenaPlan:
    return plan_arena(build_converted(content, only(codings, chosen)), scratch_bytes=no_scratch)


def _explain(original: ArenaPlan) -> str:
    holders = ", ".join(f"{name[-_NAME_LENGTH:]} ({size:,} bytes)" for name, size in original.holders)
    return (
        f"no coded form lowers the arena's planned peak of {original.capacity_bytes:,} bytes: op "
        f"{original.peak_op_index} ({original.peak_op_name}) needs {holders} at once; only maps that live beyond their "
        "neighbouring ops, coded with loss (--calibration_data), can lower it"
    )

"""`--objective arena`: code only what lowers the planned peak of the tensor arena."""

from collections.abc import Sequence

from fmtc_tflite.conversion.build import build_converted, only
from fmtc_tflite.conversion.treatment import SitePlan
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.memory.arena import ArenaPlan, no_scratch, plan_arena

# Coarseness at which maps are chosen, before the final one is known.
PLANNING_COARSENESS = 1.0
# Names of fused tensors are long; their ends tell them apart.
_NAME_LENGTH = 60


def restrict(content: bytes, plans: Sequence[SitePlan]) -> None:
    """Skips every map that does not help to lower the planned peak (greedy).

    Raises:
      NothingToDoError: no choice lowers it; names the op at the peak and the tensors that hold it.
    """
    original = plan_arena(load_model(content), scratch_bytes=no_scratch)
    chosen: list[SitePlan] = []
    best = original
    while True:
        trials = [
            (_planned(content, plans, [*chosen, p]), p) for p in _candidates(plans, chosen, best) if p not in chosen
        ]
        if not trials:
            break
        plan, site = min(trials, key=lambda trial: _pressure(trial[0]))
        if _pressure(plan) >= _pressure(best):
            break
        chosen, best = [*chosen, site], plan
    if best.capacity_bytes >= original.capacity_bytes:
        raise NothingToDoError(_explain(original))
    for site in list(chosen):  # what a later choice made superfluous
        without = [p for p in chosen if p is not site]
        if _planned(content, plans, without).capacity_bytes <= best.capacity_bytes:
            chosen = without
    for p in plans:
        if p.coded and p not in chosen:
            p.skip("its coded form would not lower the arena's peak")


def _pressure(plan: ArenaPlan) -> tuple[int, list[int]]:
    """What is to be lowered: the capacity, then the fullest op, then the next (several may share the peak)."""
    return plan.capacity_bytes, sorted(plan.live_bytes, reverse=True)


def _candidates(plans: Sequence[SitePlan], chosen: Sequence[SitePlan], current: ArenaPlan) -> list[SitePlan]:
    """Maps that are alive at the peak, smaller when coded, and not coded yet."""
    alive = {name for name, _ in current.holders}
    return [
        p for p in plans if p.coded and p not in chosen and p.site.tensor.name in alive and p.capacity_bytes < p.values
    ]


def _planned(content: bytes, plans: Sequence[SitePlan], chosen: Sequence[SitePlan]) -> ArenaPlan:
    return plan_arena(build_converted(content, only(plans, chosen)), scratch_bytes=no_scratch)


def _explain(original: ArenaPlan) -> str:
    holders = ", ".join(f"{name[-_NAME_LENGTH:]} ({size:,} bytes)" for name, size in original.holders)
    return (
        f"no coded form lowers the arena's planned peak of {original.capacity_bytes:,} bytes: op "
        f"{original.peak_op_index} ({original.peak_op_name}) needs {holders} at once; only maps that live beyond their "
        "neighbouring ops, coded with loss (--calibration_data), can lower it"
    )

"""Which ops a region would run slower than the runtime does, as far as measured costs tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fmtc_tflite.graph.model import Op
from fmtc_tflite.regions.candidates import Candidates, Group
from fmtc_tflite.regions.time_costs import CpuCosts, by_source

# Times the original's. Predictions of networks were off by up to a fifth, those of single ops by more.
_SLOWER_REGIONS, _SLOWER_OP = 1.2, 2.0

# Finds candidates again with ops left outside for the given reasons.
Regroup = Callable[[Mapping[Op, str]], Candidates]


def without_slower(regroup: Regroup, outside: Mapping[Op, str], cpu: CpuCosts) -> Candidates:
    """Candidates without the ops that make all of them together clearly slower than their ops are now, as predicted.

    Args:
      outside: what is to stay outside anyway.
    """
    reasons = dict(outside)
    reason = f"slower in a region, as predicted for {cpu.name}; --execution regions takes it"
    while True:
        found = regroup(reasons)
        slower = slower_ops(found.groups, cpu)
        if not slower:
            return found
        reasons |= dict.fromkeys(slower, reason)


def slower_ops(groups: Sequence[Group], cpu: CpuCosts) -> list[Op]:
    """The ops that lose most in groups which are clearly slower than their ops are now, as many as make it so.

    Only those that are clearly slower themselves: without loops of their own, as a rule.
    """
    ops = [op for group in groups for op in group.region.ops]
    region, original = sum(map(cpu.region_ns, ops)), 0.0
    losses: list[tuple[float, float, Op]] = []
    for own in by_source(ops):
        inside, now = sum(map(cpu.region_ns, own)), cpu.original_ns(own)
        original += now
        assert own[0].source is not None
        losses.append((inside, now, own[0].source))
    found = []
    for inside, now, op in sorted(losses, key=lambda loss: loss[1] - loss[0]):
        if region <= _SLOWER_REGIONS * original:
            break
        if inside >= _SLOWER_OP * now:
            region, original = region - inside, original - now
            found.append(op)
    return found

"""Which ops a region would run slower than the runtime does, as far as measured costs tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fmtc_tflite.graph.model import Op
from fmtc_tflite.regions.candidates import Candidates, Group
from fmtc_tflite.regions.time_costs import CpuCosts, by_source

# Times the original's. Predictions of networks were off by up to a fifth, those of single ops by more.
_SLOWER_GROUP, _SLOWER_OP = 1.2, 2.0

# Finds candidates again with ops left outside for the given reasons.
Regroup = Callable[[Mapping[Op, str]], Candidates]


def without_slower(regroup: Regroup, outside: Mapping[Op, str], cpu: CpuCosts) -> Candidates:
    """Candidates without the ops that make one of them clearly slower than its ops are now, as predicted.

    Args:
      outside: what is to stay outside anyway.
    """
    reasons = dict(outside)
    reason = f"slower in a region, as predicted for {cpu.name}; --execution regions takes it"
    while True:
        found = regroup(reasons)
        slower = [op for group in found.groups for op in slower_ops(group, cpu)]
        if not slower:
            return found
        reasons |= dict.fromkeys(slower, reason)


def slower_ops(group: Group, cpu: CpuCosts) -> list[Op]:
    """The ops that lose most in a group which is clearly slower than its ops are now, as many as make it so.

    Only those that are clearly slower themselves: without loops of their own, as a rule.
    """
    region = sum(map(cpu.region_ns, group.region.ops))
    losses: list[tuple[float, float, float, Op]] = []
    original = 0.0
    for ops in by_source(group.region.ops):
        own, outside = sum(map(cpu.region_ns, ops)), cpu.original_ns(ops)
        original += outside
        assert ops[0].source is not None
        losses.append((own - outside, own, outside, ops[0].source))
    found = []
    for _, own, outside, op in sorted(losses, key=lambda loss: -loss[0]):
        if region <= _SLOWER_GROUP * original:
            break
        if own < _SLOWER_OP * outside:
            continue
        region, original = region - own, original - outside
        found.append(op)
    return found

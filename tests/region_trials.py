"""Random networks as regions beside their originals, under every set of kernels: no byte of any output may differ.

    python tests/region_trials.py 20000

runs so many and prints how many ops of which kind were inside regions.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.conversion.region_difference import first_difference
from fmtc_tflite.conversion.region_plans import PlannedRegion, planned_region
from fmtc_tflite.conversion.region_verification import adversarial_samples
from fmtc_tflite.fidelity.differences import differing
from fmtc_tflite.graph.edits.fuse_region import Fusion, fuse
from fmtc_tflite.graph.model import Subgraph
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import KERNEL_SETS
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.regions.candidates import Group, find_candidates, is_reshape
from fmtc_tflite.regions.coded_cuts import Rate, code_cuts
from fmtc_tflite.regions.extra import NOTHING, Extra
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.planner import RegionPlan, plan_region
from fmtc_tflite.regions.search import fewest_stored, least_scratch
from fmtc_tflite.regions.stage_costs import StageCosts
from fmtc_tflite.regions.stages import RegionSpans
from fmtc_tflite.runtime.interpreter import chosen_runtime, default_kernels, has_vectors
from random_networks import random_network
from storable_information import storable

_BATCHES = (1, 1, 1, 3)
_ROOM = (1.1, 1.3, 2.0, 8.0, 1.5)
_EXTRA_MACS = (0.0, 0.02, 0.2, 1.0, 3.0)  # shares that strips may compute twice, chosen by the seed
TARGET = "aarch64" if platform.machine().lower() in ("aarch64", "arm64") else "x86_64"


@dataclass(frozen=True)
class Trial:
    """One network under one set of kernels. `failure` is None if all outputs were equal.

    Attributes:
      fused: ops in regions, by opcode.
      in_strips: ops of programs that run in column strips.
    """

    seed: int
    kernels: str
    fused: Counter[str]
    left_out: Counter[str]
    in_strips: int
    failure: str | None


def trials(seeds: Sequence[int], runtime: str | None = None) -> Iterator[Trial]:
    """Each network under each set of a runtime that it has."""
    for seed in seeds:
        content = random_network(seed, _BATCHES[seed % len(_BATCHES)])
        for kernels in KERNEL_SETS:
            if kernels != "xnnpack" or default_kernels(runtime) == kernels:
                yield trial(seed, content, kernels, runtime)


def trial(seed: int, content: bytes, kernels: str, runtime: str | None = None) -> Trial:
    """Fuses all groups, worthwhile or not, and compares all outputs on extremes and noise."""
    model = load_model(content)
    subgraph = model.subgraphs[0]
    kernel_set = KernelSet(kernels, TARGET, has_vectors(chosen_runtime(runtime)))
    found = find_candidates(subgraph, op_builder(kernel_set))
    fused = Counter(op.opcode for group in found.groups for op in group.ops)
    left_out = Counter(f"{op.opcode}: {reason}" for op, reason in found.left_out.items())
    in_strips = 0
    try:
        share = float(np.random.default_rng([seed, 2]).choice(_EXTRA_MACS))
        regions = [_planned(subgraph, group, kernel_set.number, share, seed) for group in found.groups]
        in_strips = sum(len(stage.ops) for r in regions for stage in r.plan.stages if stage.strips > 1)
        fusions = [Fusion(r.group.ops, r.group.inputs, r.group.outputs, r.program.content) for r in regions]
        fuse(model, subgraph, fusions, [op for op in subgraph.ops if is_reshape(op)])
        failure = _difference(seed, content, model.to_bytes(), regions, (runtime, kernels))
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
    return Trial(seed, kernels, fused, left_out, in_strips, failure)


def _planned(subgraph: Subgraph, group: Group, kernel_set: int, share: float, seed: int) -> PlannedRegion:
    plan = plan_region(group.region, Extra(int(share * sum(op.macs for op in group.region.ops))))
    if seed % 2:
        plan = _with_coded_cuts(group, _ROOM[seed % len(_ROOM)], seed)
    return planned_region(subgraph, group, plan, kernel_set)


def _with_coded_cuts(group: Group, room: float, seed: int) -> RegionPlan:
    """A plan in whole rows with all cuts coded for which there is room, `room` times what the stages need."""
    costs = StageCosts(RegionSpans(group.region))
    least = least_scratch(costs, NOTHING)
    path = fewest_stored(costs, least, NOTHING, costs.stored_bytes)
    assert path is not None
    maps = [tensor for tensor in costs.spans.inner if tensor.dtype.itemsize == 1]
    rng = np.random.default_rng([seed, 3])
    rates = {m: Rate(storable(m.channels, rng, lossy=False).to_bytes(), 0.0) for m in maps}
    found = code_cuts(costs, path, int(room * least), rates)
    return RegionPlan(found.region, found.stages, found.cuts, found.placement, found.coded)


def _difference(
    seed: int, content: bytes, converted: bytes, regions: Sequence[PlannedRegion], where: tuple[str | None, str]
) -> str | None:
    if not regions:
        return None
    models = load_model(content), load_model(converted)
    runtime, kernels = where
    files = [ModelFile(model, each) for model, each in zip(models, (content, converted), strict=True)]
    runners = [ModelRunner(file, runtime=runtime, kernels=kernels) for file in files]
    for number, sample in enumerate(adversarial_samples(models[0].subgraphs[0].inputs, seed)):
        for runner in runners:
            runner.run(sample)
        for expected, found in zip(models[0].subgraphs[0].outputs, models[1].subgraphs[0].outputs, strict=True):
            if differing(runners[0].read(expected), runners[1].read(found)).any():
                return f"sample {number}: {first_difference(content, regions, sample, where)}"
    return None


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--runtime", help="ai_edge_litert, tflite_runtime or tensorflow")
    options = parser.parse_args(arguments)
    fused, failures, in_strips = Counter[str](), 0, 0
    for each in trials(range(options.first, options.first + options.count), options.runtime):
        fused.update(each.fused)
        in_strips += each.in_strips
        if each.failure is not None:
            failures += 1
            print(f"seed {each.seed}, {each.kernels}: {each.failure}")
    print(f"{options.count} networks under every set of kernels, {failures} failures; {in_strips} ops in strips")
    print("ops in regions:")
    for opcode, number in sorted(fused.items()):
        print(f"  {opcode:24} {number}")
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How many bytes the coded cuts of a converted model have: measured, on samples that made no tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.conversion.region_plans import PlannedRegion
from fmtc_tflite.conversion.source import open_samples
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import program_bytes, region_ops
from fmtc_tflite.inference.region_inputs import region_inputs
from fmtc_tflite.regions.ops import RegionTensor
from fmtc_tflite.regions.program import Program
from fmtc_tflite.runtime.region import RegionProgram
from fmtc_tflite.types import ConvertOptions

_MOST_SAMPLES = 64


@dataclass(frozen=True)
class CodedSizes:
    """Mean bytes of an item's coded cuts, and of how many samples."""

    bytes: dict[RegionTensor, float]
    num_samples: int


def measure_coded_cuts(
    original: bytes, converted: bytes, regions: Sequence[PlannedRegion], options: ConvertOptions, runtime: str
) -> CodedSizes:
    """Runs the regions on held-back samples.

    Args:
      regions: those of the converted model.
    """
    coded = [_encoders(region) for region in regions]
    if not any(coded):
        return CodedSizes({}, 0)
    samples = open_samples(load_model(original), options).held_back.evenly(_MOST_SAMPLES)
    model = load_model(converted)
    programs = [region.program.content for region in regions]
    ops = sorted(region_ops(model), key=lambda op: programs.index(program_bytes(op)))
    sizes: dict[RegionTensor, list[float]] = {tensor: [] for own in coded for tensor in own}
    executors = [RegionProgram(program) for program in programs]
    for inputs in region_inputs(model, ops, samples, runtime):
        for executor, own, arrays in zip(executors, coded, inputs, strict=True):
            if own:
                written = executor.trace(arrays).bytes_written
                for tensor, number in own.items():
                    sizes[tensor].append(float(written[number]) / len(arrays[0]))
    for executor in executors:
        executor.close()
    count = max(map(len, sizes.values()))
    return CodedSizes({tensor: float(np.mean(each)) for tensor, each in sizes.items()}, count)


def _encoders(region: PlannedRegion) -> dict[RegionTensor, int]:
    """Each coded cut, and the number of the op of the program that encodes it."""
    program: Program = region.program
    ops = [op for stage in region.plan.stages for op in stage.ops]
    assert len(ops) == len(program.ops)
    by_coded = {cut.coded: tensor for tensor, cut in region.plan.coded.items()}
    return {by_coded[op.output]: number for number, op in enumerate(ops) if op.output in by_coded}

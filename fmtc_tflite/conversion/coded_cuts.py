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
    """Sizes of coded cuts.

    Attributes:
      bytes: mean of each one's, of an item.
      lossless: the same where all of them are coded losslessly.
      num_samples: of how many samples.
    """

    bytes: dict[RegionTensor, float]
    lossless: dict[RegionTensor, float]
    num_samples: int


def measure_coded_cuts(
    original: bytes,
    converted: bytes,
    regions: Sequence[PlannedRegion],
    lossless: Sequence[PlannedRegion],
    options: ConvertOptions,
    runtime: str,
) -> CodedSizes:
    """Runs the regions on held-back samples.

    Args:
      regions: those of the converted model.
      lossless: the same with cuts that lose nothing; equal to `regions` where there are none that do.
    """
    if not any(map(_encoders, regions)):
        return CodedSizes({}, {}, 0)
    samples = open_samples(load_model(original), options).held_back.evenly(_MOST_SAMPLES)
    model = load_model(converted)
    programs = [region.program.content for region in regions]
    ops = sorted(region_ops(model), key=lambda op: programs.index(program_bytes(op)))
    forms = [regions] if programs == [region.program.content for region in lossless] else [regions, lossless]
    meters = [_Meter(form) for form in forms]
    for inputs in region_inputs(model, ops, samples, runtime):
        for meter in meters:
            meter.add(inputs)
    return CodedSizes(meters[0].means(), meters[-1].means(), meters[0].num_samples)


class _Meter:
    """Sizes of the coded cuts of regions, sample by sample."""

    def __init__(self, regions: Sequence[PlannedRegion]) -> None:
        found = [(region, own) for region in regions if (own := _encoders(region))]
        self._regions = [(regions.index(region), RegionProgram(region.program.content), own) for region, own in found]
        self._sizes: dict[RegionTensor, list[float]] = {tensor: [] for _, own in found for tensor in own}

    def add(self, inputs: Sequence[Sequence[np.ndarray]]) -> None:
        """Runs each region on its inputs of a sample."""
        for number, executor, own in self._regions:
            written = executor.trace(inputs[number]).bytes_written
            for tensor, op in own.items():
                self._sizes[tensor].append(float(written[op]) / len(inputs[number][0]))

    @property
    def num_samples(self) -> int:
        return max(map(len, self._sizes.values()))

    def means(self) -> dict[RegionTensor, float]:
        """Of an item."""
        return {tensor: float(np.mean(sizes)) for tensor, sizes in self._sizes.items()}


def _encoders(region: PlannedRegion) -> dict[RegionTensor, int]:
    """Each coded cut, and the number of the op of the program that encodes it."""
    program: Program = region.program
    ops = [op for stage in region.plan.stages for op in stage.ops]
    assert len(ops) == len(program.ops)
    by_coded = {cut.coded: tensor for tensor, cut in region.plan.coded.items()}
    return {by_coded[op.output]: number for number, op in enumerate(ops) if op.output in by_coded}

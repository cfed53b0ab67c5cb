"""The readable executor and the native one give the same on programs of random networks and of single ops."""

from __future__ import annotations

import numpy as np
import pytest

from fmtc_tflite.errors import ModelFormatError, UsageError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.candidates import find_candidates
from fmtc_tflite.regions.extra import Extra
from fmtc_tflite.regions.kernel_sets import NAMES, KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.planner import plan_region, write_program
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.reference import run_program
from fmtc_tflite.runtime.region import RegionProgram
from random_networks import random_network
from region_programs import convolution, copies


def programs(seed: int) -> list[Program]:
    """Of all regions of a random network, under a kernel set that the seed chooses; every other one in strips."""
    kernels = KernelSet(NAMES[seed % len(NAMES)])
    subgraph = load_model(random_network(seed)).subgraphs[0]
    groups = find_candidates(subgraph, op_builder(kernels)).groups
    regions = [group.region for group in groups]
    budgets = [seed % 2 * 2 * sum(op.macs for op in region.ops) for region in regions]
    plans = [plan_region(region, Extra(budget)) for region, budget in zip(regions, budgets, strict=True)]
    return [write_program(plan, kernels.number) for plan in plans]


def random_inputs(program: RegionProgram, batch: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    found = []
    for tensor in program.inputs:
        shape = (batch, *tensor.shape)
        if tensor.dtype == np.float32:
            found.append(rng.normal(0, 3, shape).astype(np.float32))
        else:
            bytes_ = rng.integers(0, 256, (*shape, tensor.dtype.itemsize)).astype(np.uint8)
            found.append(bytes_.view(tensor.dtype)[..., 0])
    return found


@pytest.mark.parametrize("seed", range(30))
def test_networks_give_the_same_as_native(seed: int) -> None:
    for program in programs(seed):
        with RegionProgram(program.content) as native:
            inputs = random_inputs(native, 1 + seed % 2, seed)
            expected = native.run(inputs)
        for one, other in zip(run_program(program.content, inputs), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_trace_tells_every_row() -> None:
    program = convolution()[0]
    with RegionProgram(program.content) as native:
        inputs = random_inputs(native, 2, 1)
        expected = native.trace(inputs)
    rows: dict[tuple[int, int], list[np.ndarray]] = {}
    run_program(
        program.content, inputs, lambda item, op, row, values: rows.setdefault((item, op), []).append(values.copy())
    )
    for op, record in enumerate(program.ops):
        found = np.stack(rows[1, op]).view(np.uint8)
        flip = 0x80 if program.tensors[record.output].place == 0 else 0  # the native trace shows the tensors' own type
        np.testing.assert_array_equal(found ^ flip, expected.tensors[record.output].view(np.uint8))


def test_wrong_programs_and_inputs_are_refused() -> None:
    content = copies()[0].content
    for inputs in ([], [np.zeros((1, 5, 3, 3), np.uint8)], [np.zeros((1, 5, 3, 4), np.int8)]):
        with pytest.raises(UsageError):
            run_program(content, inputs)
    with pytest.raises(ModelFormatError):
        run_program(content[:-16], [np.zeros((1, 5, 3, 3), np.int8)])

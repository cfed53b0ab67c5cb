"""The readable executor and the native one give the same on programs of random networks and of single ops."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from fmtc_tflite.coding.reference import analyse, synthesise
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.errors import ModelFormatError, UsageError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.candidates import find_candidates
from fmtc_tflite.regions.coded_cuts import Rate, code_cuts
from fmtc_tflite.regions.coders import DECODE, ENCODE
from fmtc_tflite.regions.extra import Extra
from fmtc_tflite.regions.kernel_sets import NAMES, KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.planner import RegionPlan, plan_region, write_program
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.reference import run_program
from fmtc_tflite.regions.stage_costs import INFINITE, StageCosts
from fmtc_tflite.regions.stages import RegionSpans
from fmtc_tflite.regions.strips import divisions
from fmtc_tflite.runtime.region import RegionProgram
from random_networks import random_network
from region_programs import convolution, copies
from storable_information import storable


def programs(seed: int) -> list[Program]:
    """Of all regions of a random network, under a kernel set that the seed chooses; every other one in strips."""
    kernels = KernelSet(NAMES[seed % len(NAMES)])
    subgraph = load_model(random_network(seed)).subgraphs[0]
    groups = find_candidates(subgraph, op_builder(kernels)).groups
    regions = [group.region for group in groups]
    budgets = [seed % 2 * 2 * sum(op.macs for op in region.ops) for region in regions]
    plans = [plan_region(region, Extra(budget)) for region, budget in zip(regions, budgets, strict=True)]
    return [write_program(plan, kernels.number) for plan in plans]


def coded_programs(seed: int) -> list[Program]:
    """Of the same regions with their cuts coded, of which something is lost; in strips where there are some."""
    rng = np.random.default_rng([seed, 1])
    kernels = KernelSet(NAMES[seed % len(NAMES)])
    found = []
    for group in find_candidates(load_model(random_network(seed)).subgraphs[0], op_builder(kernels)).groups:
        costs = StageCosts(RegionSpans(group.region))
        costs.add_strips(divisions(), 1 << 40, Extra(1 << 40))
        count, maps = costs.spans.op_count, [t for t in costs.spans.inner if t.dtype.itemsize == 1]
        middle = count // 2
        ways = np.flatnonzero(costs.needs[:, 0, middle] < INFINITE)
        path = [(0, middle, int(ways[-1])), (middle, count, 0)] if ways.size else [(0, count, 0)]
        rates = {t: Rate(storable(t.channels, rng, lossy=True).to_bytes(), 0.0) for t in maps}
        cuts = code_cuts(costs, path, 1 << 40, rates)
        plan = RegionPlan(cuts.region, cuts.stages, cuts.cuts, cuts.placement, cuts.coded)
        found.append(write_program(plan, kernels.number))
    return [program for program in found if any(op.kind == ENCODE for op in program.ops)]


def _signed(values: np.ndarray) -> np.ndarray:
    return (values ^ 0x80).view(np.int8) if values.dtype == np.uint8 else values


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


def test_coded_cuts_have_the_values_of_coded_maps() -> None:
    """In both executors, and what becomes of a map is what FMTC_ENCODE and FMTC_DECODE make of it."""
    lossy = columns = 0
    for seed in range(30):
        for program in coded_programs(seed):
            with RegionProgram(program.content) as native:
                inputs = random_inputs(native, 1, seed)
                trace = native.trace(inputs)
            for one, other in zip(run_program(program.content, inputs), trace.outputs, strict=True):
                np.testing.assert_array_equal(one, other)
            for decode in (op for op in program.ops if op.kind == DECODE):
                encode = next(op for op in program.ops if op.output == decode.inputs[0])
                offset, size = struct.unpack_from("<II", encode.parameters)
                info = SideInformation.from_bytes(program.content[offset : offset + size])
                map_, decoded = (_signed(trace.tensors[each]) for each in (encode.inputs[0], decode.output))
                np.testing.assert_array_equal(decoded, synthesise(info, analyse(info, map_, 0), 0))
                lossy += bool((decoded != map_).any())
                columns += program.tensors[encode.output].width > 1
    assert lossy >= 20, lossy
    assert columns >= 5, columns


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

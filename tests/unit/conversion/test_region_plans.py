"""Which regions a graph gets, and what happens when one of them computes something else."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.coding.crc32c import crc32c
from fmtc_tflite.conversion import region_plans
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.conversion.region_plans import PlanOptions, plan_regions
from fmtc_tflite.errors import NothingToDoError, VerificationError
from fmtc_tflite.graph.model import Subgraph
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.memory.arena import no_scratch, plan_arena, region_scratch_bytes
from fmtc_tflite.regions.candidates import find_candidates
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.planner import RegionPlan, write_program
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.time_costs import load_cpu
from fmtc_tflite.types import ConvertOptions
from model_builder import ModelBuilder

BUILD = op_builder(KernelSet("builtin"))
OPTIONS = ConvertOptions(execution="regions", kernels="builtin")


def planned(content: bytes) -> tuple[Subgraph, list[region_plans.PlannedRegion], list[str]]:
    subgraph = load_model(content).subgraphs[0]
    regions, left_out = plan_regions(subgraph, find_candidates(subgraph, BUILD), BUILD, 1, PlanOptions(load_cpu()))
    return subgraph, regions, list(left_out.values())


def test_small_maps_are_left_alone() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 1, 1, 64])
    for _ in range(3):
        x = graph.conv(x, 64)
    graph.output(x)
    _, regions, reasons = planned(builder.build())
    assert not regions
    assert all("fused it would need" in reason for reason in reasons)
    with pytest.raises(NothingToDoError, match="fused it would need"):
        convert_content(builder.build(), OPTIONS)


def late_outputs() -> bytes:
    """A narrow end with large outputs behind a wide beginning: as one op, it holds all of them from the start."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 32, 32, 3])
    for number in range(3):
        x = graph.conv(x, 32, 3, stride=2 if number == 2 else 1, name=f"wide_{number}")
    x = graph.conv(x, 8, 3, stride=2, name="narrow")
    for number in range(3):
        graph.output(graph.conv(x, 40, 3, name=f"output_{number}"))
    return builder.build()


def test_two_regions_where_outputs_are_in_the_way() -> None:
    content = late_outputs()
    model = load_model(content)
    _, regions, reasons = planned(content)
    assert len(regions) == 2
    assert not reasons
    assert [op.outputs[0].name for op in regions[0].group.ops if op.outputs[0]][-1].startswith(("wide", "narrow"))
    converted = load_model(convert_content(content, OPTIONS).content)
    after = plan_arena(converted, scratch_bytes=region_scratch_bytes).capacity_bytes
    assert after < 0.8 * plan_arena(model, scratch_bytes=no_scratch).capacity_bytes


def test_float_outputs_that_are_in_the_way_stay_outside() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 32, 32, 3])
    for number in range(3):
        x = graph.conv(x, 32, 3, name=f"wide_{number}")
    graph.output(graph.dequantize(graph.conv(x, 8, 3, name="narrow")))
    _, regions, reasons = planned(builder.build())
    assert len(regions) == 1
    assert [op.opcode for op in regions[0].group.ops] == ["CONV_2D"] * 4
    assert reasons == ["fused it would make the whole graph's arena larger"]


def test_what_nobody_reads_is_no_region() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 24, 24, 3])
    for number in range(3):
        x = graph.conv(x, 16 >> number, 3)
    y = graph.unary("SOFTMAX", x, schema.SoftmaxOptionsT(beta=1.0), scale=1 / 256, zero_point=-128)
    dead = graph.conv(graph.conv(y, 4, 3), 4, 3)
    assert dead
    graph.output(y)
    _, regions, reasons = planned(builder.build())
    assert len(regions) == 1
    assert "nobody reads what it makes" in reasons


def test_an_input_in_pytorchs_order() -> None:
    """More values than 16 bits count, which the region sees as channels of one pixel."""
    builder = ModelBuilder()
    graph = builder.graph()
    image = graph.input("image", [1, 3, 160, 152])
    x = graph.tensor("transposed", [1, 160, 152, 3])
    order = graph.tensor("order", [4], "INT32", scale=0, data=np.array([0, 2, 3, 1], np.int32))
    graph.op("TRANSPOSE", [image, order], [x], schema.TransposeOptionsT(), version=2)
    for _ in range(3):
        x = graph.conv(x, 16, 3, stride=2)
    graph.output(x)
    report = convert_content(builder.build(), OPTIONS).report
    assert report["regions"][0]["ops"] == ["TRANSPOSE", *["CONV_2D"] * 3]
    assert report["arena"]["converted_planned_bytes"] < 0.6 * report["arena"]["original_planned_bytes"]


def test_numbers_point_into_the_graph() -> None:
    subgraph, regions, _ = planned(late_outputs())
    for region in regions:
        assert [subgraph.tensors[number] for number in region.input_numbers] == list(region.group.inputs)
        sources = [op.source for stage in region.plan.stages for op in stage.ops]
        assert [subgraph.ops[n] if n >= 0 else None for n in region.op_numbers] == sources
        assert len(region.program.ops) == len(sources)


def with_another_bias(plan: RegionPlan, kernel_set: int) -> Program:
    """A program whose second convolution adds something."""
    program = write_program(plan, kernel_set)
    convolution = [op for op in program.ops if op.kind == 1][1]
    (biases,) = struct.unpack_from("<I", convolution.parameters, 32)
    content = bytearray(program.content)
    (bias,) = struct.unpack_from("<i", content, biases)
    struct.pack_into("<i", content, biases, bias + 3_000_000)
    content[12:16] = struct.pack("<I", crc32c(bytes(content[:12]), bytes(4), bytes(content[16:])))
    return Program.from_bytes(bytes(content))


def test_the_first_op_that_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 16, 16, 3])
    for number in range(4):
        x = graph.conv(x, 16, 3, name=f"t{number}")
    graph.output(x)
    monkeypatch.setattr(region_plans, "write_program", with_another_bias)
    with pytest.raises(VerificationError, match=r"first op that differs is CONV_2D 't1'.*--exclude"):
        convert_content(builder.build(), OPTIONS)

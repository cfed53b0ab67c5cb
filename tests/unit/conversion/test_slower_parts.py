"""What `--execution auto` leaves as it is, since a region is predicted slower."""

from __future__ import annotations

import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.conversion import region_task
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import is_region
from fmtc_tflite.regions.candidates import find_candidates
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.slower import slower_ops
from fmtc_tflite.regions.time_costs import CpuCosts, known_cpus, load_cpu
from fmtc_tflite.types import ConvertOptions, Execution
from known_networks import mobilenet_v1
from model_builder import ModelBuilder

REASON = "slower in a region, as predicted for avx2; --execution regions takes it"


def products(count: int, convolutions: bool = False) -> bytes:
    """Two convolutions with a large map between them, then products of maps."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 48, 48, 8])
    if convolutions:
        x = graph.conv(graph.conv(x, 64, 1, name="wide"), 8, 1, name="narrow")
    factor = x
    for number in range(count):
        x, factor = graph.binary("MUL", x, factor, schema.MulOptionsT(), name=f"product_{number}"), x
    graph.output(x)
    return builder.build()


@pytest.fixture
def slow_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of maps cost a region ten times what they cost the original, whatever was measured."""
    cpu = load_cpu()
    costs = {**cpu.region, "Multiply": (0.0, 2.0, 0.0, 0.0)}, {**cpu.original, "MUL": (0.0, 0.2, 0.0, 0.0)}
    monkeypatch.setattr(region_task, "load_cpu", lambda name: CpuCosts(name, *costs))


def converted_ops(content: bytes, execution: Execution) -> tuple[list[str], dict[str, str]]:
    """Opcodes of the result, and why ops are outside."""
    result = convert_content(content, ConvertOptions(execution=execution, kernels="xnnpack"))
    ops = load_model(result.content).subgraphs[0].ops
    outside = {entry["tensor"]: entry["reason"] for entry in result.report["left_out"]}
    return ["region" if is_region(op) else op.opcode for op in ops], outside


@pytest.mark.usefixtures("slow_products")
def test_ops_that_lose_more_than_the_others_gain_stay_outside() -> None:
    ops, outside = converted_ops(products(9, True), "auto")
    assert "region" in ops
    assert ops.count("MUL") == len(outside) >= 3
    assert REASON in outside.values()


@pytest.mark.usefixtures("slow_products")
def test_who_asks_for_regions_gets_them() -> None:
    assert converted_ops(products(9, True), "regions") == (["region"], {})


@pytest.mark.usefixtures("slow_products")
def test_nothing_is_left_of_what_only_loses() -> None:
    assert converted_ops(products(4), "regions") == (["region"], {})
    with pytest.raises(NothingToDoError, match=REASON):
        converted_ops(products(4), "auto")


@pytest.mark.parametrize("cpu", known_cpus())
def test_convolutional_networks_are_not_cut_up(cpu: str) -> None:
    subgraph = load_model(mobilenet_v1(0.25, 96, 1, 2, "INT8")).subgraphs[0]
    groups = find_candidates(subgraph, op_builder(KernelSet("xnnpack"))).groups
    assert slower_ops(groups, load_cpu(cpu)) == []

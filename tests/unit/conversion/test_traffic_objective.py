"""How cuts would be coded: tables from samples, contexts where they pay."""

from __future__ import annotations

import importlib.resources

import pytest

from fmtc_tflite import ConvertOptions
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.conversion.traffic_objective import measure_rates
from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.candidates import find_candidates
from fmtc_tflite.regions.coded_cuts import Rate
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder

DEMO = importlib.resources.files("fmtc_tflite") / "demo"


@pytest.fixture(scope="module")
def content() -> bytes:
    return (DEMO / "demo_int8.tflite").read_bytes()


def rates(content: bytes, *disabled: str) -> dict[Tensor, Rate]:
    subgraph = load_model(content).subgraphs[0]
    groups = find_candidates(subgraph, op_builder(KernelSet("xnnpack"))).groups
    return measure_rates(content, subgraph, groups, ConvertOptions(disable=frozenset(disabled)))


def test_contexts_pay_what_they_add(content: bytes) -> None:
    found = [rate for rate in rates(content).values() if rate.contexts]
    assert found
    for rate in found:
        plain = rate.plain
        assert plain is not None
        assert not plain.contexts
        assert plain.bits - rate.bits > 8 * (len(rate.side_information) - len(plain.side_information))


def test_all_are_lossless_and_what_regions_take(content: bytes) -> None:
    for rate in rates(content).values():
        info = SideInformation.from_bytes(rate.side_information)
        assert not info.is_lossy
        assert (info.lo, info.hi, info.checksum, info.segment_rows) == (-128, 127, False, 0)
        assert rate.contexts == (info.contexts is not None) == (info.version == 2)


def test_contexts_can_be_left_out(content: bytes) -> None:
    with_contexts, without = rates(content), rates(content, "contexts")
    assert not any(rate.contexts for rate in without.values())
    plain = [rate.plain or rate for rate in with_contexts.values()]
    assert [rate.side_information for rate in plain] == [rate.side_information for rate in without.values()]

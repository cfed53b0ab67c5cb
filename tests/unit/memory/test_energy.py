"""Energy against the paper's numbers and against sums by hand; where tensors are placed."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import coded_models
import model_builder
from fmtc_tflite.graph.coded_maps import coded_maps
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.memory.energy import energy_of, transfer_pj
from fmtc_tflite.memory.memory_system import MemorySystem, Pin, load_memory_system
from fmtc_tflite.memory.traffic import Traffic, as_executed, coded_capacity, fused_codec

# The convolution outputs of ResNet-18: height and width, channels, bits per value with the KLT, with entropy coding
# alone, as the reference script of the feature-map compression paper has them.
PAPER = """
112 64 2.9301 5.2966
56 64 3.2694 5.7651
56 64 4.7162 5.8253
56 64 4.6801 5.9983
56 64 4.9906 6.0346
28 128 4.6701 6.6297
28 128 5.0691 6.0012
28 128 5.4064 6.4249
28 128 5.1407 5.8962
14 256 4.3611 6.3855
14 256 4.9677 6.2520
14 256 4.3325 6.3878
14 256 4.2054 5.6490
7 512 3.5046 6.5608
7 512 4.2548 6.2834
7 512 3.4128 6.4317
7 512 4.1077 5.7963
"""


def paper_energy_uj(values: np.ndarray, bits: np.ndarray | float) -> np.ndarray:
    """Energy of writing and reading each map once."""
    dram = load_memory_system("paper_ddr3").levels["dram"]
    size_bytes = values * bits / 8
    return np.array([transfer_pj(s, dram, True) + transfer_pj(s, dram, False) for s in size_bytes]) / 1e6


def test_the_paper_s_resnet18() -> None:
    side, channels, klt, entropy = np.array([line.split() for line in PAPER.split("\n")[1:-1]], float).T
    values = side**2 * channels
    raw, coded, alone = (paper_energy_uj(values, bits) for bits in (8.0, klt, entropy))
    assert raw.sum() == pytest.approx(2598.23, abs=0.005)
    assert alone.sum() == pytest.approx(1880.56, abs=0.005)
    assert coded.sum() == pytest.approx(1296.19, abs=0.005)
    assert raw[0] == pytest.approx(903.73, abs=0.005)
    assert 1 - coded.sum() / raw.sum() == pytest.approx(0.50, abs=0.005)
    assert 1 - coded.sum() / alone.sum() == pytest.approx(0.31, abs=0.005)
    assert 1 - alone.sum() / raw.sum() == pytest.approx(0.28, abs=0.005)


def test_paper_ddr3_is_the_reference_script_to_the_last_digit() -> None:
    dram = load_memory_system("paper_ddr3").levels["dram"]
    bits_per_second = 16 * 1066e6
    assert dram.read_pj_per_bit.value == pytest.approx(1.5 * 0.220 * 4 / bits_per_second * 1e12, rel=1e-12)
    assert dram.write_pj_per_bit.value == pytest.approx(1.5 * 0.180 * 4 / bits_per_second * 1e12, rel=1e-12)
    sheet = load_memory_system("ddr3_datasheet").levels["dram"]
    assert sheet.read_pj_per_bit.value == pytest.approx(dram.read_pj_per_bit.value / 4, rel=1e-12)
    assert sheet.write_pj_per_bit.value == pytest.approx(dram.write_pj_per_bit.value / 4, rel=1e-12)


def fused(model: Model, size: float = 500) -> Traffic:
    coded = coded_maps(model.subgraphs[0])
    return fused_codec(model.subgraphs[0], coded, {m.coded: size for m in coded})


@pytest.fixture
def chain() -> Model:
    """Maps of 768 (input), 2048, 2048 and 1024 (output) bytes; the second and third are coded with 500."""
    return coded_models.converted(model_builder.chain())


def test_energy_by_hand(chain: Model) -> None:
    system = load_memory_system("ddr3_datasheet")
    profile = energy_of(fused(chain), system)
    read, write = (8 * f.value for f in (system.levels["dram"].read_pj_per_bit, system.levels["dram"].write_pj_per_bit))
    side = len(coded_models.lossless(8).to_bytes())
    assert profile.total.feature_maps_pj == pytest.approx((768 + 1000) * read + (1000 + 1024) * write)
    assert profile.total.weights_pj == pytest.approx(1160 * read)
    assert profile.total.side_information_pj == pytest.approx(4 * side * read)
    assert profile.total.table_lookups_pj == pytest.approx(8 * 2048 * 5.0)
    assert profile.total.transform_pj == 0
    codec = profile.total.side_information_pj + profile.total.table_lookups_pj
    assert profile.total.total_pj(True) - profile.total.total_pj(False) == pytest.approx(codec)
    dram = profile.levels["dram"]
    assert dram.read_bytes == 768 + 1000 + 1160 + 4 * side
    assert dram.written_bytes == 1000 + 1024
    assert dram.energy_pj + profile.total.table_lookups_pj == pytest.approx(profile.total.total_pj(True))
    assert sum(op.total_pj(True) for op in profile.ops) == pytest.approx(profile.total.total_pj(True))


def test_weights_that_are_not_counted(chain: Model) -> None:
    total = energy_of(fused(chain), load_memory_system("paper_ddr3")).total
    assert total.weights_pj is None
    assert total.total_pj(False) == total.feature_maps_pj


def placed(traffic: Traffic, system: MemorySystem) -> dict[str, str]:
    return {tensor.name: level for tensor, level in energy_of(traffic, system).placement.items()}


def test_on_chip_memory_of_every_size(chain: Model) -> None:
    """With no room everything is in DRAM, with enough nothing is; more room never costs energy at a fixed price."""
    traffic, free = fused(chain), load_memory_system("npu_sram_dram", 1 << 20)
    assert set(placed(traffic, load_memory_system("npu_sram_dram", 0)).values()) == {"dram"}
    assert set(placed(traffic, free).values()) == {"sram"}
    spent = []
    for size in (0, 1000, 2000, 3000, 4000, 6000):
        sram = replace(free.levels["sram"], capacity_bytes=size)
        system = replace(free, levels={**free.levels, "sram": sram})
        spent.append(energy_of(traffic, system).total.feature_maps_pj)
    assert spent == sorted(spent, reverse=True)
    assert spent[0] > spent[-1]


def test_lifetimes_decide() -> None:
    """Maps of together 1344 bytes fit into 704, because those that never live together share memory."""
    model = load_model(model_builder.chain((8, 1, 8, 1), size=8))
    traffic = as_executed(model.subgraphs[0], [], {})
    assert sum(traffic.held_bytes.values()) == 192 + 512 + 64 + 512 + 64
    assert set(placed(traffic, load_memory_system("npu_sram_dram", 192 + 512)).values()) == {"sram"}
    levels = placed(traffic, load_memory_system("npu_sram_dram", 192 + 511))
    assert levels["features_0"] == "dram"


def test_a_coded_map_takes_its_capacity(chain: Model) -> None:
    traffic = fused(chain, size=10)
    (first, _) = coded_maps(chain.subgraphs[0])
    assert traffic.held_bytes[first.feature_map] == coded_capacity(first) > 2048
    assert placed(traffic, load_memory_system("npu_sram_dram", 1500))["features_0"] == "dram"


def test_pins_come_first(chain: Model) -> None:
    system = load_memory_system("npu_sram_dram", 1 << 20)
    pinned = replace(system, pins=(Pin(re.compile("features_1"), "dram"),))
    assert placed(fused(chain), pinned)["features_1"] == "dram"
    crowded = replace(load_memory_system("npu_sram_dram", 0), pins=(Pin(re.compile("features_1"), "sram"),))
    levels = placed(fused(chain), crowded)
    assert levels.pop("features_1") == "sram"
    assert set(levels.values()) == {"dram"}

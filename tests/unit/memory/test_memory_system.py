"""Memory systems as data: those of the package, and files of the user's with everything that can be wrong in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmtc_tflite.errors import UsageError
from fmtc_tflite.memory.memory_system import known_memory_systems, load_memory_system

VALID = """
name = "mine"
description = "two levels"
[levels.near]
capacity_bytes = 1000
read_pj_per_bit = { value = 1, source = "a" }
write_pj_per_bit = { value = 2.5, source = "b" }
[levels.far]
read_pj_per_bit = { value = 10, source = "c" }
write_pj_per_bit = { value = 0, source = "d" }
[placement]
feature_maps = ["near", "far"]
weights = "far"
side_information = "near"
[[pins]]
tensor = "conv.*"
level = "far"
"""


def write(folder: Path, text: str) -> str:
    path = folder / "system.toml"
    path.write_text(text)
    return str(path)


def test_the_known_ones() -> None:
    names = ["ddr3_datasheet", "hyperram_mcu", "lpddr4", "npu_sram_dram", "paper_ddr3", "sram_only_mcu"]
    assert known_memory_systems() == names


@pytest.mark.parametrize("name", known_memory_systems())
def test_every_figure_has_a_source(name: str) -> None:
    system = load_memory_system(name)
    assert system.name == name
    figures = [system.multiply_accumulate_pj, system.table_lookup_pj]
    for level in system.levels.values():
        figures += [level.read_pj_per_bit, level.write_pj_per_bit]
    assert all(figure.value > 0 and len(figure.source) > 10 for figure in figures)


def test_a_file(tmp_path: Path) -> None:
    system = load_memory_system(write(tmp_path, VALID))
    assert system.levels["near"].capacity_bytes == 1000
    assert system.levels["near"].write_pj_per_bit.value == 2.5
    assert (system.feature_maps, system.weights, system.side_information) == (("near", "far"), "far", "near")
    assert [(pin.tensor.pattern, pin.level) for pin in system.pins] == [("conv.*", "far")]
    assert load_memory_system(write(tmp_path, VALID), on_chip_bytes=5).levels["near"].capacity_bytes == 5


def test_logic_of_its_own(tmp_path: Path) -> None:
    logic = """
[logic]
multiply_accumulate_pj = { value = 0.1, source = "e" }
table_lookup_pj = { value = 0.2, source = "f" }
"""
    system = load_memory_system(write(tmp_path, VALID + logic))
    assert (system.multiply_accumulate_pj.value, system.table_lookup_pj.value) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("size", "read_pj_per_bit"), [(0, 0.15625), (8192, 0.15625), (8193, 0.3125), (1 << 20, 1.5625), (1 << 24, 1.5625)]
)
def test_a_figure_that_depends_on_the_size(size: int, read_pj_per_bit: float) -> None:
    level = load_memory_system("npu_sram_dram", size).levels["sram"]
    assert level.read_pj_per_bit.value == level.write_pj_per_bit.value == read_pj_per_bit


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (', source = "a"', "", "near: read_pj_per_bit: source is missing"),
        ('source = "a"', 'source = " "', "source is ' ', expected a text"),
        ("value = 10", "value = -10", "far: read_pj_per_bit: value is -10, expected a number that is not negative"),
        ("value = 10", "value = inf", "value is inf"),
        ("value = 10", "value = nan", "value is nan"),
        ("value = 10", "value = true", "value is True"),
        ("value = 10", "value = 'much'", "value is 'much'"),
        ("value = 10, ", "", "far: read_pj_per_bit: value is missing"),
        ('write_pj_per_bit = { value = 0, source = "d" }', "", "far: write_pj_per_bit is missing"),
        ('read_pj_per_bit = { value = 10, source = "c" }', "read_pj_per_bit = 10", "got 10, expected a table"),
        ('read_pj_per_bit = { value = 10, source = "c" }', "read_pj_per_bit = []", "is empty, expected figures"),
        ("capacity_bytes = 1000", "capacity_bytes = -1", "capacity_bytes is -1, expected a whole number of bytes"),
        ("capacity_bytes = 1000", "capacity_bits = 1000", "unknown entry 'capacity_bits'"),
        ('["near", "far"]', '["near"]', "has a capacity; expected one that holds the rest"),
        ('["near", "far"]', "[]", "expected an array of names"),
        ('weights = "far"', 'weights = "flash"', "level 'flash' is not defined; the levels are near, far"),
        ('level = "far"', 'level = "flash"', "level 'flash' is not defined"),
        ('"conv.*"', '"conv("', "is not a regular expression"),
        ('name = "mine"', "", "name is missing"),
        ("[placement]", "[placements]", "placement is missing"),
        ("[[pins]]", "[pins]", "expected an array of tables"),
        ("[levels.near]", "[levels.near", "is not TOML"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in VALID
    with pytest.raises(UsageError) as error:
        load_memory_system(write(tmp_path, VALID.replace(old, new, 1)))
    assert message in str(error.value)
    assert "system.toml" in str(error.value)


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(UsageError, match=r"unknown memory system 'hbm'; choose one of ddr3_datasheet, .*\.toml"):
        load_memory_system("hbm")
    with pytest.raises(UsageError, match="unknown memory system 'logic_45nm'"):
        load_memory_system("logic_45nm")
    with pytest.raises(UsageError, match=r"cannot read the memory system absent\.toml: No such file"):
        load_memory_system("absent.toml")
    with pytest.raises(UsageError, match="0 levels of limited capacity"):
        load_memory_system("lpddr4", on_chip_bytes=1)

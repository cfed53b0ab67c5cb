"""The HTML report's pictures: ticks of one unit, stacks that add up, labels of the largest maps."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fmtc_tflite.profiling import charts
from fmtc_tflite.profiling.charts import Part


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@pytest.mark.parametrize(
    ("largest", "unit", "ticks"),
    [
        (900, "B", ["0", "200", "400", "600", "800"]),
        (164_864, "kB", ["0", "50", "100", "150"]),
        (1_000_000, "MB", ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (2_500_000_000, "GB", ["0", "0.5", "1", "1.5", "2", "2.5"]),
    ],
)
def test_the_ticks_of_a_picture_have_one_unit(largest: int, unit: str, ticks: list[str]) -> None:
    sides = [[(0, [Part("maps", "feature maps", float(largest))])]]
    assert texts(charts.bandwidth_chart(sides, 1))[: len(ticks)] == [*ticks[:-1], f"{ticks[-1]} {unit}"]


def test_what_lies_at_one_op_of_the_original_adds_up() -> None:
    parts = [Part("maps", "feature maps", 100.0), Part("side", "side information", 7.0)]
    svg = charts.bandwidth_chart([[(0, parts), (0, parts), (2, parts)]], 3)
    assert re.findall(r"op (\d) of the original\n([a-z ]+): (\d+) bytes", svg) == [
        ("0", "feature maps", "200"),
        ("0", "side information", "14"),
        ("2", "feature maps", "100"),
        ("2", "side information", "7"),
    ]


def feature_map(name: str, size: int, folded: bool = False) -> dict[str, Any]:
    moved = {"read_bytes": size, "written_bytes": size}
    nothing = {"read_bytes": 0, "written_bytes": 0}
    return {"tensor": name, "is_coded": True, "is_folded": folded, "raw": moved, "fused_codec": nothing}


def test_the_largest_maps_and_folded_ones_are_labelled() -> None:
    maps = [feature_map(f"map{i}", 100 * i, folded=i == 3) for i in range(1, 9)]
    assert charts.largest_maps(maps) == [7, 6, 5, 4, 3]
    svg = charts.traffic_chart(maps)
    assert re.findall(r"<text class=\"strong\"[^>]*>(\d)<", svg) == ["5", "4", "3", "2", "1"]
    assert svg.count('class="folded"') == 1
    assert "map3\nraw 600 bytes read and written\nfolded: not stored" in svg


def test_an_arena_lies_on_the_original_s_ops() -> None:
    """Two ops of the converted graph at one op of the original, and one that no op stands for."""
    ops = [{"live_bytes": live, "original_op": at} for live, at in ((10, 0), (40, 0), (20, 2))]
    tensor = {"tensor": "t", "role": "feature_map", "size_bytes": 40, "offset_bytes": 0, "first_op": 1, "last_op": 2}
    peak = {"op_index": 1, "opcode": "CONV_2D", "live_bytes": 40}
    svg = charts.arena_chart({"ops": ops, "tensors": [tensor], "arena": {"peak": peak}}, 40, 3)
    (bar,) = re.findall(r'<rect class="bar maps" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    (points,) = re.findall(r'points="([^"]*)"', svg)
    levels = [pair.split(",")[1] for pair in points.split()]
    assert levels[0] == levels[1] == levels[2] == levels[3]  # 40 bytes at op 0, and before the next op too
    assert levels[4] > levels[3]
    assert float(bar[0]) == float(points.split(",")[0])
    assert float(bar[1]) == pytest.approx(float(points.split()[-1].split(",")[0]) - float(bar[0]), abs=0.1)

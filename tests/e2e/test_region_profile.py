"""fmtc-profile of models with regions: the original's ops, what is stored, and the pictures of it."""

from __future__ import annotations

import csv
import importlib.resources
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import model_builder
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.errors import UsageError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.profiling import plots
from fmtc_tflite.profiling.html import profile_html
from fmtc_tflite.profiling.model_explorer import node_data
from fmtc_tflite.profiling.options import ProfileOptions
from fmtc_tflite.profiling.session import run_profile
from fmtc_tflite.profiling.text_report import format_profile, profile_csv
from fmtc_tflite.types import ConvertOptions
from report_pages import figures_of_page

PACKAGE = importlib.resources.files("fmtc_tflite")
SCHEMA = json.loads((PACKAGE / "profile_schema.json").read_text())
DEMO = (PACKAGE / "demo" / "demo_int8.tflite").read_bytes()


def converted(content: bytes = DEMO, **options: Any) -> tuple[bytes, dict[str, Any]]:
    result = convert_content(content, ConvertOptions(execution="regions", **options))
    return result.content, result.report


def profile(*contents: bytes, **options: Any) -> dict[str, Any]:
    document = run_profile([(f"m{i}.tflite", content) for i, content in enumerate(contents)], ProfileOptions(**options))
    jsonschema.validate(document, SCHEMA)
    return document


@pytest.fixture(scope="module")
def demo() -> tuple[bytes, dict[str, Any]]:
    return converted(exclude="/conv2d_6/")  # regions with ops between


def test_everything_is_counted_once(demo: tuple[bytes, dict[str, Any]]) -> None:
    """What crosses memory and what stays in rings is what the original moves, op by op."""
    document = profile(DEMO, demo[0])
    original, model = document["models"]
    inside, total = model["inside"], model["totals"]["fused_regions"]
    assert document["traffic_model"] == "fused_regions"
    joined = set(range(len(original["ops"]))) - {op["index"] for op in inside["ops"]}  # padding, in others' windows
    assert {original["ops"][number]["opcode"] for number in joined} <= {"PAD"}
    for key in ("feature_map_read_bytes", "feature_map_written_bytes", "ring_read_bytes", "ring_written_bytes"):
        assert sum(op["fused_regions"][key] for op in inside["ops"]) == total[key]
    for op in inside["ops"]:
        moved, before = op["fused_regions"], original["ops"][op["index"]]["as_executed"]
        for direction in ("read", "written"):
            there = before[f"feature_map_{direction}_bytes"]
            assert moved[f"feature_map_{direction}_bytes"] + moved[f"ring_{direction}_bytes"] == there
        assert moved["weights_read_bytes"] == before["weights_read_bytes"]
        assert (op["region"] is None) == (op["form"] == "outside")
    assert total["feature_map_written_bytes"] == inside["stored_bytes"]
    stored = sum(region["stored_bytes"] for region in model["regions"])
    outside = [op for op in inside["ops"] if op["form"] == "outside"]
    assert inside["stored_bytes"] == stored + sum(op["fused_regions"]["feature_map_written_bytes"] for op in outside)
    assert inside["bits_per_value"] == 8 * inside["stored_bytes"] / inside["original_values"]
    assert 0 < inside["bits_per_value"] < 2
    saved = document["comparison"]["fused_regions"]["feature_map_bytes_saved"]
    assert 0.5 < saved < document["comparison"]["as_executed"]["feature_map_bytes_saved"]


def test_forms_and_memory_are_those_of_the_plan(demo: tuple[bytes, dict[str, Any]]) -> None:
    content, report = demo
    (model,) = profile(content)["models"]
    inside = model["inside"]
    cuts = {cut["tensor"] for region in report["regions"] for cut in region["cuts"]}
    outputs = {name for region in report["regions"] for name in region["outputs"]}
    outside = {entry["tensor"] for entry in report["left_out"]}
    by_form: dict[str, set[str]] = {}
    for op in inside["ops"]:
        by_form.setdefault(op["form"], set()).update(op["outputs"])
    assert by_form["cut"] == cuts - outputs
    assert by_form["output"] == outputs
    assert by_form["outside"] == outside
    assert all(0 < op["rows"] <= op["height"] for op in inside["ops"] if op["form"] == "cut")
    stages = [len({(op["region"], op["stage"]) for op in inside["ops"] if op["region"] == i}) for i in range(3)]
    assert stages == [len(region["stages"]) for region in report["regions"]]
    # The bands fill the arena to the byte, the original's is that of the report, and nothing live is more than planned.
    ends = [band["offset_bytes"] + band["size_bytes"] for band in inside["memory"]]
    planned = model["arena"]["planned_bytes"]
    assert max(ends) <= planned == report["arena"]["converted_planned_bytes"]
    assert planned - max(ends) < 64
    assert inside["original_arena"]["planned_bytes"] == report["arena"]["original_planned_bytes"]
    assert inside["peak"]["live_bytes"] == max(op["live_bytes"] for op in inside["ops"]) <= planned
    peak = inside["ops"][inside["peak"]["run_index"]]
    assert (peak["index"], peak["opcode"]) == (inside["peak"]["op_index"], inside["peak"]["opcode"])
    # While an op runs, what is live is the union of the bands there.
    for number, op in enumerate(inside["ops"]):
        taken = [b for b in inside["memory"] if b["first_op"] <= number <= b["last_op"]]
        union = {byte for b in taken for byte in range(b["offset_bytes"], b["offset_bytes"] + b["size_bytes"])}
        assert len(union) == op["live_bytes"], op["index"]


def test_coded_cuts_count_as_their_segments() -> None:
    content, report = converted(objective="traffic", max_arena=1.2)
    (model,) = profile(content)["models"]
    inside, region = model["inside"], model["regions"][0]
    cuts = {cut["tensor"]: cut for cut in report["regions"][0]["cuts"]}
    coded = {name for name, cut in cuts.items() if "coded_bytes" in cut}
    assert coded
    assert inside["stored_bytes"] < inside["raw_stored_bytes"]
    assert inside["stored_share"] == pytest.approx(report["stored"]["share"], rel=0.1)  # another sample's
    names = [op["op"] for op in region["ops"]]
    assert names.count("ENCODE") == len(coded) <= names.count("DECODE")
    written = [op["written_bytes"] for op in region["ops"] if op["op"] == "ENCODE"]
    by_map = {op["outputs"][0]: op["fused_regions"] for op in inside["ops"] if op["outputs"][0] in coded}
    assert sorted(moved["feature_map_written_bytes"] for moved in by_map.values()) == sorted(written)
    for op in inside["ops"]:
        assert (op["form"] == "cut") == (op["outputs"][0] in cuts)
    reads = sum(op["fused_regions"]["feature_map_read_bytes"] for op in inside["ops"])
    assert reads == model["totals"]["fused_regions"]["feature_map_read_bytes"]
    assert all(moved["energy"]["codec"]["total_pj"] > 0 for moved in by_map.values())
    ends = [band["offset_bytes"] + band["size_bytes"] for band in inside["memory"]]
    assert max(ends) <= model["arena"]["planned_bytes"]


def test_rings_cost_what_their_level_costs(demo: tuple[bytes, dict[str, Any]]) -> None:
    def totals(system: str, **options: Any) -> dict[str, Any]:
        return profile(DEMO, demo[0], memory_system=system, **options)["models"][1]["totals"]["fused_regions"]

    assert "rings_pj" not in totals("lpddr4")["energy"]
    total = totals("sram_only_mcu")
    moved = total["ring_read_bytes"] + total["ring_written_bytes"]
    assert total["energy"]["rings_pj"] == pytest.approx(8 * 1.5625 * moved)
    energy = total["energy"]
    assert energy["total_pj"] == pytest.approx(energy["feature_maps_pj"] + energy["rings_pj"])
    # On chip, rings come before maps: with as much as they take, none of the maps is there.
    scratch = max(region["scratch_bytes"] for region in demo[1]["regions"])
    levels = totals("npu_sram_dram", on_chip_bytes=scratch // 2)["levels"]
    assert levels["sram"]["read_bytes"] >= moved / 2


def test_reshapes_are_other_names() -> None:
    content = model_builder.residual()
    model = profile(converted(content)[0])["models"][0]
    gone = [op for op in model["inside"]["ops"] if op["form"] == "none"]
    assert all(op["opcode"] == "RESHAPE" and op["memory_bytes"] == 0 for op in gone)


def test_html(demo: tuple[bytes, dict[str, Any]]) -> None:
    for contents in ((demo[0],), (DEMO, demo[0])):
        figures_of_page(profile_html(npu := profile(*contents, memory_system="npu_sram_dram")), npu)
        document = profile(*contents)
        page = profile_html(document)
        figures = figures_of_page(page, document)
        last, inside = len(contents) - 1, document["models"][-1]["inside"]
        for key in ("bits_per_value", "peak.live_bytes", "original_arena.planned_bytes"):
            assert f"models.{last}.inside.{key}" in figures
        assert sum(key.startswith(f"models.{last}.inside.ops.") for key in figures) >= 9 * len(inside["ops"])
        for form in ("ring", "cut"):  # each is drawn twice: on the original's scale, and enlarged
            assert page.count(f'class="bar {form}"') == 2 * sum(b["form"] == form for b in inside["memory"])
        assert f"peak: op {inside['peak']['op_index']} {inside['peak']['opcode']}" in page
        assert f"peak: op {inside['original_arena']['peak']['op_index']}" in page


def test_text_csv_and_model_explorer(demo: tuple[bytes, dict[str, Any]]) -> None:
    document = profile(DEMO, demo[0])
    inside = document["models"][1]["inside"]
    text = format_profile(document)
    assert "converted, fused_regions" in text
    assert f"{inside['bits_per_value']:.3f} bits per original value" in text
    assert "in rings" in text
    rows = list(csv.DictReader(io.StringIO(profile_csv(document))))
    assert [int(row["op_index"]) for row in rows] == [op["index"] for op in inside["ops"]]
    written = sum(float(row["fused_regions_ring_written_bytes"]) for row in rows)
    assert written == document["models"][1]["totals"]["fused_regions"]["ring_written_bytes"]
    assert len(node_data(document)["results"]) == len(inside["ops"])
    assert "as_executed_total_pj" in profile_csv(profile(DEMO, demo[0], traffic_model="as_executed"))


@pytest.mark.extras
def test_plots(demo: tuple[bytes, dict[str, Any]]) -> None:
    pytest.importorskip("matplotlib")
    pictures = plots.draw(profile(demo[0], memory_system="sram_only_mcu"))
    assert tuple(pictures) == plots.PICTURES
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())


def test_without_the_original(demo: tuple[bytes, dict[str, Any]]) -> None:
    """A file that does not give its original back is profiled as it is."""
    model = load_model(demo[0])
    del model.metadata["fmtc_regions"]
    document = profile(model.to_bytes())
    (found,) = document["models"]
    assert document["traffic_model"] == "fused_codec"
    assert "inside" not in found
    assert "fused_regions" not in found["totals"]
    assert any("what is inside regions is not counted" in note for note in found["notes"])
    for content in (model.to_bytes(), DEMO):
        with pytest.raises(UsageError, match="--traffic_model fused_regions: "):
            profile(content, traffic_model="fused_regions")


def test_models_without_regions_are_profiled_as_ever() -> None:
    document = profile(DEMO)
    assert document["traffic_model"] == "fused_codec"
    assert set(document["models"][0]["totals"]) == {"as_executed", "fused_codec"}
    assert "rings" not in document["memory_system"]
    assert "rings" not in format_profile(document)


def test_the_tool(demo: tuple[bytes, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(DEMO)
    (tmp_path / "regions.tflite").write_bytes(demo[0])
    command = [str(Path(sys.executable).parent / "fmtc-profile"), "model.tflite", "--compare", "regions.tflite"]
    command += ["--html", "report.html", "--json", "profile.json", "--csv", "ops.csv"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    document = json.loads((tmp_path / "profile.json").read_text())
    jsonschema.validate(document, SCHEMA)
    figures_of_page((tmp_path / "report.html").read_text(), document)
    assert "bits per original value" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_96_vww_int8", "ds_cnn_kws_int8", "tinyengine_vww"])
def test_real_models(real_data: Path, name: str) -> None:
    content = (real_data / "models" / f"{name}.tflite").read_bytes()
    regions, report = converted(content)
    document = profile(content, regions)
    original, model = document["models"]
    inside = model["inside"]
    joined = set(range(len(original["ops"]))) - {op["index"] for op in inside["ops"]}  # padding, in others' windows
    assert {original["ops"][number]["opcode"] for number in joined} <= {"PAD"}
    assert model["arena"]["planned_bytes"] == model["arena"]["live_extent_bytes"]
    assert inside["original_arena"]["planned_bytes"] == report["arena"]["original_planned_bytes"]
    figures_of_page(profile_html(document), document)

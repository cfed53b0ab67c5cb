"""--recipe with --execution regions: what it decides, the recipe of a plan, and what bad ones get."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import model_builder
from fmtc_tflite.api import convert
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.types import ConvertOptions

PACKAGE = importlib.resources.files("fmtc_tflite")
SCHEMA = json.loads((PACKAGE / "report_schema.json").read_text())
DEMO = (PACKAGE / "demo" / "demo_int8.tflite").read_bytes()


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "fmtc-convert"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def plan(content: bytes, recipe: Any = None) -> dict[str, Any]:
    """The report of a conversion that succeeds."""
    if recipe is not None:
        Path("recipe.json").write_text(json.dumps(recipe))
    path = None if recipe is None else Path("recipe.json")
    report = convert_content(content, ConvertOptions(execution="regions", recipe=path)).report
    jsonschema.validate(report, SCHEMA)
    return report


def cuts(report: dict[str, Any]) -> list[str]:
    return [cut["tensor"] for region in report["regions"] for cut in region["cuts"]]


def test_a_cut_is_stored_whole() -> None:
    free = plan(DEMO)
    inner = [r for r in ("/conv2d_3/", "/conv2d_6/", "/add/add") if not any(r in name for name in cuts(free))]
    assert inner
    forced = plan(DEMO, {"cut": [inner[0]]})
    assert any(inner[0] in name for name in cuts(forced))
    assert forced["fidelity"]["bit_exact"]
    assert plan(DEMO, {"cut": [], "outside": []}) == free
    assert plan(DEMO, {}) == free


def test_a_cut_behind_a_reshape_is_what_it_reshapes() -> None:
    content = model_builder.residual()
    names = cuts(plan(content, {"cut": ["op:1"]}))
    assert names.count("stem") == 1


def test_ops_outside() -> None:
    report = plan(DEMO, {"outside": ["/conv2d_4/", "op:0"]})
    reasons = {entry["tensor"]: entry["reason"] for entry in report["left_out"]}
    outside = [name for name, reason in reasons.items() if reason == "left outside by the recipe"]
    assert len(outside) == 2
    assert sum("/conv2d_4/" in name for name in outside) == 1
    assert any("SOFTMAX" in reason for reason in reasons.values())


@pytest.mark.parametrize("first", [None, {"cut": ["add/add"]}, {"outside": ["/conv2d_4/"], "cut": ["/conv2d_9/"]}])
def test_the_report_s_recipe_gives_the_plan_again(first: dict[str, Any] | None, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(DEMO)
    report = plan(DEMO, first)
    again = plan(DEMO, report["recipe"])
    assert again["recipe"] == report["recipe"]
    assert again["regions"] == report["regions"]
    assert again["arena"] == report["arena"]
    (tmp_path / "report.json").write_text(json.dumps(report))  # the report itself will do as well
    options = ConvertOptions(execution="regions", recipe=tmp_path / "report.json")
    assert convert(tmp_path / "model.tflite", options=options, dry_run=True).report["regions"] == report["regions"]


@pytest.mark.parametrize(
    ("recipe", "texts"),
    [
        ({"cut": ["conv2d_99"]}, ["cut: 'conv2d_99' selects no op", "the nearest are 'demo/"]),
        ({"outside": ["["]}, ["outside: '[' is not a regular expression"]),
        ({"outside": ["op:22"]}, ["'op:22' selects no op; the ops are op:0 to op:21"]),
        ({"cut": "add"}, ["cut is 'add', expected a list"]),
        ({"cut": [3]}, ["expected a list of selectors"]),
        ({"cuts": []}, ['expected {"cut": [...], "outside": [...]} for regions, or']),
        ([], ["for regions, or"]),
        ({"sites": []}, ["'sites' are for --execution ops"]),
    ],
)
def test_bad_recipes(recipe: Any, texts: list[str], tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(DEMO)
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    result = run("model.tflite", "--execution", "regions", "--recipe", "recipe.json")
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: recipe recipe.json")
    for text in texts:
        assert text in line
    assert {path.name for path in tmp_path.iterdir()} == {"model.tflite", "recipe.json"}


def test_a_recipe_of_regions_codes_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(DEMO)
    (tmp_path / "recipe.json").write_text('{"outside": ["add"]}')
    result = run("model.tflite", "--execution", "ops", "--recipe", "recipe.json")
    assert result.returncode == 2
    assert "'cut' and 'outside' are for --execution regions" in result.stderr
    result = run("model.tflite", "--execution", "regions", "--recipe", "absent.json")
    assert result.returncode == 2
    assert "recipe absent.json" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_96_vww_int8", "resnet8_cifar10_int8", "tinyengine_vww"])
def test_plans_of_real_models_again(real_data: Path, name: str) -> None:
    content = (real_data / "models" / f"{name}.tflite").read_bytes()
    report = plan(content)
    again = plan(content, report["recipe"])
    assert (again["recipe"], again["regions"]) == (report["recipe"], report["regions"])

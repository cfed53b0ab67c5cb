"""Which options get regions, and which get coded feature maps, where nobody says it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import model_builder
from fmtc_tflite.api import convert
from fmtc_tflite.comparison.options import ComparisonOptions
from fmtc_tflite.conversion.execution import with_execution
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.errors import NothingToDoError, RecipeError, UnsupportedModelError, UsageError
from fmtc_tflite.types import CalibrationOptions, ConvertOptions, EvaluateOptions

DATA = Path("samples.npz")
STORE = CalibrationOptions(data=DATA, store=Path("store.npz"))
BEAM = CalibrationOptions(data=DATA, store=Path("store.npz"), beam=())
CODES: dict[str, dict[str, Any]] = {
    "max_kl": {"max_kl": 0.1},
    "max_bits_per_value": {"max_bits_per_value": 3.0},
    "max_accuracy_drop": {"max_accuracy_drop": 0.01},
    "objective": {"objective": "traffic"},
    "preset": {"preset": "paper"},
    "paper_bits": {"paper_bits": 8.0},
    "capacity_percentile": {"capacity_percentile": 99.0},
    "capacity_margin": {"capacity_margin": 1.2},
    "store": {"calibration": STORE},
    "beam": {"calibration": BEAM},
    "disable": {"disable": frozenset({"prediction"})},
    "refit": {"refit": True, "calibration": CalibrationOptions(data=DATA)},
    "a bound and the arena": {"max_kl": 0.1, "objective": "arena"},
}
FUSES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "data": {"calibration": CalibrationOptions(data=DATA)},
    "lossless": {"calibration": CalibrationOptions(data=DATA), "lossless": True},
    "the arena": {"objective": "arena"},
    "a filter": {"include": "conv", "exclude": "op:1"},
    "kernels": {"kernels": "builtin"},
    "runtime": {"runtime": "ai_edge_litert"},
    "output_kind": {"output_kind": "logits"},
    "threads": {"num_threads": 2},
}


@pytest.mark.parametrize("name", CODES)
def test_who_asks_for_traffic_or_loss_gets_coded_maps(name: str) -> None:
    assert with_execution(ConvertOptions(**CODES[name])).execution == "ops"
    assert with_execution(ConvertOptions(execution="regions", **CODES[name])).execution == "regions"


@pytest.mark.parametrize("name", FUSES)
def test_all_others_get_regions(name: str) -> None:
    assert with_execution(ConvertOptions(**FUSES[name])).execution == "regions"
    assert with_execution(ConvertOptions(execution="ops", **FUSES[name])).execution == "ops"


@pytest.mark.parametrize("name", ["max_kl", "max_bits_per_value", "max_accuracy_drop", "preset", "store", "refit"])
def test_regions_refuse_what_has_no_meaning_for_them(name: str) -> None:
    with pytest.raises(UsageError, match=r"--execution regions"):
        convert_content(model_builder.chain(), ConvertOptions(execution="regions", **CODES[name]))


def test_a_runtime_and_a_bound_contradict_each_other() -> None:
    options = ConvertOptions(calibration=CalibrationOptions(data=DATA), runtime="ai_edge_litert", max_kl=0.1)
    with pytest.raises(UsageError, match="--runtime ai_edge_litert belongs to --execution regions"):
        convert_content(model_builder.chain(), options)


@pytest.mark.parametrize(
    ("text", "execution"),
    [
        ('{"sites": []}', "ops"),
        ('{"cut": []}', "regions"),
        ('{"execution": "regions", "recipe": {}}', "regions"),
        ("[]", "regions"),
        ("{", "regions"),
    ],
)
def test_a_recipe_tells_by_its_form(tmp_path: Path, text: str, execution: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(text)
    assert with_execution(ConvertOptions(recipe=path)).execution == execution


def test_a_recipe_of_no_form_names_both(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text("[]")
    with pytest.raises(RecipeError, match=r'recipe.json: expected \{"cut".*for regions, or \{"sites"'):
        convert_content(model_builder.chain(), ConvertOptions(recipe=path))
    with pytest.raises(RecipeError, match=r"absent\.json"):
        convert_content(model_builder.chain(), ConvertOptions(recipe=tmp_path / "absent.json"))


def test_a_pipe_is_read_only_once(tmp_path: Path) -> None:
    """It is taken for a recipe of the codec, as what it holds is not known before."""
    reading, writing = os.pipe()
    os.write(writing, json.dumps({"sites": [{"tensor": "", "transform": "lossless"}]}).encode())
    os.close(writing)
    options = ConvertOptions(recipe=Path(f"/dev/fd/{reading}"))
    try:
        report = convert_content(model_builder.chain(), options).report
    finally:
        os.close(reading)
    assert {site["decision"] for site in report["sites"]} == {"coded"}


def test_python_has_the_same_default(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(model_builder.chain())
    report = convert(path, dry_run=True).report
    assert report["execution"] == "regions"
    assert report["data"] == "synthetic"
    assert report["fidelity"]["bit_exact"]


def test_comparisons_code(tmp_path: Path) -> None:
    options = ComparisonOptions(CalibrationOptions(data=DATA), EvaluateOptions(data=DATA), ablation=True)
    assert {point.apply(options.convert_options).execution for point in options.points()} == {"ops"}


def test_nothing_worth_fusing_tells_what_could_be_coded() -> None:
    content = model_builder.softmaxes()
    with pytest.raises(
        NothingToDoError, match=r"do not compute SOFTMAX; --execution ops codes .* smaller: 1 candidate$"
    ):
        convert_content(content, ConvertOptions())
    (site,) = convert_content(content, ConvertOptions(execution="ops")).report["sites"]
    assert site["decision"] == "coded"
    with pytest.raises(NothingToDoError) as error:
        convert_content(content, ConvertOptions(exclude="."))
    assert "--execution" not in str(error.value)


@pytest.mark.parametrize(
    ("dtype", "message"), [("FLOAT32", "computes in floating point .* quantize it"), ("INT16", "int16 activations")]
)
def test_models_that_have_to_be_quantized_first(dtype: str, message: str) -> None:
    builder = model_builder.ModelBuilder()
    graph = builder.graph()
    scale = {"scale": 0.1} if dtype == "INT16" else {}
    x = graph.input("x", [1, 8, 8, 3], dtype, **scale)
    for name in ("a", "b"):
        y = graph.tensor(name, [1, 8, 8, 3], dtype, **scale)
        graph.op("L2_NORMALIZATION", [x], [y])
        x = y
    graph.output(x)
    for execution in ("auto", "ops"):
        with pytest.raises(UnsupportedModelError, match=message):
            convert_content(builder.build(), ConvertOptions(execution=execution))  # type: ignore[arg-type]


def test_entries_of_a_recipe_that_decide_nothing(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    for tensor, message in (
        ("type:CONV_2D", "type:CONV_2D decides nothing, as earlier entries match the same feature maps; put it before"),
        ("misspelt", "no feature map matches misspelt; --dry_run lists them"),
        ("op:99", "no feature map matches op:99; --dry_run lists them"),
    ):
        entries = [{"tensor": "type:*", "transform": "lossless"}, {"tensor": tensor, "transform": "skip"}]
        path.write_text(json.dumps({"sites": entries}))
        with pytest.raises(RecipeError, match=message):
            convert_content(model_builder.chain(), ConvertOptions(recipe=path))

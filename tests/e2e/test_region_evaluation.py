"""fmtc-eval of models with regions: nothing differs, whatever the tools look at."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite.conversion import region_plans
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.evaluation.measurement import Layout
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.runtime.interpreter import default_kernels
from fmtc_tflite.types import ConvertOptions
from model_builder import ModelBuilder

PACKAGE = importlib.resources.files("fmtc_tflite")
SCHEMA = json.loads((PACKAGE / "evaluation_schema.json").read_text())
DEMO = (PACKAGE / "demo" / "demo_int8.tflite").read_bytes()


def evaluate(*arguments: str | Path) -> tuple[str, dict[str, Any]]:
    """Text and JSON of an evaluation that succeeds."""
    pair = ("--model_file", "regions.tflite", "--reference_model_file", "model.tflite")
    command = [str(Path(sys.executable).parent / "fmtc-eval"), *pair, *map(str, arguments)]
    command += ["--json", "result.json", "--overwrite"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    document = json.loads(Path("result.json").read_text())
    jsonschema.validate(document, SCHEMA)
    return result.stdout, document


def write_pair(content: bytes) -> dict[str, Any]:
    """Writes a model and the one with regions; returns the report."""
    result = convert_content(content, ConvertOptions(execution="regions"))
    Path("model.tflite").write_bytes(content)
    Path("regions.tflite").write_bytes(result.content)
    return result.report


def test_nothing_differs_and_workers_do_not_matter() -> None:
    write_pair(DEMO)
    Path("samples.npz").write_bytes((PACKAGE / "demo" / "demo_samples.npz").read_bytes())
    text, one = evaluate("--data", "samples.npz", "--num_samples", "80")
    _, two = evaluate("--data", "samples.npz", "--num_samples", "80", "--num_workers", "2")
    comparison = one["comparison"]
    assert comparison["bit_exact"]
    assert comparison["fidelity"]["kl_mean_nats"] == 0
    assert comparison["fidelity"]["top1_agreement"] == 1
    assert comparison["fidelity"]["source_tensor"] == two["comparison"]["fidelity"]["source_tensor"]
    assert comparison["accuracy"]["top1_difference"] == 0
    assert one["model"]["accuracy"] == one["reference_model"]["accuracy"] == two["model"]["accuracy"]
    assert one["model"]["accuracy"]["top1"] >= 0.9
    assert one["model"]["coded"] is None
    assert all(one["timing"]["latency"][key]["median_ms"] > 0 for key in ("model", "reference_model"))
    assert comparison == two["comparison"]
    assert f"kernels         {default_kernels()}, whose results the model's regions or folded maps give" in text
    assert "bit-exact on all samples" in text


def behind_softmax() -> bytes:
    """Class scores of each pixel through a SOFTMAX, requantized twice behind it: a region that hides the SOFTMAX."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 16, 16, 3]), 8, 3, activation="RELU", name="stem", zero_point=-128)
    logits = graph.conv(x, 6, 3, name="logits", scale=0.2)
    scores = graph.tensor("scores", logits.shape, scale=1 / 256, zero_point=-128)
    graph.op("SOFTMAX", [logits], [scores], schema.SoftmaxOptionsT(beta=1.0), version=2)
    coarse = graph.quantize(scores, name="coarse", scale=1 / 128, zero_point=-128)
    graph.output(graph.quantize(coarse, "UINT8", name="probabilities", scale=1 / 128, zero_point=0))
    return builder.build()


def test_a_softmax_before_a_region_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its input is compared in both models, not probabilities of one with logits of the other."""
    # Two ops in a row save no memory; the planner is made to think so.
    monkeypatch.setattr(region_plans, "_arena_after", lambda *_: 0)
    monkeypatch.setattr(region_plans, "_without_harmful", lambda _, choices: (choices, []))
    content = behind_softmax()
    report = write_pair(content)
    behind = [region for region in report["regions"] if "scores" in region["inputs"]]
    assert behind
    model = load_model(Path("regions.tflite").read_bytes())
    layout = Layout.of(model, "auto")
    assert [source.tensor.name for source in layout.sources] == ["logits"]
    assert layout.sources[0].tensor in model.subgraphs[0].tensors
    np.save("samples.npy", np.random.default_rng(0).integers(-128, 128, (5, 16, 16, 3)).astype(np.int8))
    _, document = evaluate("--data", "samples.npy")
    assert document["comparison"]["fidelity"]["source_tensor"] == "logits"
    assert document["comparison"]["fidelity"]["kl_mean_nats"] == 0
    del model.metadata["fmtc_regions"]  # without restore data, the outputs themselves are compared
    assert [source.tensor.name for source in Layout.of(model, "auto").sources] == ["probabilities"]


def test_regions_of_two_kernel_sets_are_not_compared() -> None:
    write_pair(DEMO)
    other = convert_content(DEMO, ConvertOptions(execution="regions", kernels="reference")).content
    Path("model.tflite").write_bytes(other)
    np.save("samples.npy", np.zeros((1, 32, 32, 1), np.int8))
    with pytest.raises(AssertionError, match="regions give the results of the kernels"):
        evaluate("--data", "samples.npy")

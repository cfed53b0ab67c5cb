"""Profiles without data: documents, what is recognised, what is refused, and the files that are written."""

from __future__ import annotations

import csv
import importlib.resources
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import coded_models
import model_builder
from fmtc_tflite.errors import ModelFormatError, RuntimeLibraryError, UnsupportedModelError, UsageError
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.names import METADATA_NAME
from fmtc_tflite.profiling import plots
from fmtc_tflite.profiling.html import profile_html
from fmtc_tflite.profiling.model_explorer import node_data
from fmtc_tflite.profiling.options import ProfileOptions
from fmtc_tflite.profiling.session import run_profile
from fmtc_tflite.profiling.text_report import format_profile, profile_csv
from fmtc_tflite.rendering import check_available
from fmtc_tflite.runtime import checked
from model_builder import ModelBuilder
from report_pages import figures_of_page

SCHEMA = json.loads((importlib.resources.files("fmtc_tflite") / "profile_schema.json").read_text())


@pytest.fixture(autouse=True)
def _without_native_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Static profiles need no library; a converted model's live arena does, and says so."""

    def load(**options: Any) -> Any:
        if options["attach_delegate"]:
            raise RuntimeLibraryError("the native library is missing")
        return original(**options)

    original = checked.load_interpreter
    monkeypatch.setattr(checked, "load_interpreter", load)


def profile(*contents: bytes, **options: Any) -> dict[str, Any]:
    document = run_profile([(f"m{i}.tflite", content) for i, content in enumerate(contents)], ProfileOptions(**options))
    jsonschema.validate(document, SCHEMA)
    return document


def converted(content: bytes, metadata: dict[str, Any] | None = None) -> bytes:
    model = coded_models.converted(content)
    if metadata is not None:
        model.metadata[METADATA_NAME] = json.dumps(metadata).encode()
    return model.to_bytes()


def report(*names: str, sha256: str = "") -> dict[str, Any]:
    """What fmtc-convert leaves in a model, as far as a profile reads it."""
    size = {"mean": 600.5, "p50": 600, "p99": None, "max": 650, "num_samples": 20}
    return {
        "model": {"sha256": sha256},
        "sites": [{"tensor": name, "subgraph": 0, "coded_bytes": size} for name in names],
        "totals": {"coded_bytes": {**size, "mean": 1201.0}},
    }


@pytest.mark.parametrize(
    "content", [model_builder.chain(), model_builder.residual(), model_builder.with_control_flow()]
)
def test_any_model(content: bytes) -> None:
    document = profile(content)
    (model,) = document["models"]
    assert model["arena"]["live_extent_bytes"] == model["arena"]["planned_with_kernel_scratch_bytes"]
    assert model["arena"]["difference_explained"] is None
    assert model["totals"]["as_executed"] == model["totals"]["fused_codec"]
    for name, total in model["totals"].items():
        for key in ("feature_map_read_bytes", "feature_map_written_bytes", "weights_read_bytes"):
            assert sum(op[name][key] for op in model["ops"]) == total[key]
    moved = sum(m["raw"]["read_bytes"] for m in model["feature_maps"])
    assert moved == model["totals"]["as_executed"]["feature_map_read_bytes"]
    assert max(op["live_bytes"] for op in model["ops"]) == model["arena"]["peak"]["live_bytes"]


def test_a_float_model() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 8, 8, 3], "FLOAT32")
    result = graph.tensor("y", [1, 8, 8, 3], "FLOAT32")
    graph.op("ADD", [x, x], [result], schema.AddOptionsT())
    graph.output(result)
    document = profile(builder.build())
    assert document["models"][0]["totals"]["as_executed"]["feature_map_written_bytes"] == 8 * 8 * 3 * 4
    assert document["schemes"][0]["bits_per_value"] is None


def test_coded_sizes_come_from_the_metadata_and_the_output_says_so() -> None:
    content = converted(model_builder.chain(), report("features_0", "features_1"))
    document = profile(content)
    sizes = document["models"][0]["coded_sizes"]
    assert sizes["basis"] == "metadata"
    assert sizes["coded_bytes"]["mean"] == 1201
    coded = {m["tensor"]: m for m in document["models"][0]["feature_maps"]}
    assert coded["features_0"]["coded_bytes"]["max"] == 650
    assert coded["features_0"]["bits_per_value"] == 8 * 600.5 / 2048
    assert document["models"][0]["totals"]["fused_codec"]["feature_map_written_bytes"] == 2 * 600.5 + 1024
    assert "from the model's fmtc_conversion metadata" in format_profile(document)
    assert document["models"][0]["arena"]["live_unavailable"] == "the native library is missing"
    assert "not measured: the native library is missing" in format_profile(document)


@pytest.mark.parametrize("metadata", [None, {}, {"sites": []}, report("features_0")])
def test_without_sizes_the_capacity_bounds_them(metadata: dict[str, Any] | None) -> None:
    document = profile(converted(model_builder.chain(), metadata))
    assert document["models"][0]["coded_sizes"]["basis"] == "capacity"
    assert "upper bound" in format_profile(document)
    ours = document["schemes"][-1]
    assert ours["scheme"] == "fmtc"
    assert ours["bits_per_value"] > 8


def _sites(coded_bytes: object) -> bytes:
    return json.dumps({"sites": [{"tensor": "features_0", "coded_bytes": coded_bytes}]}).encode()


SIZE = {"mean": 600.5, "p50": 600, "p99": None, "max": 650, "num_samples": 20}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (b"\xff{", "not of the form"),
        (b"[" * 200_000, "RecursionError"),
        (b"[]", "the report is a list, expected a dict"),
        (b'{"sites": 7}', "sites is a int"),
        (b'{"sites": [7]}', "a site is a int"),
        (b'{"sites": [{}]}', None),
        (b'{"model": {"sha256": 1}}', "sha256 is a int"),
        (b'{"totals": []}', "totals is a list"),
        (b'{"totals": {"coded_bytes": {}}}', "coded_bytes has mean None"),
        (_sites(SIZE), None),
        (_sites([1]), "coded_bytes is a list"),
        (_sites({**SIZE, "mean": "600"}), "coded_bytes has mean '600', expected a number of bytes"),
        (_sites({**SIZE, "mean": -1}), "coded_bytes has mean -1"),
        (_sites({**SIZE, "max": float("nan")}), "coded_bytes has max nan"),
        (_sites({**SIZE, "num_samples": True}), "coded_bytes has num_samples True"),
    ],
)
def test_damaged_metadata(metadata: bytes, message: str | None) -> None:
    model = coded_models.converted(model_builder.chain())
    model.metadata[METADATA_NAME] = metadata
    if message is None:
        assert profile(model.to_bytes())["models"][0]["coded_sizes"]["basis"] == "capacity"
        return
    with pytest.raises(ModelFormatError, match="metadata 'fmtc_conversion' is damaged: .*" + message):
        profile(model.to_bytes())


def test_side_information_of_another_map() -> None:
    model = coded_models.converted(model_builder.chain((8, 4, 8)))
    encoders = [op for op in model.subgraphs[0].ops if op.opcode == "FMTC_ENCODE"]
    for op in model.subgraphs[0].ops:
        if op.opcode.startswith("FMTC_"):
            op.inputs[1] = encoders[0].inputs[1]
    with pytest.raises(ModelFormatError, match="describes a feature map of 8 channels, 'features_1' has 4"):
        profile(model.to_bytes())


def test_damaged_side_information() -> None:
    model = coded_models.converted(model_builder.chain())
    side = next(op for op in model.subgraphs[0].ops if op.opcode == "FMTC_ENCODE").inputs[1]
    assert side is not None
    side.buffer.data = np.zeros_like(side.data)
    with pytest.raises(ModelFormatError, match=f"tensor '{side.name}': side information"):
        profile(model.to_bytes())


def test_codec_cost_can_be_left_out() -> None:
    content = converted(model_builder.chain(), report("features_0", "features_1"))
    shown = [format_profile(profile(content, codec_cost=cost)) for cost in (True, False)]
    assert "totals include the codec's own cost" in shown[0]
    assert "totals leave the codec's own cost out" in shown[1]
    assert shown[0] != shown[1]


def test_a_pair_is_recognised_by_its_sha256() -> None:
    original = model_builder.chain()
    sha256 = profile(original)["models"][0]["sha256"]
    document = profile(original, converted(original, report("features_0", "features_1", sha256=sha256)))
    assert "sha256" in document["comparison"]["recognised_by"]
    fused, executed = document["comparison"]["fused_codec"], document["comparison"]["as_executed"]
    assert executed["feature_map_bytes_saved"] < 0 < fused["feature_map_bytes_saved"]
    assert fused["feature_map_energy_saved_with_codec_cost"] < fused["feature_map_energy_saved"]
    assert document["comparison"]["planned_arena_bytes_saved"] < 0


def test_a_pair_is_recognised_by_its_graph() -> None:
    original = model_builder.residual()
    document = profile(original, converted(original))
    assert "equal graph" in document["comparison"]["recognised_by"]


def test_pairs_that_do_not_belong_together() -> None:
    original, other = model_builder.chain(), model_builder.chain((8, 8, 6))
    with pytest.raises(UsageError, match=r"do not belong together.*without the codec's ops it is another model"):
        profile(other, converted(original, report("features_0", "features_1", sha256="0" * 64)))
    with pytest.raises(UsageError, match="has no FMTC_ENCODE, FMTC_DECODE or FMTC_REGION op"):
        profile(original, original)
    with pytest.raises(UsageError, match="is converted itself"):
        profile(converted(original), converted(original))


def test_dynamic_shapes() -> None:
    def model(signature: list[int]) -> bytes:
        builder = ModelBuilder()
        graph = builder.graph()
        graph.output(graph.conv(graph.input("x", [1, 8, 8, 3], signature=signature), 4, signature=signature[:3] + [4]))
        return builder.build()

    (found,) = profile(model([-1, 8, 8, 3]))["models"]
    assert found["notes"] == ["input 'x' has any batch size; profiled with 1"]
    with pytest.raises(
        UnsupportedModelError, match=r"input 'x' has the open shape 1,\?,\?,3, on .* --input_shape 'x:1,\?,\?,3'"
    ):
        profile(model([1, -1, -1, 3]))


def test_control_flow_is_not_counted_and_the_output_says_so() -> None:
    (model,) = profile(model_builder.with_control_flow())["models"]
    assert "2 more subgraphs are not counted" in model["notes"][0]


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["one", "two"])
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    original = model_builder.residual()
    coded = converted(original)
    return profile(original, coded) if request.param == "two" else profile(coded, memory_system="npu_sram_dram")


def test_csv(document: dict[str, Any]) -> None:
    model = document["models"][-1]
    rows = list(csv.DictReader(io.StringIO(profile_csv(document))))
    assert [row["opcode"] for row in rows] == [op["opcode"] for op in model["ops"]]
    units = ("_bytes", "_pj", "_value")
    assert all(name.endswith(units) for name in rows[0] if name not in ("op_index", "opcode", "output"))
    written = sum(float(row["fused_codec_feature_map_written_bytes"]) for row in rows)
    assert written == pytest.approx(model["totals"]["fused_codec"]["feature_map_written_bytes"])
    energy = sum(float(row["as_executed_total_pj"]) for row in rows)
    assert energy == pytest.approx(model["totals"]["as_executed"]["energy"]["total_pj"])


def test_model_explorer(document: dict[str, Any]) -> None:
    data = node_data(document)
    names = {t.name for t in load_model(converted(model_builder.residual())).subgraphs[0].tensors}
    assert data["results"].keys() <= names
    assert all(isinstance(result["value"], float) for result in data["results"].values())
    assert [item["stop"] for item in data["gradient"]][:: len(data["gradient"]) - 1] == [0, 1]
    total = document["models"][-1]["totals"]["fused_codec"]["energy"]["total_pj"]
    assert sum(r["value"] for r in data["results"].values()) == pytest.approx(total / 1e3, abs=0.001 * len(names))


def test_html_shows_what_the_json_says_and_needs_no_network(document: dict[str, Any]) -> None:
    assert len(figures_of_page(profile_html(document), document)) > 100


def test_names_are_escaped() -> None:
    model = load_model(model_builder.chain())
    for tensor in model.subgraphs[0].tensors:
        tensor.name = f"<script>&{tensor.name}$x"
    page = profile_html(profile(model.to_bytes()))
    assert page.count("<script>") == 1
    assert "&lt;script&gt;&amp;features_0$x" in page


@pytest.mark.extras
def test_plots(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    pictures = plots.draw(document)
    assert tuple(pictures) == plots.PICTURES
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())


def test_plots_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs matplotlib.*pip install matplotlib"):
        check_available()


# --- real models ------------------------------------------------------------------------------------------------------

MODELS = [
    "autoencoder_ad01_int8",
    "deeplabv3_mnv2_pascal_uint8",
    "ds_cnn_kws_int8",
    "mobilenet_v1_0.25_96_vww_int8",
    "mobilenet_v2_1.0_224_int8",
    "resnet18_cifar10_64_int8",
    "resnet56_cifar10_int8",
    "resnet8_cifar10_int8",
]


@pytest.mark.parametrize("name", MODELS)
def test_planned_and_live_arena_agree(name: str, real_data: Path) -> None:
    (model,) = profile((real_data / "models" / f"{name}.tflite").read_bytes())["models"]
    arena = model["arena"]
    assert arena["live_extent_bytes"] == pytest.approx(arena["planned_with_kernel_scratch_bytes"], rel=0.02)
    assert arena["difference_explained"] is None

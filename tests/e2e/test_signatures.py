"""Models with several signatures: each is measured on its own inputs, or its maps are left alone and reports say so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fmtc_tflite import api
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.conversion.text_report import format_report
from fmtc_tflite.graph.coded_maps import coded_maps, is_codec_op
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.profiling.options import ProfileOptions
from fmtc_tflite.profiling.text_report import format_profile
from fmtc_tflite.runtime.interpreter import load_interpreter
from fmtc_tflite.types import CalibrationOptions, ConvertOptions, EvaluateOptions
from model_builder import GraphBuilder, ModelBuilder, Ref

BIN = Path(sys.executable).parent
SIZES = {"detect": ("image", 16), "embed": ("crop", 12)}


def body(graph: GraphBuilder, x: Ref, name: str) -> Ref:
    for number, channels in enumerate((16, 16)):
        name_of = f"{name}/map{number}" if number else "map0"  # the same name in both subgraphs
        x = graph.conv(x, channels, 3, 1, "RELU", name=name_of, scale=x.scale * 6, zero_point=-128)
    return x


def two_signatures() -> bytes:
    """'detect' gives class scores of [1, 16, 16, 3] images, 'embed' a map of [1, 12, 12, 3] crops."""
    builder = ModelBuilder(seed=1)
    for key, (name, size) in SIZES.items():
        graph = builder.graph(key)
        x = graph.input(f"{key}_{name}:0", [1, size, size, 3], scale=1 / 64)
        y = body(graph, x, key)
        y = graph.conv(y, 8, 3, name=f"{key}/end", scale=y.scale * 6)
        if key == "detect":
            pooled = graph.tensor("scores", [1, 8], scale=y.scale / 4)
            axes = graph.constant("axes", np.array([1, 2], np.int32), 0)
            graph.op("MEAN", [y, axes], [pooled], schema.ReducerOptionsT())
            y = pooled
        builder.signature(key, graph, {name: x}, {"y": graph.output(y)})
    return builder.build()


def smooth(size: int, count: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(count, size, size, 3)).cumsum(1).cumsum(2)
    return np.clip(np.round(noise / np.abs(noise).max((1, 2, 3), keepdims=True) * 120), -128, 127).astype(np.int8)


DATA = {name: smooth(size, 24, seed) for seed, (name, size) in enumerate(SIZES.values())}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.tflite").write_bytes(two_signatures())
    np.savez("both.npz", **DATA)
    np.savez("image.npz", image=DATA["image"])


def convert(data: str | None, execution: str = "ops", **options: object) -> ConversionResult:
    calibration = CalibrationOptions(data=None if data is None else Path(data))
    chosen = ConvertOptions(calibration=calibration, execution=execution, **options)
    return api.convert("m.tflite", options=chosen, overwrite=True)


def outputs(path: str, key: str) -> np.ndarray:
    """What a signature gives for all of its samples, float64, through the runtime's own door."""
    interpreter = load_interpreter(path, builtin_kernels_only=True, attach_delegate=path != "m.tflite")
    interpreter.allocate_tensors()
    runner, name = interpreter.get_signature_runner(key), SIZES[key][0]
    return np.concatenate([runner(**{name: x[None]})["y"].astype(np.float64) for x in DATA[name]])


def schema_of(name: str, document: dict) -> None:
    folder = Path(api.__file__).parent
    jsonschema.validate(document, json.loads((folder / name).read_text()))


# --- conversion -------------------------------------------------------------------------------------------------------


def test_without_data_all_signatures_stay_bit_exact() -> None:
    report = convert(None).report
    schema_of("report_schema.json", report)
    assert [site["decision"] for site in report["sites"]] == ["coded"] * 5
    assert all(site["coded_bytes"]["num_samples"] == 8 for site in report["sites"])
    assert [part["fidelity"]["bit_exact"] for part in report["signatures"]] == [True, True]
    for key in SIZES:
        np.testing.assert_array_equal(outputs("m_fmtc.tflite", key), outputs("m.tflite", key))


def test_each_is_calibrated_and_bounded_on_its_own_inputs() -> None:
    result = convert("both.npz", max_kl=0.02)
    report = result.report
    schema_of("report_schema.json", report)
    assert {(site["subgraph"], site["transform"]) for site in report["sites"]} == {(0, "step"), (1, "step")}
    detect, embed = report["signatures"]
    assert (detect["signature"], embed["signature"]) == ("detect", "embed")
    assert report["fidelity"] == detect["fidelity"]
    assert 0 < detect["fidelity"]["kl_mean"] <= 0.02
    assert 0 < embed["fidelity"]["relative_mse_mean"] <= 0.02
    before, after = outputs("m.tflite", "embed"), outputs("m_fmtc.tflite", "embed")
    zero_point = load_model(Path("m.tflite")).subgraphs[1].outputs[0].zero_point
    real = ((before - after) ** 2).sum() / ((before - zero_point) ** 2).sum()
    assert embed["fidelity"]["relative_mse_mean"] == pytest.approx(real, rel=0.5)
    sizes = [site["coded_bytes"]["mean"] for site in report["sites"]]
    values = sum(site["values"] for site in report["sites"])
    assert report["totals"]["bits_per_value"] == pytest.approx(8 * sum(sizes) / values)
    assert "signature 'detect': outputs change" in result.verdict
    assert "signature 'embed': outputs change" in result.verdict


def test_maps_without_samples_are_left_alone_and_count_in_full() -> None:
    result = convert("image.npz", max_kl=0.02)
    report = result.report
    schema_of("report_schema.json", report)
    reason = "there are no samples for the inputs of signature 'embed'"
    assert [site["reason"] for site in report["sites"]] == [None, None, None, reason, reason]
    assert report["signatures"][1] == {"signature": "embed", "subgraph": 1, "fidelity": None}
    (line,) = (line for line in result.warnings if reason in line)
    assert "got the arrays image, expected" in line
    coded, raw = report["sites"][:3], report["sites"][3:]
    payload = sum(site["coded_bytes"]["mean"] for site in coded) + sum(site["values"] for site in raw)
    values = report["totals"]["feature_map_values"]
    assert report["totals"]["bits_per_value"] == pytest.approx(8 * payload / values)
    converted = load_model(Path("m_fmtc.tflite"))
    assert [any(map(is_codec_op, subgraph.ops)) for subgraph in converted.subgraphs] == [True, False]
    text = format_report(report, result.op_labels)
    assert "detect: KL" in text
    assert "embed: left as it is, and not run" in text


def test_maps_of_the_second_signature_alone() -> None:
    report = convert("both.npz", include="name:embed|map0", exclude="shape:16x16x*", max_kl=0.02).report
    assert [site["decision"] for site in report["sites"]] == ["skipped", "skipped", "skipped", "coded", "coded"]
    detect, embed = report["signatures"]
    assert detect["fidelity"] is None
    assert report["fidelity"] == embed["fidelity"]
    np.testing.assert_array_equal(outputs("m_fmtc.tflite", "detect"), outputs("m.tflite", "detect"))


def test_labels_are_of_the_first_signature_so_that_others_stay_bit_exact() -> None:
    labels = outputs("m.tflite", "detect").argmax(1)
    np.savez("labelled.npz", **DATA, y=labels)
    report = convert("labelled.npz", max_accuracy_drop=0.5).report
    detect, embed = (part["fidelity"] for part in report["signatures"])
    assert detect["accuracy_drop"] is not None
    assert (embed["bit_exact"], embed["accuracy_drop"]) == (True, None)
    evaluated = api.evaluate("m_fmtc.tflite", "m.tflite", options=EvaluateOptions(data="labelled.npz"))
    assert evaluated["model"]["accuracy"]["num_samples"] == 24
    assert evaluated["other_signatures"][0]["comparison"]["accuracy"] is None


def test_regions_say_which_signature_was_verified() -> None:
    report = convert("both.npz", execution="regions").report
    schema_of("report_schema.json", report)
    detect, embed = report["signatures"]
    assert detect["fidelity"] == report["fidelity"]
    assert embed["fidelity"] is None
    done = subprocess.run([BIN / "fmtc-convert", "m.tflite", "--dry_run"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "fidelity        detect: bit-exact on 14 inputs" in done.stdout
    assert "                embed: left as it is, and not run" in done.stdout
    evaluated = api.evaluate("m_fmtc.tflite", "m.tflite", options=EvaluateOptions(data="both.npz"))
    assert evaluated["comparison"]["bit_exact"]
    assert evaluated["other_signatures"][0]["comparison"]["bit_exact"]


# --- evaluation and profile -------------------------------------------------------------------------------------------


def test_evaluation_runs_each_on_its_own_inputs() -> None:
    convert("both.npz", max_kl=0.02)
    result = api.evaluate("m_fmtc.tflite", "m.tflite", options=EvaluateOptions(data="both.npz"))
    schema_of("evaluation_schema.json", result)
    (embed,) = result["other_signatures"]
    assert (result["first_signature"], embed["signature"], embed["num_samples"]) == ("detect", "embed", 24)
    assert 0 < embed["comparison"]["fidelity"]["relative_mse_mean"] < 0.03
    assert not embed["comparison"]["bit_exact"]
    maps = coded_maps(load_model(Path("m_fmtc.tflite")).subgraphs[1])
    assert [site["tensor"] for site in embed["coded"]["sites"]] == [m.name for m in maps]
    assert all(site["coded_bytes"]["mean"] > 0 for site in embed["coded"]["sites"])


def test_evaluation_says_what_it_did_not_run() -> None:
    convert("both.npz", max_kl=0.02)
    done = subprocess.run(
        [BIN / "fmtc-eval", "--model_file", "m_fmtc.tflite", "--data", "image.npz", "--json", "e.json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "signature       detect" in done.stdout
    assert "signature       embed: not evaluated: image.npz: got the arrays image" in done.stdout
    document = json.loads(Path("e.json").read_text())
    schema_of("evaluation_schema.json", document)
    assert document["other_signatures"][0]["coded"] is None


def test_profiles_of_all_signatures() -> None:
    report = convert("both.npz", max_kl=0.02).report
    document = api.profile("m.tflite", "m_fmtc.tflite", options=ProfileOptions(data="both.npz"))
    schema_of("profile_schema.json", document)
    (embed,) = document["other_signatures"]
    model = embed["profile"]["models"][-1]
    assert (embed["profile"]["data"]["num_samples"], model["coded_sizes"]["basis"]) == (24, "measured")
    assert [m["tensor"] for m in model["feature_maps"] if m["is_coded"]] == ["map0", "embed/map1"]
    text = format_profile(document)
    assert text.startswith("signature       detect\n")
    assert "\nsignature       embed\nmodel " in text
    recorded = {site["tensor"]: site["coded_bytes"]["mean"] for site in report["sites"] if site["subgraph"] == 1}
    without = api.profile("m_fmtc.tflite")["other_signatures"][0]["profile"]["models"][0]
    assert without["coded_sizes"]["basis"] == "metadata"
    assert {m["tensor"]: m["coded_bytes"] for m in without["feature_maps"] if m["is_coded"]}.keys() == recorded.keys()
    unmeasured = api.profile("m_fmtc.tflite", options=ProfileOptions(data="image.npz"))["other_signatures"][0][
        "profile"
    ]
    assert unmeasured["data"] is None
    assert unmeasured["models"][0]["coded_sizes"]["basis"] == "metadata"
    assert any(note.startswith("it was not run on the data: ") for note in unmeasured["models"][0]["notes"])

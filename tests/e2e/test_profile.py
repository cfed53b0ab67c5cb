"""fmtc-profile as installed: what it shows and writes, and what bad input gets."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import fmtc_tflite
import model_builder
from fmtc_tflite.memory.memory_system import known_memory_systems
from said import said

SCRIPTS = Path(sys.executable).parent
PACKAGE = importlib.resources.files("fmtc_tflite")
SCHEMA = json.loads((PACKAGE / "profile_schema.json").read_text())


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPTS / "fmtc-profile"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def profile(*arguments: str | Path, **environment: str) -> tuple[str, dict]:
    """Text and JSON of a profile that succeeds."""
    result = run(*arguments, "--json", "profile.json", "--overwrite", **environment)
    assert result.returncode == 0, result.stderr
    assert said(result.stderr) == []
    document = json.loads(Path("profile.json").read_text())
    jsonschema.validate(document, SCHEMA)
    return result.stdout, document


def assert_fails(result: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    assert result.returncode == code, result.stderr
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in result.stderr
    for text in texts:
        assert text in error


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, its samples, and the model converted with and without loss."""
    folder = tmp_path_factory.mktemp("profile")
    for source, name in (("demo_int8.tflite", "demo.tflite"), ("demo_samples.npz", "samples.npz")):
        (folder / name).write_bytes((PACKAGE / "demo" / source).read_bytes())
    for arguments in (
        ["--output", "lossless.tflite"],
        ["--output", "lossy.tflite", "--calibration_data", "samples.npz"],
    ):
        command = [str(SCRIPTS / "fmtc-convert"), "demo.tflite", "--execution", "ops", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def test_a_model_alone(folder: Path) -> None:
    text, document = profile(folder / "demo.tflite")
    assert "not converted" in text
    assert document["comparison"] is None
    assert document["models"][0]["arena"]["live_extent_bytes"] > 0


@pytest.mark.extras
def test_comparison_and_every_output(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "plots").mkdir()
    outputs = ("--csv", "p.csv", "--html", "p.html", "--plots", "plots", "--model_explorer", "me.json")
    pair = (folder / "demo.tflite", "--compare", folder / "lossy.tflite")
    text, document = profile(*pair, *outputs)
    assert document["data"] is None
    assert "from the model's fmtc_conversion metadata" in text
    assert "sha256" in document["comparison"]["recognised_by"]
    assert document["comparison"]["fused_codec"]["feature_map_energy_saved"] > 0.4
    assert document["comparison"]["as_executed"]["feature_map_energy_saved"] < 0
    written = {path.name for path in (tmp_path, *tmp_path.iterdir(), *(tmp_path / "plots").iterdir()) if path.is_file()}
    assert written == {"profile.json", "p.csv", "p.html", "me.json", "arena.png", "traffic.png", "energy.png"}
    assert_fails(run(*pair, *outputs), 2, "p.csv exists", "--overwrite")


def test_ops_of_both_models_lie_on_the_original_s(folder: Path) -> None:
    _, document = profile(folder / "demo.tflite", "--compare", folder / "lossy.tflite")
    original, converted = (model["ops"] for model in document["models"])
    assert [op["original_op"] for op in original] == list(range(len(original)))
    places = [op["original_op"] for op in converted]
    assert places == sorted(places)
    by_output = {name: op["index"] for op in original for name in op["outputs"]}
    for before, op in zip([None, *converted], converted, strict=False):
        if op["opcode"] == "FMTC_ENCODE":
            assert op["original_op"] == before["original_op"]
        elif op["opcode"] != "FMTC_DECODE":
            assert op["original_op"] == by_output[op["outputs"][0]]
    alone = profile(folder / "lossy.tflite")[1]["models"][0]["ops"]
    assert [op["original_op"] for op in alone] == places


def test_transforms_and_fidelity_are_those_of_the_report(folder: Path) -> None:
    text, document = profile(folder / "lossy.tflite")
    report, (model,) = json.loads((folder / "lossy.json").read_text()), document["models"]
    wanted = {site["tensor"]: site["transform"] for site in report["sites"] if site["decision"] == "coded"}
    assert {m["tensor"]: m["transform"] for m in model["feature_maps"] if m["is_coded"]} == wanted
    assert "folded_klt" in wanted.values()
    assert (model["fidelity"]["measure"], model["fidelity"]["mean"]) == ("kl", report["fidelity"]["kl_mean"])
    assert "fidelity        KL, nats: " in text
    exact = profile(folder / "lossless.tflite")[1]["models"][0]["fidelity"]
    assert exact["bit_exact"]
    assert profile(folder / "demo.tflite")[1]["models"][0]["fidelity"] is None


def test_rates(folder: Path) -> None:
    pair = (folder / "demo.tflite", "--compare", folder / "lossy.tflite")
    text, document = profile(*pair, "--fps", "30")
    assert "rates at 30 inferences/s" in text
    total = document["models"][1]["totals"]["fused_codec"]
    kinds = ("feature_map_moved", "weights_read", "side_information_read")
    moved = sum(total[f"{kind}_bytes"] for kind in kinds)
    macs = total["graph_multiply_accumulates"] + total["codec_multiply_accumulates"]
    assert total["rates"]["bytes_per_second"] == pytest.approx(30 * moved)
    assert total["rates"]["multiply_accumulates_per_second"] == 30 * macs
    assert total["rates"]["bytes_per_multiply_accumulate"] == pytest.approx(moved / macs)
    assert total["rates"]["watts"] == pytest.approx(30e-12 * total["energy"]["total_pj"])
    _, clocked = profile(*pair, "--clock_hz", "2e8", "--macs_per_cycle", "64")
    network = clocked["models"][0]["totals"]["fused_codec"]["graph_multiply_accumulates"]
    assert clocked["rates"]["inferences_per_second"] == pytest.approx(64 * 2e8 / network)
    assert "rates" not in profile(*pair)[1]
    for flags, text in (
        (("--fps", "0"), "--fps: got 0"),
        (("--clock_hz", "inf"), "--clock_hz: got inf"),
        (("--fps", "1", "--clock_hz", "1"), "give one"),
        (("--macs_per_cycle", "2"), "needs --clock_hz"),
    ):
        assert_fails(run(*pair, *flags), 2, text)


def test_coded_sizes_and_baselines_on_data(folder: Path) -> None:
    text, document = profile(folder / "lossless.tflite", "--data", folder / "samples.npz", "--num_samples", "0")
    (model,) = document["models"]
    assert model["coded_sizes"]["basis"] == "measured"
    assert document["data"]["num_samples"] == model["coded_sizes"]["coded_bytes"]["num_samples"] >= 100
    assert model["coded_sizes"]["coded_bytes"]["p99"] > 0
    assert "p99" in text
    coded = [m["coded_bytes"] for m in model["feature_maps"] if m["is_coded"] and not m["is_folded"]]
    assert sum(size["mean"] for size in coded) == pytest.approx(model["coded_sizes"]["coded_bytes"]["mean"])
    schemes = {scheme["scheme"]: scheme["bits_per_value"] for scheme in document["schemes"]}
    assert schemes["raw"] == 8
    assert schemes["entropy_shannon"] < schemes["entropy_huffman"] < 8
    assert max(schemes["fmtc"], schemes["zero_value"]) < 8
    assert "8 bits for the main component, bases and steps from 16 samples, counted on 16" in text
    _, coarser = profile(folder / "lossless.tflite", "--data", folder / "samples.npz", "--paper_bits", "6")
    (paper,) = (s["bits_per_value"] for s in coarser["schemes"] if s["scheme"] == "paper")
    assert 1 < paper < schemes["paper"] - 1
    assert_fails(run(folder / "lossless.tflite", "--paper_bits", "11"), 2, "--paper_bits 11: expected 2 to 10")


def test_baselines_code_the_original_s_maps_where_it_is_given(folder: Path) -> None:
    data = ("--data", folder / "samples.npz", "--num_samples", "8")
    _, alone = profile(folder / "demo.tflite", *data)
    _, compared = profile(folder / "demo.tflite", "--compare", folder / "lossy.tflite", *data)
    wanted = {s["scheme"]: s["bits_per_value"] for s in alone["schemes"]}
    found = {s["scheme"]: s["bits_per_value"] for s in compared["schemes"]}
    assert found.pop("fmtc") < found["entropy_huffman"]
    assert found == pytest.approx(wanted)


def test_sizes_on_data_agree_with_the_runtime(folder: Path) -> None:
    """One sample, read from the coded tensors of an interpreter by hand."""
    _, document = profile(folder / "lossy.tflite", "--data", folder / "samples.npz", "--num_samples", "1")
    interpreter = fmtc_tflite.load_interpreter(folder / "lossy.tflite", preserve_all_tensors=True)
    interpreter.allocate_tensors()
    x = (np.load(folder / "samples.npz")["x"][:1] ^ 0x80).view(np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    coded = [d["index"] for d in interpreter.get_tensor_details() if d["name"].endswith("/fmtc_coded")]
    sizes = [int(interpreter.get_tensor(index)[0, 8:12].view("<u4")[0]) for index in coded]
    assert document["models"][0]["coded_sizes"]["coded_bytes"]["max"] == sum(sizes)


@pytest.mark.parametrize("system", known_memory_systems())
def test_every_memory_system(system: str, folder: Path) -> None:
    text, document = profile(folder / "demo.tflite", "--compare", folder / "lossy.tflite", "--memory_system", system)
    assert f"(estimated: {system})" in text
    total = document["models"][1]["totals"]["fused_codec"]
    levels = sum(level["energy_pj"] for level in total["levels"].values())
    logic = total["energy"]["codec"]["transform_pj"] + total["energy"]["codec"]["table_lookups_pj"]
    assert levels + logic == pytest.approx(total["energy"]["total_pj"])


def test_a_memory_system_of_one_s_own(folder: Path, tmp_path: Path) -> None:
    text = (PACKAGE / "memory" / "memory_systems" / "npu_sram_dram.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace('name = "npu_sram_dram"', 'name = "mine"'))
    both = [
        profile(folder / "demo.tflite", "--memory_system", name, "--on_chip_bytes", "20000")[1]["models"][0]["totals"]
        for name in ("mine.toml", "npu_sram_dram")
    ]
    assert both[0] == both[1]


def test_the_traffic_model_changes_what_is_shown_and_not_the_json(folder: Path) -> None:
    runs = [profile(folder / "lossy.tflite", "--traffic_model", name) for name in ("as_executed", "fused_codec")]
    assert "ops with the most energy (as_executed)" in runs[0][0]
    assert "largest feature maps (fused_codec)" in runs[1][0]
    assert runs[0][1].pop("traffic_model") == "as_executed"
    assert runs[1][1].pop("traffic_model") == "fused_codec"
    assert runs[0][1] == runs[1][1]


def test_from_python(folder: Path) -> None:
    options = fmtc_tflite.ProfileOptions(memory_system="paper_ddr3")
    outputs = fmtc_tflite.ProfileOutputs(json="a.json", html="a.html")
    document = fmtc_tflite.profile(folder / "demo.tflite", folder / "lossy.tflite", options=options, outputs=outputs)
    assert json.loads(Path("a.json").read_text()) == document
    assert Path("a.html").read_text().startswith("<!DOCTYPE html>")


def test_without_the_native_library(folder: Path) -> None:
    missing = {"FMTC_LIBRARY": "absent.so"}
    _, document = profile(folder / "demo.tflite", **missing)
    assert document["models"][0]["arena"]["live_extent_bytes"] > 0
    text, document = profile(folder / "lossy.tflite", **missing)
    assert document["models"][0]["arena"]["live_extent_bytes"] is None
    assert "absent.so" in document["models"][0]["arena"]["live_unavailable"]
    assert "not measured" in text
    measured = run(folder / "lossy.tflite", "--data", folder / "samples.npz", **missing)
    assert_fails(measured, 5, "absent.so")


@pytest.mark.extras
def test_bad_input(folder: Path, tmp_path: Path) -> None:
    demo = folder / "demo.tflite"
    assert_fails(run(), 2, "expected one MODEL.tflite, got none")
    assert_fails(run(demo, demo), 2, "expected one MODEL.tflite")
    assert_fails(run("absent.tflite"), 2, "cannot read the model absent.tflite")
    assert_fails(run(folder / "samples.npz"), 2, "not a")
    assert_fails(run(demo, "--memory_system", "hbm"), 2, "unknown memory system 'hbm'", "lpddr4", "paper_ddr3")
    assert_fails(run(demo, "--on_chip_bytes", "4096"), 2, "npu_sram_dram")
    assert_fails(run(demo, "--traffic_model", "both"), 2, "traffic_model")
    assert_fails(run(demo, "--compare", demo), 2, "has no FMTC_ENCODE")
    (tmp_path / "other.tflite").write_bytes(model_builder.chain())
    assert_fails(run("other.tflite", "--compare", folder / "lossy.tflite"), 2, "do not belong together")
    np.save("wrong.npy", np.zeros((4, 5, 5, 3), np.int8))
    assert_fails(run(demo, "--data", "wrong.npy"), 2, "wrong.npy", "shape")
    assert_fails(run(demo, "--data", "absent"), 2, "absent")
    if importlib.util.find_spec("matplotlib") is not None:
        assert_fails(run(demo, "--plots", "wrong.npy"), 2, "cannot write wrong.npy/arena.png")
    else:
        assert_fails(run(demo, "--plots", "plots"), 2, "pip install matplotlib")
    assert_fails(run(demo, f"--json={demo}"), 2, "would replace")
    assert_fails(run(demo, "--json", "same", "--csv", "same"), 2, "are the same file")
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("other.tflite", "wrong.npy")] == []


@pytest.mark.slow
def test_mobilenet_on_100_images(real_data: Path) -> None:
    model = real_data / "models" / "mobilenet_v2_1.0_224_int8.tflite"
    images = ("--data", real_data / "imagenet" / "evaluation.csv", "--central_crop", "0.875", "--num_threads", "2")
    _, document = profile(model, *images)
    assert document["data"]["num_samples"] == 100

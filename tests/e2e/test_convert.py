"""fmtc-convert as installed: what it writes, what it says, and what bad input gets."""

from __future__ import annotations

import importlib.resources
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

import fmtc_tflite
import model_builder
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.runtime.interpreter import available_runtimes

SCRIPT = Path(sys.executable).parent / "fmtc-convert"
CODE = ("--execution", "ops")  # feature maps; tests/e2e/test_regions.py has the other kind
PACKAGE = importlib.resources.files("fmtc_tflite")
SCHEMA = json.loads((PACKAGE / "report_schema.json").read_text())


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload]


def convert(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    return result


def assert_fails(result: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    assert result.returncode == code, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for text in texts:
        assert text in errors[0]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "demo.tflite"
    path.write_bytes((PACKAGE / "demo" / "demo_int8.tflite").read_bytes())
    return path


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("samples") / "samples.npz"
    path.write_bytes((PACKAGE / "demo" / "demo_samples.npz").read_bytes())
    return path


def outputs(path: Path, inputs: np.ndarray, runtime: str | None = None) -> list[np.ndarray]:
    interpreter = fmtc_tflite.load_interpreter(path, runtime)
    interpreter.allocate_tensors()
    results = []
    for x in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x[None])
        interpreter.invoke()
        results.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy())
    return results


def demo_inputs(samples: Path, count: int = 8) -> np.ndarray:
    return (np.load(samples)["x"][:count] ^ 0x80).view(np.int8)


def report_of(path: Path) -> dict:
    report = json.loads(path.read_text())
    jsonschema.validate(report, SCHEMA)
    return report


def test_without_data_every_output_bit_stays(model: Path, samples: Path) -> None:
    result = convert(model, *CODE)
    assert "bit-exact" in result.stdout
    assert "--calibration_data" in result.stdout
    converted = model.with_name("demo_fmtc.tflite")
    report = report_of(model.with_name("demo_fmtc.json"))
    assert report["data"] == "synthetic"
    assert report["fidelity"]["bit_exact"]
    assert report["totals"]["bits_per_value"] < 6
    assert {s["transform"] for s in report["sites"] if s["decision"] == "coded"} == {"folded_klt", "lossless"}
    for runtime in available_runtimes():
        original = outputs(model, demo_inputs(samples), runtime)
        assert np.array_equal(original, outputs(converted, demo_inputs(samples), runtime)), runtime


def test_the_same_inputs_give_the_same_bytes(model: Path, samples: Path) -> None:
    contents = set()
    for threads in ("1", "3"):
        output = model.with_name(f"{threads}.tflite")
        convert(model, *CODE, "--calibration_data", samples, "--output", output, "--num_threads", threads)
        contents.add(output.read_bytes())
    assert len(contents) == 1


def test_with_data_the_default_bound_holds(model: Path, samples: Path) -> None:
    result = convert(model, *CODE, "--calibration_data", samples)
    assert "--lossless keeps them" in result.stdout
    report = report_of(model.with_name("demo_fmtc.json"))
    assert report["data"] == "calibration"
    assert report["fidelity"]["measure"] == "kl"
    assert 0 < report["fidelity"]["kl_mean"] <= 0.02
    lossless = convert(model, *CODE, "--calibration_data", samples, "--lossless", "--json", "--dry_run")
    assert report["totals"]["bits_per_value"] < json.loads(lossless.stdout)["totals"]["bits_per_value"]


def test_a_rate_can_be_asked_for(model: Path, samples: Path) -> None:
    convert(model, "--calibration_data", samples, "--max_bits_per_value", "2.5")
    assert report_of(model.with_name("demo_fmtc.json"))["totals"]["bits_per_value"] <= 2.5


def test_report_and_metadata_agree_and_sizes_are_what_the_encoder_wrote(model: Path, samples: Path) -> None:
    convert(model, *CODE, "--calibration_data", samples, "--lossless")
    report = report_of(model.with_name("demo_fmtc.json"))
    converted = model.with_name("demo_fmtc.tflite")
    assert report["model"]["converted_size_bytes"] == converted.stat().st_size
    metadata = json.loads(load_model(converted).metadata["fmtc_conversion"])
    jsonschema.validate(metadata, SCHEMA)
    for key in ("path", "converted_size_bytes"):
        del report["model"][key]
    assert metadata == report
    totals, sites = report["totals"], report["sites"]
    assert sum(s["values"] for s in sites) == totals["feature_map_values"]
    assert sum(s["side_information_bytes"] for s in sites) == totals["side_information_bytes"]
    mean = sum(s["coded_bytes"]["mean"] for s in sites if s["coded_bytes"])
    assert mean == pytest.approx(totals["coded_bytes"]["mean"])
    raw = totals["feature_map_values"] - totals["coded_values"]
    assert totals["bits_per_value"] == pytest.approx(8 * (mean + raw) / totals["feature_map_values"])
    assert all(s["coded_bytes"]["max"] <= s["capacity_bytes"] for s in sites if s["coded_bytes"])


def test_restore_gives_the_original_graph(model: Path) -> None:
    convert(model, *CODE)
    convert("--restore", model.with_name("demo_fmtc.tflite"), "--output", model.with_name("restored.tflite"))
    assert model.with_name("restored.tflite").read_bytes() == load_model(model).to_bytes()


def test_demo_writes_nothing(tmp_path: Path) -> None:
    result = run("--demo", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    names = ["original", "regions", "coded, lossless", "coded, lossy"]
    figures = {row["name"]: row for row in document["figures"]}
    assert list(figures) == names
    for row in figures.values():
        assert min(row["arena_bytes"], row["process_kb"], row["median_us"], row["map_bytes"]) > 0
    assert figures["regions"]["arena_bytes"] < 0.2 * figures["original"]["arena_bytes"]
    assert figures["regions"]["process_kb"] < 0.5 * figures["original"]["process_kb"]
    maps = [figures[name]["map_bytes"] for name in ("regions", "coded, lossy", "coded, lossless", "original")]
    assert maps == sorted(maps)
    assert [figures[name]["outputs"] for name in names[:3]] == ["", "bit-exact", "bit-exact"]
    for report in document["reports"].values():
        jsonschema.validate(report, SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_demo_shows_regions_then_all_figures() -> None:
    result = run("--demo", "--lossless")
    assert result.returncode == 0, result.stderr
    order = ["stage ends at", "planned arena", "under the kernels", "process, KB", "regions  ", "coded, lossless  "]
    places = [result.stdout.index(text) for text in order]
    assert places == sorted(places)
    assert "coded, lossy" not in result.stdout


def test_demo_of_coding_alone() -> None:
    result = run("--demo", "--max_kl", "0.1")
    assert result.returncode == 0, result.stderr
    assert "bits per value" in result.stdout
    assert "top-1" in result.stdout
    assert "regions" not in result.stdout


def test_include_exclude_and_recipe(model: Path, samples: Path) -> None:
    names = [s["tensor"] for s in json.loads(convert(model, *CODE, "--json", "--dry_run").stdout)["sites"]]
    first, second = names[0], names[1]
    report = json.loads(convert(model, *CODE, "--json", "--dry_run", "--include", f"^{first}$").stdout)
    assert [s["tensor"] for s in report["sites"] if s["decision"] == "coded"] == [first]
    assert {s["reason"] for s in report["sites"]} == {None, "not matched by --include"}
    recipe = model.with_name("recipe.json")
    rules = [
        {"tensor": f"^{first}$", "transform": "klt", "components": 4, "step": 3},
        {"tensor": f"^{second}$", "transform": "step", "step": 2.5},
        {"tensor": "", "transform": "skip"},
    ]
    recipe.write_text(json.dumps({"sites": rules}))
    arguments = ("--calibration_data", samples, "--recipe", recipe, "--max_kl", "5", "--json", "--dry_run")
    sites = json.loads(convert(model, *arguments).stdout)["sites"]
    assert (sites[0]["transform"], sites[0]["step"], sites[0]["components"]) == ("klt", None, 4)
    assert (sites[1]["transform"], sites[1]["step"]) == ("step", 2.5)
    assert {s["reason"] for s in sites[2:]} == {"the recipe says so"}


def test_the_papers_scheme(model: Path, samples: Path, tmp_path: Path) -> None:
    result = convert(
        model, "--calibration_data", samples, "--num_samples", "64", "--preset", "paper", "--paper_bits", "7"
    )
    assert "paper's count" in result.stdout
    assert "measured, not bounded" in result.stdout
    report = json.loads((tmp_path / "demo_fmtc.json").read_text())
    jsonschema.validate(report, SCHEMA)
    assert report["preset"] == "paper"
    paper = report["totals"]["paper"]
    assert paper["shannon_bits_per_value"] < paper["huffman_bits_per_value"] < report["totals"]["bits_per_value"] + 0.05
    assert_fails(run("--restore", tmp_path / "demo_fmtc.tflite"), 2, "folded")
    both = ("--preset", "paper", "--max_kl", "0.1", "--calibration_data", samples, "--overwrite")
    assert_fails(run(model, *both), 2, "--max_kl has no meaning")


def test_arena_objective_lowers_the_plan_or_says_why_not(model: Path, samples: Path) -> None:
    arguments = (model, "--objective", "arena", "--calibration_data", samples, "--max_kl", "0.2")
    result = run(*arguments)
    if result.returncode == 0:
        arena = report_of(model.with_name("demo_fmtc.json"))["arena"]
        assert arena["converted_planned_bytes"] < arena["original_planned_bytes"]
    else:
        assert_fails(result, 3, "planned peak", "op ", "bytes")
    assert_fails(run(model, *CODE, "--objective", "arena", "--overwrite"), 3, "planned peak", "CONV_2D) needs")


@pytest.mark.parametrize("make", [model_builder.residual, model_builder.with_control_flow])
def test_other_graphs_stay_bit_exact(make: object, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(make())  # type: ignore[operator]
    convert(path, *CODE, "--include", ".")  # codes them although they are too small to shrink
    report = report_of(tmp_path / "model_fmtc.json")
    assert report["fidelity"]["bit_exact"]
    assert all(s["decision"] == "coded" for s in report["sites"])


def test_maps_that_would_grow_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(model_builder.with_control_flow())
    assert_fails(run(path, *CODE), 3, "smaller")
    assert list(tmp_path.iterdir()) == [path]


def broken_inputs(folder: Path) -> dict[str, Path]:
    content = (PACKAGE / "demo" / "demo_int8.tflite").read_bytes()
    files = {
        "text": b"this is no model" * 10,
        "truncated": content[: len(content) // 2],
        "empty": b"",
    }
    for name, data in files.items():
        (folder / f"{name}.tflite").write_bytes(data)
    return {name: folder / f"{name}.tflite" for name in files}


def test_bad_models(tmp_path: Path) -> None:
    for path in broken_inputs(tmp_path).values():
        assert_fails(run(path), 2)
    assert_fails(run(tmp_path / "missing.tflite"), 2, "missing.tflite")
    assert_fails(run(tmp_path), 2)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".tflite"] * 3


def test_bad_usage(model: Path, samples: Path) -> None:
    assert_fails(run(), 2, "--help")
    assert_fails(run(model, model), 2)
    assert_fails(run(model, "--no_such_flag"), 2, "no_such_flag")
    assert_fails(run(model, "--max_kl", "x"), 2)
    assert_fails(run(model, "--max_kl", "-1", "--calibration_data", samples), 2)
    assert_fails(run(model, "--max_kl", "0.1"), 2, "--calibration_data")
    assert_fails(run(model, "--max_kl", "0.1", "--lossless", "--calibration_data", samples), 2)
    assert_fails(run(model, "--include", "("), 2, "regular expression")
    assert_fails(run(model, "--exclude", "."), 3)
    assert_fails(run(model, "--output", model), 2, "replace")
    assert_fails(run(model, "--output", model / "x.tflite"), 2, "Not a directory")
    assert_fails(run(model, "--restore", model), 2)
    assert_fails(run("--restore", model), 2, "not converted")
    assert list(model.parent.iterdir()) == [model]


def test_help_teaches(model: Path) -> None:
    result = run("--help")
    assert result.returncode == 0
    for text in ("--calibration_data", "--[no]lossless", "--max_kl", "Exit codes"):
        assert text in result.stdout


def test_existing_outputs_are_kept(model: Path) -> None:
    convert(model)
    converted = model.with_name("demo_fmtc.tflite")
    before = converted.read_bytes()
    assert_fails(run(model), 2, "--overwrite")
    assert_fails(run(converted), 2, "converted already")
    assert converted.read_bytes() == before
    convert(model, "--overwrite")


def test_bad_calibration_data(model: Path, tmp_path: Path) -> None:
    def attempt(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
        return run(model, "--calibration_data", path, "--dry_run", *more)

    cases = {
        "shape.npy": np.zeros((40, 16, 16, 1), np.uint8),
        "type.npy": np.zeros((40, 32, 32, 1), np.int32),
        "none.npy": np.zeros((0, 32, 32, 1), np.uint8),
    }
    for name, data in cases.items():
        np.save(tmp_path / name, data)
        assert_fails(attempt(tmp_path / name), 2, name)
    assert_fails(attempt(tmp_path / "nowhere"), 2, "nowhere")
    images = tmp_path / "images"
    images.mkdir()
    assert_fails(attempt(images), 2)
    rng = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(rng.integers(0, 255, (40, 40), dtype=np.uint8)).save(images / f"{i}.png")
    (images / "bad.png").write_bytes(b"no image")
    assert_fails(attempt(images), 2, "bad.png")
    assert attempt(images, "--skip_unreadable", "--max_kl", "3").returncode == 0


def test_bad_recipes(model: Path, samples: Path) -> None:
    recipe = model.with_name("recipe.json")
    for text in ("", "[]", '{"sites": [{"tensor": "x"}]}', '{"sites": [{"tensor": "(", "transform": "skip"}]}'):
        recipe.write_text(text)
        assert_fails(run(model, "--recipe", recipe, "--dry_run"), 2, "recipe.json")
    for steps in ("[]", "[2, 0.5]", '["2"]', "[[2]]"):
        recipe.write_text(f'{{"sites": [{{"tensor": "", "transform": "step", "step": {steps}}}]}}')
        assert_fails(run(model, "--recipe", recipe, "--dry_run"), 2, "or a list of them, one for each channel")
    recipe.write_text('{"sites": [{"tensor": "", "transform": "klt", "step": [2, 3]}]}')
    assert_fails(run(model, "--recipe", recipe, "--dry_run"), 2, "with transform step")
    recipe.write_text('{"sites": [{"tensor": "", "transform": "step", "step": [2, 3]}]}')
    assert_fails(run(model, "--recipe", recipe, "--dry_run"), 2, "gets 2 steps, expected one number or one for each")
    recipe.write_text('{"sites": [{"tensor": "no such name", "transform": "skip"}]}')
    assert_fails(run(model, "--recipe", recipe, "--dry_run"), 2, "no such name")
    recipe.write_text('{"sites": [{"tensor": "", "transform": "step"}]}')
    assert_fails(run(model, "--recipe", recipe, "--dry_run"), 2, "--calibration_data")


def test_missing_library(model: Path) -> None:
    environment = {**os.environ, "FMTC_LIBRARY": str(model.parent / "none.so")}
    assert_fails(run(model, env=environment), 5, "FMTC_LIBRARY")


def test_an_unreachable_rate(model: Path, samples: Path) -> None:
    assert_fails(run(model, "--calibration_data", samples, "--max_bits_per_value", "0.01"), 3, "0.01")
    assert list(model.parent.glob("*_fmtc*")) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk_on_stdout(model: Path) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run([SCRIPT, model, "--dry_run"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1


def test_an_interrupted_run_leaves_nothing(model: Path, samples: Path) -> None:
    command = [SCRIPT, model, *CODE, "--calibration_data", samples, "--verbosity=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any("coarseness" in line for line in process.stderr)  # reads up to there: it is at work
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert "interrupted" in stderr
    assert list(model.parent.iterdir()) == [model]

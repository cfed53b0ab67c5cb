"""fmtc-convert --execution regions as installed, and what the other tools make of such models."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import jsonschema
import numpy as np
import pytest

from fmtc_tflite.api import convert
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import KERNEL_SETS, kernel_set_of, region_ops
from fmtc_tflite.memory.arena import no_scratch, plan_arena, region_scratch_bytes
from fmtc_tflite.profiling.live import measure_arena
from fmtc_tflite.runtime.interpreter import available_runtimes, default_kernels, load_interpreter
from fmtc_tflite.types import ConvertOptions, Kernels
from known_networks import inception_v3, mobilenet_v1
from model_builder import ModelBuilder
from pose_network import pose_network

BIN = Path(sys.executable).parent
PACKAGE = importlib.resources.files("fmtc_tflite")
SCHEMA = json.loads((PACKAGE / "report_schema.json").read_text())
DEMO = (PACKAGE / "demo" / "demo_int8.tflite").read_bytes()

# Live peak arena: the most that is allowed, as a share of the original's or in bytes, for shares of multiply-adds that
# may be computed twice.
MODELS: dict[str, dict[float, float]] = {
    "mobilenet_v2_1.0_224_int8": {0: 0.175, 0.02: 0.151, 0.05: 0.132},
    "mobilenet_v1_0.25_96_vww_int8": {0: 0.53, 0.02: 0.53, 0.05: 0.48},
    "ds_cnn_kws_int8": {0: 0.535},
    "resnet8_cifar10_int8": {0: 0.345},
    "resnet56_cifar10_int8": {0: 0.485},
    "deeplabv3_mnv2_pascal_uint8": {0: 0.338},
    "resnet18_cifar10_64_int8": {0: 0.275, 0.02: 0.255},
    "tinyengine_vww": {0: 99_000, 0.02: 96_000, 0.05: 96_000},
    "tinyengine_mcunetv2_large": {0: 870_000, 0.02: 848_000, 0.05: 842_000},
    "tinyengine_detection": {0: 279_000, 0.02: 279_000},
}

# The same for public architectures, whatever their weights.
ARCHITECTURES: dict[str, tuple[Callable[[], bytes], dict[float, float]]] = {
    "inception_v3": (inception_v3, {0: 0.32, 0.05: 0.32}),
    "mobilenet_v1_0.75_192": (lambda: mobilenet_v1(0.75, 192), {0: 0.305, 0.02: 0.265, 0.05: 0.265}),
    "person_detection": (lambda: mobilenet_v1(0.25, 96, 1, 2, "INT8"), {0: 0.4, 0.05: 0.335}),
}


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / tool, *map(str, arguments)], capture_output=True, text=True)


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
    path.write_bytes(DEMO)
    return path


@pytest.fixture
def converted(model: Path) -> Path:
    result = run("fmtc-convert", model, "--execution", "regions")
    assert result.returncode == 0, result.stderr
    assert "bit-exact" in result.stdout
    return model.with_name("demo_fmtc.tflite")


def outputs(path: Path, runtime: str, kernels: str, num_threads: int | None = None) -> list[np.ndarray]:
    interpreter = load_interpreter(path, runtime, kernels=kernels, num_threads=num_threads)
    interpreter.allocate_tensors()
    number = interpreter.get_input_details()[0]["index"]
    results = []
    for x in (np.load(str(PACKAGE / "demo" / "demo_samples.npz"))["x"][:8] ^ 0x80).view(np.int8):
        interpreter.set_tensor(number, x[None])
        interpreter.invoke()
        results.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy())
    return results


@pytest.mark.parametrize("runtime", available_runtimes())
@pytest.mark.parametrize("kernels", KERNEL_SETS)
def test_outputs_equal_under_every_kernel_set(model: Path, tmp_path: Path, runtime: str, kernels: str) -> None:
    if kernels == "xnnpack" and default_kernels(runtime) != kernels:
        pytest.skip(f"{runtime} does not run 8-bit models with XNNPACK")
    target = tmp_path / "converted.tflite"
    options = ["--kernels", kernels, "--runtime", runtime, "--output", target]
    result = run("fmtc-convert", model, "--execution", "regions", *options)
    assert result.returncode == 0, result.stderr
    assert kernel_set_of(load_model(target)) == kernels
    assert np.array_equal(outputs(model, runtime, kernels), outputs(target, runtime, kernels))


def test_any_number_of_threads_gives_the_same(model: Path, converted: Path) -> None:
    where = available_runtimes()[0], default_kernels()
    expected = outputs(model, *where)
    for threads in (1, 2, 4):
        assert np.array_equal(outputs(converted, *where, num_threads=threads), expected)


def test_report(converted: Path) -> None:
    report = json.loads(converted.with_suffix(".json").read_text())
    jsonschema.validate(report, SCHEMA)
    assert report["execution"] == "regions"
    assert report["kernels"] == default_kernels()
    assert report["runtime"] == available_runtimes()[0]
    assert report["arena"]["peak_op"] == "FMTC_REGION"
    assert report["arena"]["converted_planned_bytes"] < 0.2 * report["arena"]["original_planned_bytes"]
    assert report["model"]["converted_size_bytes"] == converted.stat().st_size
    assert {entry["op"] for entry in report["left_out"]} == {"SOFTMAX"}
    (region,) = report["regions"]
    assert region["scratch_bytes"] >= max(stage["scratch_bytes"] for stage in region["stages"])
    assert sum(stage["ops"] for stage in region["stages"]) <= len(region["ops"])
    assert report["macs"]["extra"] == sum(stage["extra_macs"] for stage in region["stages"])
    assert report["macs"]["extra_share"] <= report["macs"]["max_extra_share"] == 0.02
    assert report["time"]["cpu"] == "avx2"
    assert report["time"]["extra"] == sum(stage["extra_ns"] for stage in region["stages"])
    assert report["time"]["extra_share"] <= report["time"]["max_extra_share"] == 0.05


def test_restored_is_the_original(converted: Path) -> None:
    result = run("fmtc-convert", "--restore", converted)
    assert result.returncode == 0, result.stderr
    restored = converted.with_name("demo_fmtc_restored.tflite")
    assert restored.read_bytes() == load_model(DEMO).to_bytes()


def test_changed_after_conversion(converted: Path) -> None:
    model = load_model(converted)
    data = region_ops(model)[0].inputs[0]
    assert data is not None
    entry = bytearray(model.metadata["fmtc_regions"])
    entry[len(entry) // 2] ^= 1
    model.metadata["fmtc_regions"] = bytes(entry)
    converted.write_bytes(model.to_bytes())
    assert_fails(run("fmtc-convert", "--restore", converted), 2, "fmtc_regions")
    del model.metadata["fmtc_regions"]
    converted.write_bytes(model.to_bytes())
    assert_fails(run("fmtc-convert", "--restore", converted), 2, "use the original model")


def test_it_is_what_a_conversion_does_by_itself(model: Path, converted: Path, tmp_path: Path) -> None:
    """With data or without; the bytes are the same."""
    samples = tmp_path / "samples.npz"
    samples.write_bytes((PACKAGE / "demo" / "demo_samples.npz").read_bytes())
    said = {
        "none needed, as no output changes": (),
        "verified on, but not needed": ("--calibration_data", samples, "--lossless"),
    }
    for number, (text, flags) in enumerate(said.items()):
        output = tmp_path / f"{number}.tflite"
        result = run("fmtc-convert", model, *flags, "--output", output)
        assert result.returncode == 0, result.stderr
        assert f"data            {text}" in result.stdout
        for line in (
            "other uses      --execution ops codes feature maps",
            "--max_kl",
            "under the kernels",
            "delegates",
        ):
            assert line in result.stdout
        assert output.read_bytes() == converted.read_bytes()
        report = json.loads(output.with_suffix(".json").read_text())
        assert report["data"] == ("calibration" if flags else "synthetic")


def test_dry_run_prints_the_plan(model: Path) -> None:
    result = run("fmtc-convert", model, "--execution", "regions", "--dry_run")
    assert result.returncode == 0, result.stderr
    for text in ("bytes of scratch memory", "stage ends at", "planned arena", "kernels", "Edge TPU delegates cannot"):
        assert text in result.stdout
    assert sorted(p.name for p in model.parent.iterdir()) == ["demo.tflite"]


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--execution", "regions", "--max_kl", "0.1"], ["--objective traffic, too", "--max_kl"]),
        (["--execution", "regions", "--max_bits_per_value", "2"], ["--objective traffic", "--max_bits_per_value"]),
        (["--execution", "regions", "--objective", "traffic", "--max_kl", "0.1"], ["needs --calibration_data"]),
        (["--execution", "regions", "--max_arena", "1.5"], ["--max_arena", "--objective traffic"]),
        (["--execution", "regions", "--objective", "traffic", "--max_arena", "0.9"], ["--max_arena 0.9", "at least 1"]),
        (["--execution", "regions", "--objective", "traffic", "--max_arena", "nan"], ["--max_arena nan", "at least 1"]),
        (["--execution", "ops", "--max_arena", "1.5"], ["--execution regions"]),
        (["--execution", "regions", "--preset", "paper"], ["--preset paper"]),
        (["--execution", "ops", "--runtime", "ai_edge_litert"], ["--execution regions"]),
        (["--objective", "traffic", "--cpu", "avx2"], ["--execution regions"]),
        (["--execution", "ops", "--max_extra_macs", "0.05"], ["--execution regions"]),
        (["--execution", "regions", "--max_extra_macs", "1.5"], ["--max_extra_macs 1.5", "from 0 to 1"]),
        (["--execution", "regions", "--max_extra_macs", "-0.1"], ["--max_extra_macs -0.1", "from 0 to 1"]),
        (["--execution", "regions", "--max_extra_macs", "nan"], ["--max_extra_macs nan", "from 0 to 1"]),
        (["--execution", "ops", "--max_extra_time", "0.05"], ["--execution regions"]),
        (["--execution", "regions", "--max_extra_time", "1.5"], ["--max_extra_time 1.5", "from 0 to 1"]),
        (["--execution", "ops", "--cpu", "avx2"], ["--execution regions"]),
        (["--execution", "regions", "--cpu", "z80"], ["--cpu", "avx512"]),
        (["--execution", "regions", "--runtime", "tflite"], ["unknown runtime", "tensorflow"]),
        (["--input_shape", "x:1,2"], ["no input 'x'"]),
        (["--input_shape", "1,224,224,3"], ["expected NAME:1,224,224,3"]),
        (["--input_shape", "a:1,0,224,3"], ["positive sizes"]),
    ],
)
def test_bad_usage(model: Path, arguments: list[str], texts: list[str]) -> None:
    assert_fails(run("fmtc-convert", model, *arguments), 2, *texts)
    assert sorted(p.name for p in model.parent.iterdir()) == ["demo.tflite"]


def test_converted_models_are_refused(converted: Path) -> None:
    for execution in ("ops", "regions"):
        result = run("fmtc-convert", converted, "--execution", execution)
        assert_fails(result, 2, "FMTC_REGION", "--restore")


def test_filters_keep_ops_out(model: Path) -> None:
    result = run("fmtc-convert", model, "--execution", "regions", "--exclude", "conv2d_4", "--json", "--dry_run")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    excluded = [entry for entry in report["left_out"] if entry["reason"] == "matched by --exclude"]
    assert excluded
    assert all("conv2d_4" in entry["tensor"] for entry in excluded)
    nothing = run("fmtc-convert", model, "--execution", "regions", "--include", "no such name")
    assert_fails(nothing, 3, "not matched by --include")


def test_other_tools(converted: Path, model: Path, tmp_path: Path) -> None:
    samples = tmp_path / "samples.npz"
    samples.write_bytes((PACKAGE / "demo" / "demo_samples.npz").read_bytes())
    options = [
        "--reference_model_file",
        model,
        "--data",
        samples,
        "--num_samples",
        "40",
        "--json",
        tmp_path / "eval.json",
    ]
    evaluated = run("fmtc-eval", "--model_file", converted, *options)
    assert evaluated.returncode == 0, evaluated.stderr
    evaluation = json.loads((tmp_path / "eval.json").read_text())
    assert evaluation["runtime"]["kernels"] == default_kernels()
    assert evaluation["comparison"]["bit_exact"]
    profiled = run("fmtc-profile", converted, "--json", tmp_path / "profile.json")
    assert profiled.returncode == 0, profiled.stderr
    (profile,) = json.loads((tmp_path / "profile.json").read_text())["models"]
    arena = profile["arena"]
    assert arena["planned_bytes"] == arena["live_extent_bytes"]
    (region,) = profile["regions"]
    assert len(region["ops"]) >= 21
    assert sum(op["written_bytes"] for op in region["ops"]) > region["stored_bytes"] > 0
    assert any(op["op"] == "DEPTHWISE_CONV_2D" and op["tensor"] and op["nanoseconds"] for op in region["ops"])
    compared = run("fmtc-profile", model, "--compare", converted)
    assert compared.returncode == 0, compared.stderr


def open_shapes(path: Path) -> Path:
    """A model whose height and width are open."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("image", [1, 1, 1, 3], signature=[-1, -1, -1, 3])
    for number in range(3):
        x = graph.conv(x, 8, 3, name=f"t{number}", signature=[-1, -1, -1, 8], zero_point=-128)
    graph.output(x)
    path.write_bytes(builder.build())
    return path


def test_open_shapes(tmp_path: Path) -> None:
    path = open_shapes(tmp_path / "open.tflite")
    assert_fails(run("fmtc-convert", path, "--execution", "regions"), 2, "--input_shape 'image:?,?,?,3'")
    for execution in ("regions", "ops"):
        result = run("fmtc-convert", path, "--execution", execution, "--input_shape", "image:1,24,20,3", "--overwrite")
        assert result.returncode == 0, result.stderr
        (output,) = load_model(tmp_path / "open_fmtc.tflite").subgraphs[0].outputs
        assert output.shape == (1, 24, 20, 8)


def options_of(kernels: str, extra_macs: float) -> ConvertOptions:
    return ConvertOptions(execution="regions", kernels=cast("Kernels", kernels), max_extra_macs=extra_macs)


def check_memory_and_file(name: str, content: bytes, kernels: str, extra_macs: float) -> tuple[int, int]:
    """Planned equals live to the byte, and the file hardly grows; returns the original's arena and the live one."""
    result = convert_content(content, options_of(kernels, extra_macs))
    model = load_model(result.content)
    planned = plan_arena(model, scratch_bytes=region_scratch_bytes).capacity_bytes
    live = measure_arena(ModelFile(model, result.content)).extent_bytes
    assert planned == live == result.report["arena"]["converted_planned_bytes"], name
    assert len(result.content) <= len(content) + max(0.05 * len(content), 4096), name
    return plan_arena(load_model(content), scratch_bytes=no_scratch).capacity_bytes, live


def test_planned_is_live(tmp_path: Path) -> None:
    arenas = []
    for extra_macs in (0, 0.05, 0.3):
        original, live = check_memory_and_file("demo", DEMO, "builtin", extra_macs)
        assert live <= 0.16 * original
        arenas.append(live)
    assert arenas == sorted(arenas, reverse=True)
    assert arenas[-1] < arenas[0]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "extra_macs"), [(name, share) for name, limits in MODELS.items() for share in limits])
def test_real_models(real_data: Path, name: str, extra_macs: float) -> None:
    content = (real_data / "models" / f"{name}.tflite").read_bytes()
    original, live = check_memory_and_file(name, content, "xnnpack", extra_macs)
    limit = MODELS[name][extra_macs]
    assert live <= (limit * original if limit < 1 else limit)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "extra_macs"), [(name, share) for name, (_, limits) in ARCHITECTURES.items() for share in limits]
)
def test_architectures(name: str, extra_macs: float) -> None:
    build, limits = ARCHITECTURES[name]
    original, live = check_memory_and_file(name, build(), "xnnpack", extra_macs)
    assert live <= limits[extra_macs] * original


@pytest.mark.slow
@pytest.mark.parametrize("kernels", ["builtin", "reference"])
@pytest.mark.parametrize(
    ("name", "extra_macs"),
    [
        ("resnet8_cifar10_int8", 0),
        ("ds_cnn_kws_int8", 0),
        ("tinyengine_vww", 0),
        ("tinyengine_vww", 0.05),
        ("mobilenet_v1_0.25_96_vww_int8", 0.05),
        ("mobilenet_v2_1.0_224_int8", 0.02),
        ("mobilenet_v2_1.0_224_int8", 0.05),
        ("deeplabv3_mnv2_pascal_uint8", 0),
    ],
)
def test_real_models_under_other_kernels(real_data: Path, name: str, extra_macs: float, kernels: str) -> None:
    path = real_data / "models" / f"{name}.tflite"
    options = options_of(kernels, extra_macs)
    assert convert(path, options=options, dry_run=True).report["fidelity"]["bit_exact"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernels", "limit", "outside"),
    [
        ("xnnpack", 0.545, {"LOGISTIC": "depends on the processor", "SQRT": "depends on the processor"}),
        ("builtin", 0.39, {}),
        ("reference", 0.415, {"LOGISTIC": "C library"}),
    ],
)
def test_pose_network(tmp_path: Path, kernels: str, limit: float, outside: dict[str, str]) -> None:
    path = tmp_path / "pose.tflite"
    path.write_bytes(pose_network())
    options = ConvertOptions(execution="regions", kernels=kernels)  # type: ignore[arg-type]
    report = convert(path, options=options, dry_run=True).report
    assert report["fidelity"]["bit_exact"]
    assert report["arena"]["converted_planned_bytes"] <= limit * report["arena"]["original_planned_bytes"]
    reasons = {op["op"]: op["reason"] for op in report["left_out"]}
    for opcode in ("LOGISTIC", "SQRT"):
        assert (opcode in reasons) == (opcode in outside)
        assert outside.get(opcode, "") in reasons.get(opcode, "")


def test_traffic_stores_less_for_a_little_more_memory() -> None:
    arena = convert_content(DEMO, ConvertOptions(execution="regions")).report
    traffic = convert_content(DEMO, ConvertOptions(execution="regions", objective="traffic", max_arena=1.2))
    report, stored = traffic.report, traffic.report["stored"]
    jsonschema.validate(report, SCHEMA)
    assert report["fidelity"]["bit_exact"]
    most = 1.2 * arena["arena"]["converted_planned_bytes"]
    assert report["arena"]["converted_planned_bytes"] <= most
    assert measure_arena(ModelFile.parse(traffic.content)).extent_bytes <= most
    assert stored["bytes"] < arena["stored"]["bytes"] == arena["stored"]["raw_bytes"]
    coded = [cut for region in report["regions"] for cut in region["cuts"] if "coded_bytes" in cut]
    assert len(coded) == stored["coded_cuts"] > 0
    assert all(cut["coded_bytes"] < cut["bytes"] <= cut["segments"] * cut["slot_bytes"] for cut in coded)
    assert stored["num_samples"] > 0


@pytest.mark.parametrize("kernels", [kernels for kernels in KERNEL_SETS if kernels != "xnnpack"])
def test_traffic_is_exact_under_other_kernels(kernels: str) -> None:
    options = ConvertOptions(execution="regions", objective="traffic", max_arena=1.2, kernels=cast(Kernels, kernels))
    report = convert_content(DEMO, options).report
    assert report["fidelity"]["bit_exact"]
    assert report["kernels"] == kernels

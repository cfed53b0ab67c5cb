"""fmtc-eval as installed: figures, files, resumption, dying workers, and what bad input gets."""

from __future__ import annotations

import csv
import importlib.resources
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from fmtc_tflite.graph.model_io import load_model

SCRIPTS = Path(sys.executable).parent
PACKAGE = importlib.resources.files("fmtc_tflite")
SCHEMA = json.loads((PACKAGE / "evaluation_schema.json").read_text())
LARGE = 2400  # samples: enough to be interrupted


def command(*arguments: str | Path) -> list[str]:
    return [str(SCRIPTS / "fmtc-eval"), *map(str, arguments)]


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, **options)  # type: ignore[call-overload]


def evaluate(json_file: Path, *arguments: str | Path) -> dict:
    result = run("--json", json_file, *arguments)
    assert result.returncode == 0, result.stderr
    document = json.loads(json_file.read_text())
    jsonschema.validate(document, SCHEMA)
    assert not Path(f"{json_file}.partial").exists()
    return document


def without_timing(document: dict) -> dict:
    assert document["timing"]["latency"]["model"]["median_ms"] > 0
    return {key: value for key, value in document.items() if key != "timing"}


def rows_of(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text().splitlines()))


def assert_fails(result: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert (result.returncode, len(errors)) == (code, 1), result.stderr
    assert "Traceback" not in result.stderr
    for text in texts:
        assert text in errors[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, its samples, a larger set of them, and the model converted without and with loss."""
    folder = tmp_path_factory.mktemp("evaluate")
    for name in ("demo_int8.tflite", "demo_samples.npz"):
        (folder / name).write_bytes((PACKAGE / "demo" / name).read_bytes())
    with np.load(folder / "demo_samples.npz") as samples:
        arrays = {name: np.concatenate([samples[name]] * (LARGE // 200)) for name in ("x", "y")}
    np.savez(folder / "large.npz", **arrays)
    for name, flags in (("lossless", ["--execution", "ops", "--lossless"]), ("lossy", ["--max_bits_per_value", "1.5"])):
        convert = [SCRIPTS / "fmtc-convert", folder / "demo_int8.tflite", "--calibration_data"]
        convert += [folder / "demo_samples.npz", *flags, "--output", folder / f"{name}.tflite"]
        done = subprocess.run(list(map(str, convert)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def pair(folder: Path) -> list[str | Path]:
    """Flags for the lossily converted model beside the original."""
    return ["--model_file", folder / "lossy.tflite", "--reference_model_file", folder / "demo_int8.tflite"]


def test_one_model_alone(folder: Path, tmp_path: Path) -> None:
    model, data = folder / "demo_int8.tflite", folder / "demo_samples.npz"
    document = evaluate(tmp_path / "r.json", "--model_file", model, "--data", data)
    assert document["model"]["accuracy"]["top1"] >= 0.95
    assert document["model"]["coded"] is None
    assert document["reference_model"] is document["comparison"] is None
    assert document["data"]["num_samples"] == 200


def test_lossless_model_differs_in_nothing(folder: Path, tmp_path: Path) -> None:
    model, reference = folder / "lossless.tflite", folder / "demo_int8.tflite"
    document = evaluate(
        tmp_path / "r.json",
        *("--model_file", model, "--reference_model_file", reference, "--data", folder / "demo_samples.npz"),
    )
    comparison = document["comparison"]
    assert comparison["bit_exact"]
    assert comparison["fidelity"]["kl_mean_nats"] == 0
    assert comparison["fidelity"]["top1_agreement"] == 1
    assert comparison["output_sqnr_db"] is None
    assert comparison["accuracy"]["top1_difference"] == 0
    assert comparison["accuracy"]["mcnemar_p_value"] == 1
    assert document["model"]["accuracy"] == document["reference_model"]["accuracy"]


def test_sizes_are_those_of_the_conversion(folder: Path, tmp_path: Path) -> None:
    """The report's held-back samples are others, but the network and what counts in it are the same."""
    document = evaluate(
        tmp_path / "r.json", "--model_file", folder / "lossless.tflite", "--data", folder / "demo_samples.npz"
    )
    coded, report = document["model"]["coded"], json.loads((folder / "lossless.json").read_text())
    for key in ("feature_map_values", "coded_values", "side_information_bytes"):
        assert coded[key] == report["totals"][key]
    assert coded["bits_per_value"]["mean"] == pytest.approx(report["totals"]["bits_per_value"], rel=0.1)
    assert sum(site["coded_bytes"]["mean"] for site in coded["sites"]) == pytest.approx(coded["coded_bytes"]["mean"])
    assert coded["bits_per_value"]["p99"] <= coded["bits_per_value"]["max"]


def test_lossy_model_with_predictions(folder: Path, tmp_path: Path, pair: list[str | Path]) -> None:
    table = tmp_path / "predictions.csv"
    document = evaluate(tmp_path / "r.json", *pair, "--data", folder / "demo_samples.npz", "--predictions_csv", table)
    comparison = document["comparison"]
    assert not comparison["bit_exact"]
    assert comparison["fidelity"]["kl_mean_nats"] > 0
    assert comparison["output_sqnr_db"] > 0
    rows = rows_of(table)
    assert len(rows) == 200
    hits = [(row["prediction"] == row["label"], row["reference_prediction"] == row["label"]) for row in rows]
    assert sum(hit for hit, _ in hits) == document["model"]["accuracy"]["num_correct"]
    assert sum(hit for _, hit in hits) == document["reference_model"]["accuracy"]["num_correct"]
    assert sum(a and not b for a, b in hits) == comparison["accuracy"]["only_model_correct"]
    assert sum(b and not a for a, b in hits) == comparison["accuracy"]["only_reference_correct"]
    mean_bytes = np.mean([int(row["coded_bytes"]) for row in rows])
    assert mean_bytes == pytest.approx(document["model"]["coded"]["coded_bytes"]["mean"])
    mean_kl = np.mean([float(row["kl_nats"]) for row in rows])
    assert mean_kl == pytest.approx(comparison["fidelity"]["kl_mean_nats"])


def test_first_and_random_samples(folder: Path, tmp_path: Path) -> None:
    flags = ["--model_file", folder / "demo_int8.tflite", "--data", folder / "demo_samples.npz", "--num_samples", "9"]
    names = {}
    for seed in ("", "0", "1"):
        table = tmp_path / f"{seed}.csv"
        evaluate(tmp_path / f"{seed}.json", *flags, "--predictions_csv", table, *(["--seed", seed] if seed else []))
        names[seed] = [row["sample"] for row in rows_of(table)]
    assert names[""] == [f"{folder / 'demo_samples.npz'}[{i}]" for i in range(9)]
    assert len({tuple(chosen) for chosen in names.values()}) == 3


def test_results_do_not_depend_on_the_number_of_workers(folder: Path, tmp_path: Path, pair: list[str | Path]) -> None:
    flags = [*pair, "--data", folder / "demo_samples.npz"]
    documents = [evaluate(tmp_path / f"{n}.json", *flags, "--num_workers", str(n)) for n in (1, 2, 3)]
    assert without_timing(documents[0]) == without_timing(documents[1]) == without_timing(documents[2])


@pytest.fixture(scope="module")
def uninterrupted(folder: Path) -> dict:
    """The result on the large set, in one go."""
    models = ["--model_file", folder / "lossy.tflite", "--reference_model_file", folder / "demo_int8.tflite"]
    return without_timing(evaluate(folder / "r.json", *models, "--data", folder / "large.npz"))


def wait_for(condition: Iterator[bool]) -> None:
    deadline = time.monotonic() + 60
    while not next(condition):
        assert time.monotonic() < deadline
        time.sleep(0.002)


def shards(partial: Path) -> list[Path]:
    return sorted(partial.glob("shard_*.npz"))


@pytest.mark.parametrize("num_workers", ["1", "2"])
def test_killed_and_resumed(
    folder: Path, tmp_path: Path, pair: list[str | Path], uninterrupted: dict, num_workers: str
) -> None:
    flags = [*pair, "--data", folder / "large.npz", "--num_workers", num_workers]
    result, partial = tmp_path / "r.json", tmp_path / "r.json.partial"
    process = subprocess.Popen(command("--json", result, *flags), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(len(shards(partial)) >= 10 for _ in iter(int, 1))
    process.kill()
    process.wait()
    kept = len(shards(partial))
    assert 10 <= kept < LARGE // 32
    assert not result.exists()

    refused = run("--json", result, *pair, "--data", folder / "demo_samples.npz", "--label_offset", "0")
    assert_fails(refused, 2, "interrupted run that differs", "--data")
    refused = run("--json", result, "--model_file", folder / "lossless.tflite", *pair[2:], *flags[4:])
    assert_fails(refused, 2, "--model_file")
    assert len(shards(partial)) == kept

    document = evaluate(result, *flags)
    assert without_timing(document) == uninterrupted


def test_ctrl_c_keeps_what_is_done(folder: Path, tmp_path: Path, pair: list[str | Path]) -> None:
    partial = tmp_path / "kept"
    flags = [*pair, "--data", folder / "large.npz", "--num_workers", "2", "--resume_dir", partial]
    process = subprocess.Popen(command(*flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(len(shards(partial)) >= 2 for _ in iter(int, 1))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert f"goes on from what is kept in {partial}" in errors
    assert len(shards(partial)) >= 2


def workers_of(process: subprocess.Popen) -> list[int]:
    """Worker processes of the tool, by the function that `spawn` starts them with."""
    (work,) = children_of(process.pid)
    return [pid for pid in children_of(work) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="needs /proc with children")
def test_a_worker_that_dies_changes_nothing(
    folder: Path, tmp_path: Path, pair: list[str | Path], uninterrupted: dict
) -> None:
    result, partial = tmp_path / "r.json", tmp_path / "r.json.partial"
    flags = ["--json", result, *pair, "--data", folder / "large.npz", "--num_workers", "2"]
    process = subprocess.Popen(command(*flags), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(len(shards(partial)) >= 2 for _ in iter(int, 1))
    os.kill(workers_of(process)[0], signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert without_timing(json.loads(result.read_text())) == uninterrupted


def test_image_folders_and_label_maps(folder: Path, tmp_path: Path) -> None:
    with np.load(folder / "demo_samples.npz") as samples:
        for i, (x, y) in enumerate(zip(samples["x"][:60], samples["y"], strict=False)):
            path = tmp_path / "images" / str(y) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(x[:, :, 0]).save(path)
    flags = ["--model_file", folder / "demo_int8.tflite"]
    document = evaluate(tmp_path / "r.json", *flags, "--data", tmp_path / "images")
    assert document["model"]["accuracy"]["num_correct"] >= 57
    for path in (tmp_path / "images" / "4").iterdir():
        path.unlink()
    (tmp_path / "images" / "4").rmdir()
    assert_fails(run(*flags, "--data", tmp_path / "images"), 2, "has 9 classes", "10", "--label_offset 1")


@pytest.fixture
def bad_data(tmp_path: Path) -> dict[str, Path]:
    x = np.zeros((3, 32, 32, 1), np.uint8)
    np.savez(tmp_path / "labels.npz", x=x, y=np.array([0, 10, 1]))
    np.savez(tmp_path / "maps.npz", x=x, y=np.zeros((3, 32, 32), int))
    (tmp_path / "empty").mkdir()
    (tmp_path / "corrupt").mkdir()
    (tmp_path / "corrupt" / "a.png").write_bytes(b"\x89PNG")
    return {path.stem: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ("labels", ["got 10 with --label_offset 0", "0 to 9"]),
        ("maps", ["has labels", "expected class numbers"]),
        ("empty", ["got no images"]),
        ("corrupt", ["a.png", "--skip_unreadable"]),
    ],
)
@pytest.mark.parametrize("num_workers", ["1", "2"])
def test_bad_data(folder: Path, bad_data: dict[str, Path], data: str, texts: list[str], num_workers: str) -> None:
    flags = ["--model_file", folder / "demo_int8.tflite", "--data", bad_data[data], "--num_workers", num_workers]
    assert_fails(run(*flags), 2, *texts)


def test_bad_usage(folder: Path, tmp_path: Path) -> None:
    model, data = folder / "demo_int8.tflite", folder / "demo_samples.npz"
    assert_fails(run("--data", data), 2, "MODEL.tflite")
    assert_fails(run("--model_file", model, "--data", data, "stray"), 2, "stray")
    assert_fails(run("--model_file", model, "--data", "tfds:mnist"), 2, "tfds:NAME[SPLIT]")
    assert_fails(run("--model_file", tmp_path / "none.tflite", "--data", data), 2, "none.tflite")
    (tmp_path / "r.json").write_text("mine")
    assert_fails(run("--model_file", model, "--data", data, "--json", tmp_path / "r.json"), 2, "--overwrite")
    assert (tmp_path / "r.json").read_text() == "mine"


def test_only_converted_models_need_the_library(folder: Path) -> None:
    environment = {**os.environ, "FMTC_LIBRARY": str(folder / "missing.so")}
    flags = ["--data", folder / "demo_samples.npz", "--num_samples", "3"]
    assert run("--model_file", folder / "demo_int8.tflite", *flags, env=environment).returncode == 0
    assert_fails(run("--model_file", folder / "lossy.tflite", *flags, env=environment), 5, "missing.so")


def test_the_tool_in_the_source_tree_is_the_same(repository: Path) -> None:
    tool = subprocess.run(
        [sys.executable, repository / "tools" / "eval_accuracy.py", "--help"], capture_output=True, text=True
    )
    assert tool.returncode == 0
    for flag in ("--model_file", "--label_offset", "--resume_dir", "--central_crop", "--predictions_csv"):
        assert flag in tool.stdout


def test_measured_models_are_left_as_they_are(folder: Path) -> None:
    """Tensors are exposed in a copy."""
    assert len(load_model(folder / "lossy.tflite").subgraphs[0].outputs) == 1


CIFAR = ["cifar10/evaluation.npz", "--num_samples", "500"]
IMAGENET = ["imagenet/evaluation.csv"]
BASELINES = [
    ("ds_cnn_kws_int8", ["kws/evaluation.npz"], 0.9),
    ("resnet8_cifar10_int8", CIFAR, 0.742),
    ("resnet56_cifar10_int8", [*CIFAR, "--preprocessing", "torch"], 0.824),
    ("resnet18_cifar10_64_int8", [*CIFAR, "--preprocessing", "torch", "--resize", "64,64"], 0.842),
    (
        "mobilenet_v2_1.0_224_int8",
        ["imagenet/evaluation.csv", "--central_crop", "0.875", "--label_offset", "1"],
        0.8975,
    ),
]


@pytest.mark.parametrize(("name", "flags", "top1"), BASELINES, ids=[name for name, _, _ in BASELINES])
def test_baselines(real_data: Path, tmp_path: Path, name: str, flags: list[str], top1: float) -> None:
    model = real_data / "models" / f"{name}.tflite"
    document = evaluate(tmp_path / "r.json", "--model_file", model, "--data", real_data / flags[0], *flags[1:])
    assert document["model"]["accuracy"]["top1"] == top1


def test_an_imagenet_model_with_a_background_class(real_data: Path) -> None:
    model, data = real_data / "models" / "mobilenet_v2_1.0_224_int8.tflite", real_data / "imagenet" / "evaluation.csv"
    assert_fails(run("--model_file", model, "--data", data), 2, "--label_offset 1")


def test_segmentation_by_files(real_data: Path, tmp_path: Path) -> None:
    """Label maps that the model itself gave: its IoU with them is 1, whatever the form of the data."""
    model = real_data / "models" / "deeplabv3_mnv2_pascal_uint8.tflite"
    images = sorted((real_data / "imagenet" / "images").iterdir())[:2]
    Image.new("L", (20, 10), 255).save(tmp_path / "void.png")
    lines = "".join(f"{os.path.relpath(image, tmp_path)},void.png\n" for image in images)
    (tmp_path / "list.csv").write_text("file,label\n" + lines)
    flags = ["--model_file", model, "--reference_model_file", model, "--preprocessing", "raw"]
    document = evaluate(tmp_path / "r.json", *flags, "--data", tmp_path / "list.csv")
    assert document["data"]["task"] == "segmentation"
    assert document["model"]["accuracy"]["mean_iou"] is None  # all is void
    assert document["comparison"]["fidelity"] == {
        "measure": "disagreement",
        "source_tensor": "ArgMax",
        "disagreement_mean": 0.0,
        "std_error": 0.0,
        "top1_agreement": None,
        "num_samples": 2,
    }
    Image.new("L", (20, 10), 0).save(tmp_path / "void.png")
    document = evaluate(tmp_path / "r0.json", *flags, "--data", tmp_path / "list.csv")
    assert 0 < document["model"]["accuracy"]["mean_iou"] <= 1
    assert document["comparison"]["accuracy"] == {"mean_iou_difference": 0.0}

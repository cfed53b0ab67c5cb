"""The recipe of docs/pytorch.md: a CNN from PyTorch, exported and quantized, is converted and evaluated."""

from __future__ import annotations

import importlib.resources
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import documents

DEMO = Path(str(importlib.resources.files("fmtc_tflite") / "demo"))
COMMITTED = Path(__file__).resolve().parent.parent / "models" / "pytorch_int8.tflite"
PAGE = "docs/pytorch.md"


def run(command: str) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def write_images(folder: Path, count: int) -> np.ndarray:
    """The demo's digits as image files, and their labels in the order of the folder."""
    with np.load(DEMO / "demo_samples.npz") as samples:
        pixels, labels = samples["x"][:count], samples["y"][:count]
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(folder / str(label) / f"{number}.png")
    return labels


def test_the_export_program(tmp_path: Path) -> None:
    """Where PyTorch is installed: it writes a model of the committed one's form."""
    pytest.importorskip("litert_torch")
    pytest.importorskip("litert_quantizer")
    (block,) = (b for b in documents.blocks() if b.page == PAGE and b.language == "python")
    Path("export.py").write_text(block.text)
    shutil.copy(DEMO / "demo_samples.npz", "samples.npz")
    run(f"{sys.executable} export.py")
    assert np.load("representative.npy").shape == (100, 3, 32, 32)
    converted = run("fmtc-convert pytorch_int8.tflite --calibration_data representative.npy --dry_run --json")
    committed = run(f"fmtc-convert {COMMITTED} --calibration_data representative.npy --dry_run --json")
    assert converted.count('"shape"') == committed.count('"shape"') == 10


def test_labels_and_layouts_of_the_exported_model() -> None:
    """All forms of the same images give the same outputs, and the accuracy that the network has in PyTorch."""
    shutil.copy(COMMITTED, "m.tflite")
    labels = write_images(Path("images"), 60)
    with np.load(DEMO / "demo_samples.npz") as samples:
        rgb = np.repeat(samples["x"][:60], 3, axis=3)
    real = ((rgb / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).astype(np.float32)
    np.savez("last.npz", x=rgb, y=labels)
    np.savez("first.npz", x=rgb.transpose(0, 3, 1, 2), y=labels)
    np.savez("real.npz", x=real.transpose(0, 3, 1, 2), y=labels)
    np.savez("real_last.npz", x=real, y=labels)
    for data in ("images/", "last.npz", "first.npz", "real.npz", "real_last.npz"):
        preprocessing = "" if "real" in data else "--preprocessing torch"
        run(f"fmtc-eval --model_file m.tflite --data {data} {preprocessing} --json {Path(data).stem}.json")
        measured = json.loads(Path(f"{Path(data).stem}.json").read_text())
        assert (measured["model"]["accuracy"]["top1"], measured["data"]["num_samples"]) == (1.0, 60), data
    assert "60 samples (npz)" in run("fmtc-profile m.tflite --data first.npz --preprocessing torch")


def test_without_preprocessing_the_range_is_asked_for() -> None:
    shutil.copy(COMMITTED, "m.tflite")
    write_images(Path("images"), 2)
    done = subprocess.run(
        [Path(sys.executable).parent / "fmtc-eval", "--model_file", "m.tflite", "--data", "images"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "its real range is [-2.127, 2.631], expected about [0, 255], [0, 1] or [-1, 1]" in done.stderr

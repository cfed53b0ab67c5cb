"""Accuracies of public models on public data, to the last image: readers, preprocessing and metrics together."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.data.opening import Dataset, input_specs_from_model, open_dataset
from fmtc_tflite.data.preprocess import Preprocessing
from fmtc_tflite.fidelity.accuracy import LabelRanks
from fmtc_tflite.graph.model_io import load_model

PLAIN = Preprocessing()


@dataclass(frozen=True)
class Baseline:
    """Number of images and of hits among them, and of hits among the first 50."""

    model: str
    data: str
    count: int
    hits: int
    first_hits: int
    preprocessing: Preprocessing = PLAIN
    label_offset: int = 0


CIFAR, KWS, IMAGENET = "cifar10/evaluation.npz", "kws/evaluation.npz", "imagenet/evaluation.csv"
BASELINES = [
    Baseline("ds_cnn_kws_int8", KWS, 400, 360, 45),
    Baseline("resnet8_cifar10_int8", CIFAR, 500, 371, 37),
    Baseline("resnet56_cifar10_int8", CIFAR, 500, 412, 41, Preprocessing("torch")),
    Baseline("resnet18_cifar10_64_int8", CIFAR, 500, 421, 41, Preprocessing("torch", resize=(64, 64))),
    Baseline("mobilenet_v2_1.0_224_int8", IMAGENET, 400, 359, 41, Preprocessing(central_crop=0.875), 1),
]


def open_for(model_path: Path, data: Path, preprocessing: Preprocessing) -> Dataset:
    specs = input_specs_from_model(load_model(model_path))
    return open_dataset(data, input_specs=specs, preprocessing=preprocessing)


def hits(model_path: Path, dataset: Dataset, label_offset: int = 0) -> int:
    interpreters = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = interpreters.Interpreter(str(model_path), num_threads=1)
    interpreter.allocate_tensors()
    input_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]
    metric = LabelRanks(label_offset)
    assert dataset.labels is not None
    for sample, label in zip(dataset, dataset.labels, strict=True):
        (value,) = sample.values()
        interpreter.set_tensor(input_index, value)
        interpreter.invoke()
        metric.add(interpreter.get_tensor(output_index), [label])
    return int(metric.hits().sum())


@pytest.mark.parametrize("part", ["first", pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.model)
def test_baseline(real_data: Path, baseline: Baseline, part: str) -> None:
    model_path = real_data / "models" / f"{baseline.model}.tflite"
    dataset = open_for(model_path, real_data / baseline.data, baseline.preprocessing)
    count, expected = (baseline.count, baseline.hits) if part == "all" else (50, baseline.first_hits)
    assert hits(model_path, dataset.subset(np.arange(count)), baseline.label_offset) == expected


def test_demo_model_on_its_samples() -> None:
    folder = Path(str(files("fmtc_tflite") / "demo"))
    model_path, samples = folder / "demo_int8.tflite", folder / "demo_samples.npz"
    assert model_path.stat().st_size + samples.stat().st_size < 400_000
    dataset = open_for(model_path, samples, PLAIN)
    assert len(dataset) == 200
    assert hits(model_path, dataset) >= 195

"""The paper's scheme as a baseline, against the conversion that carries it out."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.data.opening import input_specs_from_model, open_dataset
from fmtc_tflite.data.preprocess import Preprocessing
from fmtc_tflite.graph.coded_maps import candidate_maps
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.profiling.paper_baseline import measure_paper
from fmtc_tflite.types import CalibrationOptions, ConvertOptions

DEMO = importlib.resources.files("fmtc_tflite") / "demo"
CONTENT = (DEMO / "demo_int8.tflite").read_bytes()


def test_sizes_agree_with_a_conversion_and_its_model_has_the_same_maps() -> None:
    data = Path(str(DEMO / "demo_samples.npz"))
    model = load_model(CONTENT)
    maps = candidate_maps(model)
    samples = open_dataset(data, input_specs=input_specs_from_model(model), preprocessing=Preprocessing("raw"))
    baseline = measure_paper(ModelFile(model, CONTENT), list(maps.values()), samples, 7)
    assert (baseline.calibration_samples, baseline.counted_samples) == (16, 16)

    calibration = CalibrationOptions(data=data, preprocessing="raw")
    result = convert_content(CONTENT, ConvertOptions(calibration, preset="paper", paper_bits=7.0))
    bits = {s["tensor"]: s["paper"]["huffman_bits_per_value"] for s in result.report["sites"]}
    assert list(bits) == list(maps)
    assert set(candidate_maps(load_model(result.content))) == set(maps)
    for name, tensor in maps.items():
        measured = 8 * baseline.mean_bytes[tensor] / int(np.prod(tensor.shape))
        # Another calibration, so other ranges, and int8 weights.
        assert measured == pytest.approx(bits[name], rel=0.25)


def test_one_sample_is_enough() -> None:
    model = load_model(CONTENT)
    tensor = next(iter(candidate_maps(model).values()))
    image = np.random.default_rng(0).integers(-128, 128, (1, 32, 32, 1)).astype(np.int8)
    sample = {model.subgraphs[0].inputs[0].name: image}
    baseline = measure_paper(ModelFile(model, CONTENT), [tensor], [sample], 8)
    assert (baseline.calibration_samples, baseline.counted_samples) == (1, 1)
    assert baseline.mean_bytes[tensor] > 0

"""The preset `paper`: what it does to a network, and what it counts."""

from __future__ import annotations

import importlib.resources
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.errors import UnsupportedModelError, UsageError
from fmtc_tflite.graph.edits.restore import restore
from fmtc_tflite.graph.model import Op, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.names import COEFFICIENTS_SUFFIX, DECODE, ENCODE
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.types import CalibrationOptions, ConvertOptions
from model_builder import ModelBuilder

DEMO = importlib.resources.files("fmtc_tflite") / "demo"
CONTENT = (DEMO / "demo_int8.tflite").read_bytes()


def convert(bits: float | None = None) -> ConversionResult:
    data = CalibrationOptions(data=Path(str(DEMO / "demo_samples.npz")), num_samples=64)
    return convert_content(CONTENT, ConvertOptions(data, preset="paper", paper_bits=bits))


@pytest.fixture(scope="module")
def results() -> dict[float, ConversionResult]:
    return {bits: convert(bits) for bits in (5.0, 7.0, 10.0)}


def side_information(result: ConversionResult) -> dict[str, tuple[Op, SideInformation]]:
    ops = [op for op in load_model(result.content).subgraphs[0].ops if op.opcode == ENCODE]
    return {coded(op).name.removesuffix("/fmtc_coded"): (op, parse(op)) for op in ops}


def coded(op: Op) -> Tensor:
    assert op.outputs[0] is not None
    return op.outputs[0]


def parse(op: Op) -> SideInformation:
    constant = op.inputs[1]
    assert constant is not None
    assert constant.data is not None
    return SideInformation.from_bytes(constant.data.tobytes())


def test_more_bits_cost_more_and_lose_less(results: dict[float, ConversionResult]) -> None:
    totals = [results[bits].report["totals"]["bits_per_value"] for bits in (5.0, 7.0, 10.0)]
    losses = [results[bits].report["fidelity"]["kl_mean"] for bits in (5.0, 7.0, 10.0)]
    assert totals == sorted(totals)
    assert losses[0] > 2 * losses[1]
    assert losses[1] > losses[2] / 2
    assert not results[7.0].report["fidelity"]["bit_exact"]


def test_huffman_and_entropy_are_counted_beside_the_payload(results: dict[float, ConversionResult]) -> None:
    for site in results[7.0].report["sites"]:
        paper = site["paper"]
        assert 0 < paper["shannon_bits_per_value"] <= paper["huffman_bits_per_value"]
        assert paper["huffman_bits_per_value"] < paper["shannon_bits_per_value"] + 1
        assert paper["bits"] == pytest.approx(7)
        assert site["transform"] == ("folded_klt" if paper["before_activation"] else "klt")
        assert paper["before_activation"] == (site["producer"] == "CONV_2D")
        # The encoder's tables come from other samples, and there are headers; else it codes the same coefficients.
        assert site["bits_per_value"] == pytest.approx(paper["shannon_bits_per_value"], rel=0.1, abs=0.25)
        assert site["bits_per_value"] > 0.99 * paper["shannon_bits_per_value"]


def test_one_table_no_prediction_one_step(results: dict[float, ConversionResult]) -> None:
    for op, info in side_information(results[7.0]).values():
        assert len(info.classes) == 1
        assert not info.predictor.any()
        assert (info.steps == 16).all()
        source = op.inputs[0]
        assert source is not None
        assert source.name.endswith(COEFFICIENTS_SUFFIX) == (info.analysis is None)


def test_wide_coefficients_are_split_or_their_step_is_coarser(results: dict[float, ConversionResult]) -> None:
    found = {site["tensor"]: site for site in results[10.0].report["sites"]}
    split = 0
    for name, (_, info) in side_information(results[10.0]).items():
        bits = found[name]["paper"]["bits"]
        assert 8 - 0.02 <= bits <= 10 + 1e-6
        assert info.components <= info.channels
        split += bits > 8.5
    assert split


def test_decoded_maps_differ_by_about_the_step(results: dict[float, ConversionResult]) -> None:
    original = load_model(CONTENT)
    converted = load_model(results[7.0].content)
    runners = [ModelRunner(ModelFile(original, CONTENT)), ModelRunner(ModelFile(converted, results[7.0].content))]
    with np.load(str(DEMO / "demo_samples.npz")) as arrays:
        image = (arrays["x"][:1].astype(np.int16) - 128).astype(np.int8)
    for model, runner in zip((original, converted), runners, strict=True):
        runner.run({model.subgraphs[0].inputs[0].name: image})
    site = results[7.0].report["sites"][0]  # what comes before it is not coded
    tensor = next(t for t in original.subgraphs[0].tensors if t.name == site["tensor"])
    decode = next(op for op in converted.subgraphs[0].ops if op.opcode == DECODE)
    assert decode.outputs[0] is not None
    error = runners[0].read(tensor).astype(float) - runners[1].read(decode.outputs[0])
    assert 0 < np.sqrt((error**2).mean()) < 2 * (site["paper"]["step"] / np.sqrt(12) + 1 / np.sqrt(12))


def test_a_rotated_model_cannot_be_restored(results: dict[float, ConversionResult]) -> None:
    with pytest.raises(UnsupportedModelError, match="is folded"):
        restore(load_model(results[7.0].content))


def test_uint8_maps_and_too_few_samples(tmp_path: Path) -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 6, 6, 3], "UINT8", scale=1 / 64, zero_point=128)
    y = graph.conv(x, 6, 3, activation="RELU", name="first", scale=0.2, zero_point=100)
    graph.output(graph.conv(y, 40, 3, name="second", scale=0.5, zero_point=128))
    np.save(tmp_path / "x.npy", np.random.default_rng(1).integers(0, 256, (40, 6, 6, 3)).astype(np.uint8))
    data = CalibrationOptions(data=tmp_path / "x.npy", preprocessing="raw")
    (site,) = convert_content(builder.build(), ConvertOptions(data, preset="paper")).report["sites"]
    assert site["transform"] == "klt"
    assert site["paper"]["note"] is None

    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 6, 6, 3]), 300, 11, name="wide", scale=2.0)
    graph.output(graph.conv(x, 4))
    report = convert_content(builder.build(), ConvertOptions(replace(data, num_samples=16), preset="paper")).report
    assert "too few for a KLT of 300 dimensions" in report["sites"][0]["paper"]["note"]


def test_the_same_bytes_again(results: dict[float, ConversionResult]) -> None:
    assert convert(5.0).content == results[5.0].content


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paper_bits": 8.0}, "--paper_bits belongs to --preset paper"),
        ({"preset": "paper", "paper_bits": 1.0}, "--paper_bits 1: expected 2 to 10"),
        ({"preset": "paper", "max_kl": 0.1}, "--max_kl has no meaning"),
        ({"preset": "paper", "lossless": True}, "--lossless has no meaning"),
        ({"preset": "paper", "objective": "arena"}, "--objective arena has no meaning"),
        ({"preset": "paper", "calibration": CalibrationOptions()}, "needs --calibration_data"),
    ],
)
def test_options_that_contradict_the_preset(options: dict[str, object], message: str) -> None:
    chosen = {"calibration": CalibrationOptions(data=Path("x.npz")), **options}
    with pytest.raises(UsageError, match=message):
        ConvertOptions(**chosen).check()  # type: ignore[arg-type]

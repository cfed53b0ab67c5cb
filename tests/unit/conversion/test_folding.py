"""Pointwise convolutions that move into the decoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

import coded_models
from fmtc_tflite.calibration.statistics import CovarianceStatistics, ValueStatistics
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.conversion import folding
from fmtc_tflite.conversion.choices import STEP_CODES, Choice
from fmtc_tflite.conversion.map_coding import quantize
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.conversion.treatment import TreatedMap
from fmtc_tflite.errors import ModelFormatError, UnsupportedModelError
from fmtc_tflite.graph.coded_maps import candidate_maps, coded_maps, coded_tensors, folded_kernels
from fmtc_tflite.graph.edits.insert_codec import SiteInsertion, insert_codec
from fmtc_tflite.graph.edits.restore import restore
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.sites import Site, find_sites
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.regions.kernel_sets import NAMES, KernelSet
from fmtc_tflite.regions.restoration import restore_original
from fmtc_tflite.runtime.interpreter import chosen_runtime, has_vectors
from fmtc_tflite.types import ConvertOptions, Kernels, Treatment
from model_builder import ModelBuilder

XNNPACK = KernelSet("xnnpack")
IMAGE = np.random.default_rng(0).integers(-128, 128, (1, 10, 13, 3)).astype(np.int8)


def expansion(channels: int, stride: int, activation: str, dtype: str = "INT8") -> bytes:
    """narrow -> wide (1x1) -> end, and narrow again for its own sake."""
    builder = ModelBuilder(seed=2)
    graph = builder.graph()
    zero = 128 if dtype == "UINT8" else 0
    x = graph.input("image", IMAGE.shape, dtype, scale=1 / 32, zero_point=zero)
    narrow = graph.conv(x, 6, kernel=3, name="narrow", scale=0.5, zero_point=3 + zero)
    wide = graph.conv(
        narrow, channels, stride=stride, activation=activation, name="wide", scale=0.7, zero_point=zero - 20
    )
    graph.output(graph.conv(wide, 4, name="end", scale=5.0, zero_point=zero))
    graph.output(graph.conv(narrow, 2, name="skip", scale=5.0, zero_point=zero))
    return builder.build()


def folded(content: bytes, kernels: KernelSet = XNNPACK) -> tuple[Model, Site]:
    """The model with `wide` folded into a decoder of `narrow`, which is coded losslessly."""
    model = load_model(content)
    sites = {site.name: site for site in find_sites(model)}
    narrow, wide = coded_models.insertion(sites["narrow"]), sites["wide"]
    convolution = folding.folded_convolution(wide, kernels)
    info = replace(coded_models.lossless(6), channels=wide.tensor.shape[3], convolution=convolution)
    assert SideInformation.from_bytes(info.to_bytes()).to_bytes() == info.to_bytes()
    assert (info.version, info.stream_version) == (2, 1)
    insert_codec(model, [narrow, SiteInsertion(wide, info.to_bytes(), 0, folded=True, kernels=kernels.name)])
    return load_model(model.to_bytes()), wide


@pytest.mark.parametrize("channels", [6, 24])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("activation", ["NONE", "RELU"])
@pytest.mark.parametrize("dtype", ["INT8", "UINT8"])
@pytest.mark.parametrize("kernels", NAMES)
def test_the_decoder_does_the_convolution(
    channels: int, stride: int, activation: str, dtype: str, kernels: str
) -> None:
    """To the last bit, under the kernels that are named."""
    content = expansion(channels, stride, activation, dtype)
    kernel_set = KernelSet(kernels, vectors=has_vectors(chosen_runtime()))
    converted, site = folded(content, kernel_set)
    original = load_model(content)
    sides = [ModelFile(original, content), ModelFile.of(converted)]
    before, after = (ModelRunner(file, kernels=kernels, exposed=True) for file in sides)
    for image in (IMAGE, np.full_like(IMAGE, 127), np.full_like(IMAGE, -128)):
        sample = {"image": image if dtype == "INT8" else image.view(np.uint8) ^ 0x80}
        before.run(sample)
        after.run(sample)
        wide = next(s.tensor for s in find_sites(original) if s.name == "wide")
        values = after.read(candidate_maps(converted)["wide"])
        assert values.shape == site.tensor.shape
        np.testing.assert_array_equal(values, before.read(wide))
    assert folded_kernels(converted) == kernels


@pytest.mark.parametrize("dtype", ["INT8", "UINT8"])
def test_weights_with_zero_points_take_a_byte_each_as_others_do(dtype: str) -> None:
    """They move to the side information, whatever their type: the file does not hold them twice, or in 16 bits."""
    builder = ModelBuilder(seed=4)
    graph = builder.graph()
    zero = 128 if dtype == "UINT8" else 0
    x = graph.input("image", (1, 10, 13, 32), dtype, scale=1 / 32, zero_point=zero)
    for block in range(3):
        narrow = graph.conv(x, 64, name=f"narrow_{block}", scale=2.0, zero_point=zero)
        x = graph.conv(narrow, 384, activation="RELU", name=f"wide_{block}", scale=8.0, zero_point=zero - 128)
    graph.output(x)
    content = builder.build()
    result = convert_content(content, ConvertOptions(execution="ops", include="wide_[01]|narrow"))
    moved = [site for site in result.report["sites"] if site["transform"] == "folded_klt"]
    weights = sum(site["replaced_weight_bytes"] for site in moved)
    assert len(moved) == 2
    assert weights == 2 * 384 * (64 + 4)
    besides = sum(site["side_information_bytes"] for site in moved) - weights
    assert besides < 0.15 * weights  # multipliers and shifts of the outputs, and the source's tables
    assert len(result.content) < 1.2 * len(content)


def test_what_a_folded_model_holds() -> None:
    content = expansion(24, 2, "RELU")
    converted, _ = folded(content)
    graph = converted.subgraphs[0]
    assert [op.opcode for op in graph.ops] == [
        *("CONV_2D", "FMTC_ENCODE", "FMTC_DECODE", "CONV_2D", "FMTC_DECODE", "CONV_2D")
    ]
    assert set(coded_tensors(graph)) == {"narrow"}
    assert len({m.side for m in coded_maps(graph)}) == 2
    left = {t.name for t in graph.tensors} - {t.name for t in load_model(content).subgraphs[0].tensors}
    assert left == {m.side.name for m in coded_maps(graph)} | {"narrow/fmtc_coded", "narrow/fmtc_decoded"} | {
        "wide/fmtc_decoded"
    }
    gone = {t.name for t in load_model(content).subgraphs[0].tensors} - {t.name for t in graph.tensors}
    assert "wide" in gone
    assert len(gone) == 3  # with its weights and biases
    assert 24 * 6 not in {buffer.size for buffer in converted.buffers}
    shapes = {name: tensor.shape for name, tensor in candidate_maps(converted).items()}
    assert shapes == {site.name: site.tensor.shape for site in find_sites(load_model(content))}
    with pytest.raises(UnsupportedModelError, match="folded into the decoder"):
        restore(converted)  # without what a conversion keeps of the original


@pytest.mark.parametrize(
    ("channels", "stride", "foldable"), [(24, 1, True), (24, 2, True), (6, 1, True), (5, 1, False)]
)
def test_what_can_be_folded(channels: int, stride: int, foldable: bool) -> None:
    sites = {site.name: site for site in find_sites(load_model(expansion(channels, stride, "NONE")))}
    assert (folding.folded_convolution(sites["wide"], XNNPACK) is not None) is foldable
    assert folding.folded_convolution(sites["narrow"], XNNPACK) is None


def choice(transform: Literal["step", "klt"], channels: int, bits: float) -> Choice:
    """One that costs so many bits at every step, and nothing in fidelity."""
    shape = (len(STEP_CODES), channels if transform == "step" else 1)
    return Choice(np.full(shape, bits / shape[1]), np.zeros(shape), transform, np.full(shape[0], 3))


@pytest.mark.parametrize(("stored_bits", "is_folded"), [(5_000, True), (700, False)])
def test_a_map_is_folded_where_storing_costs_more_than_what_is_not_weights(stored_bits: float, is_folded: bool) -> None:
    """The matrix, 24 x 6 bytes, is no cost; the rest is; and what folding saves speaks against a KLT of the source."""
    sites = {site.name: site for site in find_sites(load_model(expansion(24, 1, "NONE")))}
    convolution = folding.folded_convolution(sites["wide"], XNNPACK)
    assert convolution is not None
    assert 400 < folding.net_side_information_bits(convolution) < 8 * 24 * 6
    step = Treatment("step")
    narrow = TreatedMap(sites["narrow"], step, choices=(choice("step", 6, 2_000), choice("klt", 6, 1_000)))
    wide = TreatedMap(
        sites["wide"],
        step,
        choices=(choice("step", 24, stored_bits),),
        fold_source=sites["narrow"],
        convolution=convolution,
    )
    values, pixels = ValueStatistics(6), CovarianceStatistics(6)
    for statistics in (values, pixels):
        statistics.add(np.random.default_rng(3).integers(-128, 128, (1, 40, 40, 6)).astype(np.int8))
    codings = quantize([narrow, wide], dict.fromkeys((narrow.site, wide.site), (values, pixels)), 1.0)
    assert [c.folded for c in codings] == [False, is_folded]
    assert codings[0].info is not None
    assert (codings[0].info.analysis is None) is is_folded
    assert codings[1].replaced_weight_bytes == (24 * (6 + 4) if is_folded else 0)


@pytest.mark.parametrize("kernels", NAMES)
@pytest.mark.parametrize("dtype", ["INT8", "UINT8"])
def test_a_lossless_conversion_folds_and_gives_the_original_back(kernels: Kernels, dtype: str) -> None:
    content = expansion(24, 2, "RELU", dtype)
    result = convert_content(content, ConvertOptions(execution="ops", kernels=kernels, include="narrow|wide"))
    assert result.report["kernels"] == kernels
    assert result.report["fidelity"]["bit_exact"]
    assert {s["tensor"]: s["transform"] for s in result.report["sites"]} == {"narrow": "lossless", "wide": "folded_klt"}
    assert restore_original(load_model(result.content)).to_bytes() == load_model(content).to_bytes()


def test_restore_data_of_another_model() -> None:
    """What a decoder gives back is what the original had, or nothing is."""
    options = ConvertOptions(execution="ops", include="narrow|wide")
    model = load_model(convert_content(expansion(24, 1, "RELU"), options).content)
    side = next(m.side for m in coded_maps(model.subgraphs[0]) if m.is_folded)
    info = SideInformation.from_bytes(side.buffer.data.tobytes())
    assert info.convolution is not None
    changed = replace(info, convolution=replace(info.convolution, weights=-info.convolution.weights.clip(-127)))
    side.buffer.data = np.frombuffer(changed.to_bytes(), np.uint8)
    with pytest.raises(ModelFormatError, match="changed after its conversion"):
        restore_original(model)

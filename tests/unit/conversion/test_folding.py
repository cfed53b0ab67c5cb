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
from fmtc_tflite.conversion.treatment import TreatedMap
from fmtc_tflite.errors import UnsupportedModelError
from fmtc_tflite.graph.coded_maps import candidate_maps, coded_maps, coded_tensors
from fmtc_tflite.graph.edits.insert_codec import SiteInsertion, insert_codec
from fmtc_tflite.graph.edits.restore import restore
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.sites import Site, find_sites
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.types import Treatment
from model_builder import ModelBuilder

IMAGE = np.random.default_rng(0).integers(-128, 128, (1, 10, 13, 3)).astype(np.int8)


def expansion(channels: int, stride: int, activation: str) -> bytes:
    """narrow -> wide (1x1) -> end, and narrow again for its own sake."""
    builder = ModelBuilder(seed=2)
    graph = builder.graph()
    x = graph.input("image", IMAGE.shape, scale=1 / 32)
    narrow = graph.conv(x, 6, kernel=3, name="narrow", scale=0.5, zero_point=3)
    wide = graph.conv(narrow, channels, stride=stride, activation=activation, name="wide", scale=0.7, zero_point=-20)
    graph.output(graph.conv(wide, 4, name="end", scale=5.0))
    graph.output(graph.conv(narrow, 2, name="skip", scale=5.0))
    return builder.build()


def folded(content: bytes) -> tuple[Model, Site]:
    """The model with `wide` folded into a decoder of `narrow`, which is coded losslessly."""
    model = load_model(content)
    sites = {site.name: site for site in find_sites(model)}
    narrow, wide = coded_models.insertion(sites["narrow"]), sites["wide"]
    lo, hi = wide.activation_range
    matrix, compact = folding.synthesis(wide, np.zeros(6, np.int64), np.full(6, 16), level=4)
    channels = wide.tensor.shape[3]
    info = replace(coded_models.lossless(6), channels=channels, lo=lo, hi=hi, synthesis=matrix, compact=compact)
    assert compact is not None
    assert SideInformation.from_bytes(info.to_bytes()).to_bytes() == info.to_bytes()
    insert_codec(model, [narrow, SiteInsertion(wide, info.to_bytes(), 0, folded=True)])
    return load_model(model.to_bytes()), wide


@pytest.mark.parametrize("channels", [6, 24])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("activation", ["NONE", "RELU"])
def test_the_decoder_does_the_convolution(channels: int, stride: int, activation: str) -> None:
    content = expansion(channels, stride, activation)
    converted, site = folded(content)
    original = load_model(content)
    before, after = ModelRunner(ModelFile(original, content)), ModelRunner(ModelFile.of(converted))
    before.run({"image": IMAGE})
    after.run({"image": IMAGE})
    wide = next(s.tensor for s in find_sites(original) if s.name == "wide")
    difference = after.read(candidate_maps(converted)["wide"]).astype(int) - before.read(wide)
    assert difference.shape == site.tensor.shape
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.02


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
        restore(converted)


@pytest.mark.parametrize(
    ("channels", "stride", "foldable"), [(24, 1, True), (24, 2, True), (6, 1, True), (5, 1, False)]
)
def test_what_can_be_folded(channels: int, stride: int, foldable: bool) -> None:
    sites = {site.name: site for site in find_sites(load_model(expansion(channels, stride, "NONE")))}
    assert folding.can_fold(sites["wide"]) is foldable
    assert not folding.can_fold(sites["narrow"])


def choice(transform: Literal["step", "klt"], channels: int, bits: float) -> Choice:
    """One that costs so many bits at every step, and nothing in fidelity."""
    shape = (len(STEP_CODES), channels if transform == "step" else 1)
    return Choice(np.full(shape, bits / shape[1]), np.zeros(shape), transform, np.full(shape[0], 3))


@pytest.mark.parametrize(("stored_bits", "is_folded"), [(5_000, True), (400, False)])
def test_a_map_is_folded_where_storing_costs_more_than_what_is_not_weights(stored_bits: float, is_folded: bool) -> None:
    """The matrix, 24 x 6 bytes, is no cost; the rest is; and what folding saves speaks against a KLT of the source."""
    sites = {site.name: site for site in find_sites(load_model(expansion(24, 1, "NONE")))}
    narrow = TreatedMap(sites["narrow"], Treatment("step"), choices=(choice("step", 6, 2_000), choice("klt", 6, 1_000)))
    wide = TreatedMap(
        sites["wide"], Treatment("step"), choices=(choice("step", 24, stored_bits),), fold_source=sites["narrow"]
    )
    assert 400 < folding.net_side_information_bits(sites["wide"]) < 8 * 24 * 6
    values, pixels = ValueStatistics(6), CovarianceStatistics(6)
    for statistics in (values, pixels):
        statistics.add(np.random.default_rng(3).integers(-128, 128, (1, 40, 40, 6)).astype(np.int8))
    codings = quantize([narrow, wide], dict.fromkeys((narrow.site, wide.site), (values, pixels)), 1.0)
    assert [c.folded for c in codings] == [False, is_folded]
    assert codings[0].info is not None
    assert (codings[0].info.analysis is None) is is_folded
    assert codings[1].replaced_weight_bytes == (24 * (6 + 4) if is_folded else 0)

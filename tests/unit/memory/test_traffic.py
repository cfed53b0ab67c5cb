"""Bytes moved, counted by hand on small graphs, in both traffic models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import coded_models
import copy_networks
import model_builder
from fmtc_tflite.coding.side_info import AffineTransform, SideInformation
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.graph.coded_maps import coded_maps
from fmtc_tflite.graph.edits.insert_codec import SiteInsertion, insert_codec
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.memory.arena import tensor_bytes
from fmtc_tflite.memory.traffic import CodecWork, Traffic, as_executed, fused_codec
from fmtc_tflite.types import ConvertOptions
from model_builder import ModelBuilder

MAP = 16 * 16 * 8  # bytes of each of the chain's feature maps
INPUT, OUTPUT = 16 * 16 * 3, 16 * 16 * 4


def both(model: Model, size: float) -> dict[str, Traffic]:
    """The traffic if every coded map takes `size` bytes."""
    subgraph = model.subgraphs[0]
    coded = coded_maps(subgraph)
    sizes = {m.coded: size for m in coded}
    return {
        "as_executed": as_executed(subgraph, coded, sizes),
        "fused_codec": fused_codec(subgraph, coded, sizes),
        "raw": fused_codec(subgraph, coded, None),
    }


def moved(traffic: Traffic) -> tuple[float, float]:
    """Feature-map bytes read and written."""
    return traffic.total("feature_map", False), traffic.total("feature_map", True)


def test_without_codec_both_models_agree() -> None:
    for traffic in both(load_model(model_builder.chain()), 0).values():
        assert moved(traffic) == (INPUT + 2 * MAP, 2 * MAP + OUTPUT)
        weights = 9 * (3 * 8 + 8 * 8 + 8 * 4) + 4 * (8 + 8 + 4)
        assert traffic.total("weights", False) == weights
        assert traffic.total("side_information", False) == 0
        assert all(op.work == CodecWork() for op in traffic.ops)


def test_coded_chain() -> None:
    model = coded_models.converted(model_builder.chain())
    side = len(coded_models.lossless(8).to_bytes())
    traffic = both(model, 500)
    # Each of the two maps: its own write, encode's read and write, decode's read and write, the consumer's read.
    assert moved(traffic["as_executed"]) == (INPUT + 2 * (2 * MAP + 500), 2 * (2 * MAP + 500) + OUTPUT)
    assert moved(traffic["fused_codec"]) == (INPUT + 2 * 500, 2 * 500 + OUTPUT)
    assert moved(traffic["raw"]) == (INPUT + 2 * MAP, 2 * MAP + OUTPUT)
    for name in ("as_executed", "fused_codec"):
        assert traffic[name].total("side_information", False) == 2 * 2 * side
        # A lossless codec looks up a state and a token for each value, on either side.
        assert sum((op.work for op in traffic[name].ops), CodecWork()) == CodecWork(0, 2 * 2 * 2 * MAP)
    assert traffic["raw"].total("side_information", False) == 0
    assert sum((op.work for op in traffic["raw"].ops), CodecWork()) == CodecWork()


def test_where_the_fused_codec_works() -> None:
    """The producer writes coded bytes and the consumer reads them; the inserted ops do nothing."""
    traffic = both(coded_models.converted(model_builder.chain((8, 4))), 500)["fused_codec"]
    assert [(op.op.opcode, op.total("feature_map", False), op.total("feature_map", True)) for op in traffic.ops] == [
        ("CONV_2D", INPUT, 500),
        ("FMTC_ENCODE", 0, 0),
        ("FMTC_DECODE", 0, 0),
        ("CONV_2D", 500, OUTPUT),
    ]
    assert [op.work.table_lookups for op in traffic.ops] == [2 * MAP, 0, 0, 2 * MAP]


def test_a_map_with_two_consumers_and_two_decodes() -> None:
    """`stem` has two decodes as executed, and is read coded by each consumer, with one set of tables, when fused."""
    model = coded_models.converted(model_builder.residual(), ("stem",))
    side = len(coded_models.lossless(8).to_bytes())
    traffic = both(model, 700)
    stem = [a for op in traffic["fused_codec"].ops for a in op.accesses if a.tensor.name == "stem"]
    assert [(a.is_write, a.size_bytes) for a in stem] == [(True, 700), (False, 700), (False, 700)]
    assert traffic["fused_codec"].total("side_information", False) == 2 * side
    assert traffic["as_executed"].total("side_information", False) == 3 * side


def test_a_reshape_moves_nothing_and_what_it_reshapes_stays_coded() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    features = graph.conv(graph.input("x", [1, 8, 8, 3]), 4, 3, name="features")
    flat = graph.reshape(features, [1, 4, 16, 4], name="flat")
    graph.output(graph.conv(flat, 2, name="y"))
    content = builder.build()
    assert moved(both(load_model(content), 0)["as_executed"]) == (192 + 256, 256 + 128)
    traffic = both(coded_models.converted(content, ("features",)), 100)
    assert moved(traffic["fused_codec"]) == (192 + 100, 100 + 128)
    assert moved(traffic["raw"]) == (192 + 256, 256 + 128)


def test_a_tensor_that_is_read_twice_by_one_op_counts_once() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.conv(graph.input("x", [1, 8, 8, 4]), 4, name="a")
    graph.output(graph.add(x, x, name="sum"))
    assert moved(both(load_model(builder.build()), 0)["as_executed"]) == (512, 512)


def test_a_map_that_is_also_read_uncoded_is_written_twice() -> None:
    model = coded_models.converted(model_builder.chain((8, 4)))
    subgraph = model.subgraphs[0]
    subgraph.outputs.append(next(t for t in subgraph.tensors if t.name == "features_0"))
    assert moved(both(model, 500)["fused_codec"]) == (INPUT + 500, MAP + 500 + OUTPUT)


def folded_weights(traffic: Traffic) -> float:
    """Bytes of weights that are part of side information."""
    accesses = [a for op in traffic.ops for a in op.accesses]
    return sum(a.size_bytes for a in accesses if a.kind == "weights" and "side_information" in a.tensor.name)


def test_a_folded_map() -> None:
    """Nothing is stored for it: its consumer reads the coded form of what its producer would have read."""
    builder = ModelBuilder()
    graph = builder.graph()
    narrow = graph.conv(graph.input("x", [1, 8, 8, 3]), 4, 3, name="narrow")
    wide = graph.conv(narrow, 16, name="wide")
    graph.output(graph.conv(wide, 2, name="y"))
    model = load_model(builder.build())
    sites = {s.name: s for s in find_sites(model)}
    matrix = AffineTransform(np.ones((16, 4), np.int16), np.zeros(16, np.int32), 2)
    lossless = coded_models.lossless(4)
    info = SideInformation(16, lossless.component_class, lossless.predictor, lossless.classes, synthesis=matrix)
    stored = SiteInsertion(sites["narrow"], lossless.to_bytes(), 300)
    insert_codec(model, [stored, SiteInsertion(sites["wide"], info.to_bytes(), 0, folded=True)])
    model = load_model(model.to_bytes())
    coded, folded = coded_maps(model.subgraphs[0])
    assert (coded.name, tensor_bytes(coded.feature_map), coded.is_folded) == ("narrow", 8 * 8 * 4, False)
    assert (folded.name, tensor_bytes(folded.feature_map), folded.is_folded) == ("wide", 8 * 8 * 16, True)
    traffic = both(model, 90)
    assert moved(traffic["raw"]) == (192 + 256 + 1024, 256 + 1024 + 128)
    assert moved(traffic["fused_codec"]) == (192 + 90, 90 + 128)
    # The matrix is the weights of the convolution that left.
    weights, constants = 16 * (4 + 4), tensor_bytes(coded.side) + tensor_bytes(folded.side)
    assert folded_weights(traffic["raw"]) == folded_weights(traffic["fused_codec"]) == weights
    for name in ("as_executed", "fused_codec"):
        assert traffic[name].total("side_information", False) == constants - weights
    assert sum((op.work for op in traffic["fused_codec"].ops), CodecWork()) == CodecWork(256 * 16, 2 * 2 * 256)


# Sums of all op outputs, reshapes aside, and what Arm's Vela 5.2.0 says that an Ethos-U55-128 writes.
VELA = {
    "mobilenet_v2_1.0_224_int8": (7_049_307, 7_149_224),
    "resnet8_cifar10_int8": (114_772, 116_448),
    "mobilenet_v1_0.25_96_vww_int8": (231_812, 270_312),
}


@pytest.mark.parametrize("name", VELA)
def test_written_bytes_beside_those_of_vela(name: str, real_data: Path) -> None:
    model = load_model(real_data / "models" / f"{name}.tflite")
    written, vela = VELA[name]
    assert moved(both(model, 0)["as_executed"])[1] == written
    if "vww" not in name:
        assert written == pytest.approx(vela, rel=0.03)
        return
    # Vela pads channels to a multiple of 16, which only this model's maps of 8 channels show.
    padded = 0
    for op in model.subgraphs[0].ops:
        shape = op.outputs[0].shape if op.outputs[0] is not None else ()
        if len(shape) == 4 and op.outputs[0] is not None:
            padded += tensor_bytes(op.outputs[0]) // shape[3] * -(-shape[3] // 16) * 16
    assert padded == pytest.approx(vela, rel=0.03)


@pytest.mark.parametrize("kind", sorted(copy_networks.KINDS.keys() - {"padded with two values"}))
def test_maps_that_say_one_again_are_no_traffic(kind: str) -> None:
    """In the original as in a converted model: who reads the copy reads the map, whole, coded or not."""
    content = copy_networks.network(kind, also_read=False)
    image, features = copy_networks.SIZE**2 * 3, copy_networks.SIZE**2 * copy_networks.CHANNELS
    original = load_model(content)
    end = tensor_bytes(original.subgraphs[0].outputs[0])
    assert moved(both(original, 0)["fused_codec"]) == (image + features, features + end)
    result = convert_content(content, ConvertOptions(execution="ops", lossless=True))
    converted = both(load_model(result.content), 100)
    assert moved(converted["raw"]) == (image + features, features + end)
    assert moved(converted["fused_codec"]) == (image + 100, 100 + end)
    copy = original.subgraphs[0].ops[-1].inputs[0]
    assert copy is not None
    decoded = tensor_bytes(copy)
    # The map is written and encoded, its coded form is decoded to the copy, which is read.
    assert moved(converted["as_executed"]) == (image + features + 100 + decoded, features + 100 + decoded + end)

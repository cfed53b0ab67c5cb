"""Maps that only say another one again: not stored, exact under every set of kernels, and back with --restore."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

import coded_models
import copy_networks
from fmtc_tflite.conversion import folding
from fmtc_tflite.conversion.copies import find_copies, requantization_table
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.errors import ModelFormatError, UnsupportedModelError
from fmtc_tflite.graph.coded_maps import candidate_maps, coded_maps, computed_maps, copied_maps
from fmtc_tflite.graph.edits.insert_codec import SiteCopy, SiteInsertion, insert_codec
from fmtc_tflite.graph.edits.restore import restore
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.names import REMOVED_METADATA_NAME
from fmtc_tflite.graph.region_ops import KERNEL_SETS
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.memory.traffic import fused_codec
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.restoration import restore_original
from fmtc_tflite.runtime.interpreter import load_interpreter
from fmtc_tflite.types import ConvertOptions
from model_builder import ModelBuilder

HEAD = struct.Struct("<HHI")  # of the metadata entry
KINDS = sorted(copy_networks.KINDS)
LOSSLESS = ConvertOptions(execution="ops", lossless=True)


def converted(content: bytes) -> Model:
    """With every map coded that is no copy."""
    model = load_model(content)
    sites = find_sites(model)
    copies = find_copies(sites)
    insertions = []
    for site in sites:
        if site not in copies:
            own = coded_models.insertion(site)
            views = [SiteCopy(copy, found.view) for copy, found in copies.items() if found.site is site]
            insertions.append(SiteInsertion(site, own.side_information, own.item_capacity, copies=views))
    insert_codec(model, insertions)
    return load_model(model.to_bytes())


def run(content: bytes, kernels: str) -> list[np.ndarray]:
    """All outputs for noise."""
    interpreter = load_interpreter(model_content=content, kernels=kernels)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(1)
    for detail in interpreter.get_input_details():
        values = rng.integers(0, 256, detail["shape"]).astype(np.uint8)
        interpreter.set_tensor(detail["index"], values.view(detail["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def opcodes(model: Model) -> list[str]:
    return [op.opcode for op in model.subgraphs[0].ops]


def check_equal(content: bytes, model: Model, kernel_sets: Sequence[str] = KERNEL_SETS) -> None:
    for kernels in kernel_sets:
        for before, after in zip(run(content, kernels), run(model.to_bytes(), kernels), strict=True):
            assert np.array_equal(before, after), kernels


@pytest.mark.parametrize("also_read", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str, also_read: bool) -> None:
    content = copy_networks.network(kind, also_read)
    model = converted(content)
    composes = kind != "padded with two values"
    # Where no one view says a chain, its last op stays, and has a map of its own.
    removed = ["PAD", "PADV2", "SLICE", "STRIDED_SLICE", "TRANSPOSE", "RESHAPE", "QUANTIZE"]
    assert [code for code in opcodes(model) if code in removed] == ([] if composes else ["PAD"])
    assert opcodes(model).count("FMTC_ENCODE") == (1 if composes else 2)
    check_equal(content, model)
    assert candidate_maps(model).keys() == candidate_maps(load_model(content)).keys()
    assert copied_maps(model) == candidate_maps(model).keys() - {"features"} - (set() if composes else {"copy"})
    assert computed_maps(model).keys() == {"features", "copy"} | (set() if composes else {"part"})
    restore(model)
    assert model.to_bytes() == load_model(content).to_bytes()


@pytest.mark.parametrize("dtype", ["INT8", "UINT8"])
def test_copies_of_an_input_stay_and_are_not_coded(dtype: str) -> None:
    content = copy_networks.of_input(dtype)
    result = convert_content(content, LOSSLESS)
    model = load_model(result.content)
    assert [s["tensor"] for s in result.report["sites"] if s["decision"] == "copy"] == ["signed", "rows", "padded"]
    assert {s["coded_with"] for s in result.report["sites"] if s["decision"] == "copy"} == {"image"}
    assert opcodes(model)[:4] == ["QUANTIZE", "TRANSPOSE", "PAD", "CONV_2D"]
    assert [m.name for m in coded_maps(model.subgraphs[0])] == ["stem"]
    assert copied_maps(model) == {"signed", "rows", "padded"}
    check_equal(content, model)


def test_a_network_with_pads() -> None:
    content = copy_networks.mobile_network()
    result = convert_content(content, LOSSLESS)
    model = load_model(result.content)
    assert "PAD" not in opcodes(model)[3:]
    assert result.report["fidelity"]["bit_exact"]
    assert result.report["kernels"] == "xnnpack"
    check_equal(content, model, ["xnnpack"])
    apart = convert_content(content, ConvertOptions(execution="ops", lossless=True, disable=frozenset({"copies"})))
    assert result.report["totals"]["feature_map_values"] == apart.report["totals"]["feature_map_values"]
    saved = result.report["totals"]["bits_per_value"] / apart.report["totals"]["bits_per_value"]
    assert saved < 0.75, saved
    assert restore_original(model).to_bytes() == load_model(content).to_bytes()


def test_a_folded_map_of_which_only_a_copy_is_decoded() -> None:
    """What a PAD makes of a 1x1 convolution is computed from the convolution's input; nobody has its output."""
    builder = ModelBuilder(seed=2)
    graph = builder.graph()
    narrow = graph.conv(graph.input("image", [1, 9, 8, 3]), 6, 3, name="narrow", scale=0.5, zero_point=3)
    wide = graph.conv(narrow, 24, activation="RELU", name="wide", scale=0.7, zero_point=-20)
    padded = copy_networks.pad(graph, wide, [[1, 1], [1, 1], [0, 0]], "padded")
    graph.output(graph.max_pool(padded, 2, name="end"))
    content = builder.build()
    model = load_model(content)
    sites = {site.name: site for site in find_sites(model)}
    copies = find_copies(list(sites.values()))
    convolution = folding.folded_convolution(sites["wide"], KernelSet("builtin"))
    info = replace(coded_models.lossless(6), channels=24, convolution=convolution)
    copy = SiteCopy(sites["padded"], copies[sites["padded"]].view)
    folded = SiteInsertion(sites["wide"], info.to_bytes(), 0, folded=True, copies=[copy])
    insert_codec(model, [coded_models.insertion(sites["narrow"]), folded])
    after = load_model(model.to_bytes())
    assert opcodes(after) == ["CONV_2D", "FMTC_ENCODE", "FMTC_DECODE", "MAX_POOL_2D"]
    file = ModelFile.parse(content)
    before, own = ModelRunner(file), ModelRunner(ModelFile.of(after))
    for runner in (before, own):
        runner.run({"image": np.random.default_rng(0).integers(-128, 128, (1, 9, 8, 3)).astype(np.int8)})
    (seen,) = (m.copies[0] for m in coded_maps(after.subgraphs[0]) if m.is_folded)
    (wanted,) = (t for t in file.model.subgraphs[0].tensors if t.name == "padded")
    values, expected = own.read(seen).astype(int), before.read(wanted).astype(int)
    assert np.array_equal(values, expected)
    shapes = {name: tensor.shape for name, tensor in candidate_maps(after).items()}
    assert shapes == {name: site.tensor.shape for name, site in sites.items()}
    assert computed_maps(after).keys() == {"narrow", "padded"}
    first, second = (
        fused_codec(m.subgraphs[0], coded_maps(m.subgraphs[0]), None) for m in (load_model(content), after)
    )
    for is_write in (False, True):
        assert first.total("feature_map", is_write) == second.total("feature_map", is_write)
    with pytest.raises(UnsupportedModelError):
        restore(after)


def test_a_quantize_that_kernel_sets_round_differently_is_a_map_of_its_own() -> None:
    def model(scale: float) -> Model:
        builder = ModelBuilder()
        graph = builder.graph()
        features = graph.conv(graph.input("image", [1, 8, 8, 3]), 4, 3, name="features")
        rescaled = graph.quantize(features, "INT8", "rescaled", scale=scale, zero_point=3)
        graph.output(graph.conv(rescaled, 2, name="end"))
        return load_model(builder.build())

    for scale, is_copy in ((0.05, True), (0.1, True), (0.13403, False)):
        sites = find_sites(model(scale))
        assert [site.name for site in find_copies(sites)] == (["rescaled"] if is_copy else []), scale
        check_equal(model(scale).to_bytes(), converted(model(scale).to_bytes()))
    assert requantization_table(sites[1].producer) is None


def test_without_its_metadata_a_model_does_not_restore() -> None:
    model = converted(copy_networks.network("pad", False))
    del model.metadata[REMOVED_METADATA_NAME]
    with pytest.raises(UnsupportedModelError, match="no metadata 'fmtc_removed_ops'"):
        restore(model)


@pytest.mark.parametrize("position", [-1, 3, 1 << 70, None, "a", 1.5])
def test_ops_at_places_that_there_are_not(position: object) -> None:
    model = converted(copy_networks.network("pad", False))
    version, zero, size = HEAD.unpack_from(entry := model.metadata[REMOVED_METADATA_NAME])
    directory = json.loads(entry[HEAD.size : HEAD.size + size])
    directory["ops"][0][1] = position
    head = json.dumps(directory).encode()
    model.metadata[REMOVED_METADATA_NAME] = HEAD.pack(version, zero, len(head)) + head + entry[HEAD.size + size :]
    with pytest.raises(ModelFormatError):
        restore(model)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_metadata_is_one_line(seed: int) -> None:
    model = converted(copy_networks.network("slice, then channel pad", True))
    rng = np.random.default_rng(seed)
    entry = bytearray(model.metadata[REMOVED_METADATA_NAME])
    for _ in range(int(rng.integers(1, 4))):
        entry[int(rng.integers(0, len(entry)))] ^= 1 << int(rng.integers(0, 8))
    model.metadata[REMOVED_METADATA_NAME] = bytes(entry if seed % 3 else entry[: int(rng.integers(0, len(entry)))])
    line = None
    try:
        restore(model)
    except (ModelFormatError, UnsupportedModelError) as error:
        line = str(error)
    assert line is None or "\n" not in line

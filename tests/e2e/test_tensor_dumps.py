"""fmtc-profile --tensor: a tensor of the original beside what became of it, in files and in words."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import fmtc_tflite
import model_builder
from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import region_ops
from fmtc_tflite.types import CalibrationOptions, ConvertOptions

PACKAGE = importlib.resources.files("fmtc_tflite")
SCHEMA = json.loads((PACKAGE / "profile_schema.json").read_text())
DEMO = (PACKAGE / "demo" / "demo_int8.tflite").read_bytes()
TOOL = str(Path(sys.executable).parent / "fmtc-profile")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True)


def dumps(*arguments: str | Path) -> tuple[str, list[dict[str, Any]]]:
    """Text and what the JSON says of the tensors."""
    result = run(*arguments, "--json", "profile.json", "--overwrite")
    assert result.returncode == 0, result.stderr
    document = json.loads(Path("profile.json").read_text())
    jsonschema.validate(document, SCHEMA)
    return result.stdout, document["dumps"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, with regions, and with coded maps: without loss and with."""
    folder = tmp_path_factory.mktemp("dumps")
    (folder / "samples.npz").write_bytes((PACKAGE / "demo" / "demo_samples.npz").read_bytes())
    data = CalibrationOptions(data=folder / "samples.npz", num_samples=32)
    kinds = {
        "regions": ConvertOptions(execution="regions", kernels="builtin"),
        "lossless": ConvertOptions(execution="ops"),
        "lossy": ConvertOptions(calibration=data, max_bits_per_value=1.5),
    }
    (folder / "model.tflite").write_bytes(DEMO)
    for name, options in kinds.items():
        (folder / f"{name}.tflite").write_bytes(convert_content(DEMO, options).content)
    return folder


def inner_values(x: np.ndarray, number: int) -> np.ndarray:
    """What op `number` of the original writes, from an interpreter by hand."""
    interpreter = fmtc_tflite.load_interpreter(model_content=DEMO, preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    graph = load_model(DEMO).subgraphs[0]
    return interpreter.get_tensor(graph.tensors.index(graph.ops[number].outputs[0]))


def test_inside_a_region(folder: Path, tmp_path: Path) -> None:
    pair = (folder / "model.tflite", "--compare", folder / "regions.tflite")
    name = load_model(DEMO).subgraphs[0].ops[2].outputs[0].name  # type: ignore[union-attr]
    text, found = dumps(*pair, "--tensor", name, "--tensor", "op:19", "--data", folder / "samples.npz")
    assert found[0]["tensor"] == name
    for dump, number in zip(found, (2, 19), strict=True):
        assert dump["different_values"] == 0
        assert dump["first_difference"] is None
        assert 0 < dump["computed_values"] <= dump["values"]
        original, converted = (np.load(tmp_path / file) for file in dump["files"])
        assert list(original.shape) == dump["shape"] == list(converted.shape)
        if dump["computed_values"] == dump["values"]:
            assert np.array_equal(original, converted)
        x = (np.load(folder / "samples.npz")["x"][:1] ^ 0x80).view(np.int8)
        assert np.array_equal(original, inner_values(x, number))
        assert all(f"written         {file}" in text for file in dump["files"])
    assert text.count("equal in both models") == 2


def test_the_original_comes_out_of_the_file(folder: Path, tmp_path: Path) -> None:
    """For regions and for maps without loss; the folder is the one that the user names."""
    (tmp_path / "values").mkdir()
    for name in ("regions", "lossless"):
        arguments = ("--tensor", "op:5", "--tensor_folder", "values")
        text, (dump,) = dumps(folder / f"{name}.tflite", *arguments)
        assert dump["different_values"] == 0
        assert "equal in both models" in text
        assert {path.name for path in (tmp_path / "values").iterdir()} == set(dump["files"])


def test_a_lossy_map_differs(folder: Path, tmp_path: Path) -> None:
    pair = (folder / "model.tflite", "--compare", folder / "lossy.tflite")
    text, found = dumps(*pair, *(f"--tensor=op:{number}" for number in (0, 1, 4)), "--data", folder / "samples.npz")
    lossy = [dump for dump in found if dump["different_values"]]
    assert lossy
    for dump in lossy:
        original, converted = (np.load(tmp_path / file) for file in dump["files"])
        place = tuple(dump["first_difference"]["index"])
        assert np.count_nonzero(original != converted) == dump["different_values"]
        assert tuple(np.argwhere(original != converted)[0]) == place
        assert original[place] == dump["first_difference"]["original"]
        assert converted[place] == dump["first_difference"]["converted"]
        assert f"first at {list(place)}: {original[place]} in the original" in text


def test_a_model_alone(folder: Path, tmp_path: Path) -> None:
    text, (dump,) = dumps(folder / "model.tflite", "--tensor", "op:0")
    (file,) = dump["files"]
    assert np.load(tmp_path / file).shape == tuple(dump["shape"])
    assert dump["different_values"] is None
    assert "equal" not in text


def test_an_input_and_a_reshape(tmp_path: Path) -> None:
    content = model_builder.residual()
    (tmp_path / "model.tflite").write_bytes(content)
    converted = convert_content(content, ConvertOptions(execution="regions")).content
    (tmp_path / "regions.tflite").write_bytes(converted)
    assert region_ops(load_model(converted))
    pair = ("model.tflite", "--compare", "regions.tflite")
    _, found = dumps(*pair, *(f"--tensor={name}" for name in ("image", "flat", "sum", "scores")))
    assert [dump["different_values"] for dump in found] == [0, 0, 0, 0]
    assert found[0]["files"][0] == "input_image.original.npy"


def test_bad_names(folder: Path, tmp_path: Path) -> None:
    def assert_fails(*arguments: str | Path, texts: tuple[str, ...]) -> None:
        result = run(*arguments)
        assert result.returncode == 2, result.stderr
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        for text in texts:
            assert text in line

    model = folder / "model.tflite"
    assert_fails(model, "--tensor", "conv2d_99", texts=("'conv2d_99'", "no such tensor; the nearest are 'demo/"))
    assert_fails(model, "--tensor", "op:22", texts=("op:22: the original's ops are op:0 to op:21",))
    folded = load_model((folder / "regions.tflite").read_bytes())
    del folded.metadata["fmtc_regions"]
    (tmp_path / "bare.tflite").write_bytes(folded.to_bytes())
    assert_fails("bare.tflite", "--tensor", "op:1", texts=("does not give its original back", "--compare"))
    assert {path.name for path in tmp_path.iterdir()} == {"bare.tflite"}


@pytest.mark.slow
def test_a_real_model(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "models" / "mobilenet_v1_0.25_96_vww_int8.tflite"
    content = path.read_bytes()
    (tmp_path / "regions.tflite").write_bytes(convert_content(content, ConvertOptions(execution="regions")).content)
    ops = range(len(load_model(content).subgraphs[0].ops))
    _, found = dumps(path, "--compare", "regions.tflite", *(f"--tensor=op:{number}" for number in ops))
    assert all(dump["different_values"] == 0 for dump in found)

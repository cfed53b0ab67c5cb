"""Older files that runtimes refuse for a field that is wrong without a meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmtc_tflite import api
from fmtc_tflite.errors import ModelFormatError, UnsupportedModelError
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.repair import repaired
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.types import ConvertOptions
from model_builder import ModelBuilder

SIZE = 32
Change = Callable[[dict[str, Any]], None]


def network(change: Change = lambda parameters: None) -> bytes:
    """Two convolutions with weights per channel, [4, 3, 3, 3] and [4, 3, 3, 4]; `change` gets quantizations by name."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, SIZE, SIZE, 3])
    graph.output(graph.conv(graph.conv(x, 4, 3, name="y", scale=2.0), 4, 3, name="z"))
    parameters = {t.name.decode(): t.quantization for t in graph.subgraph.tensors}
    for name, scale in (("conv_0/weights", 0.01), ("conv_0/bias", 0.0005)):
        parameters[name].scale = np.full(4, scale, np.float32)
        parameters[name].zeroPoint = np.zeros(4, np.int64)
    change(parameters)
    return builder.build()


def dimension(name: str, value: int) -> Change:
    return lambda parameters: setattr(parameters[name], "quantizedDimension", value)


def zero_point(name: str, values: list[int] | None) -> Change:
    return lambda parameters: setattr(
        parameters[name], "zeroPoint", None if values is None else np.array(values, np.int64)
    )


def runs(content: bytes) -> bool:
    try:
        ModelRunner(ModelFile.parse(content)).run({"x": np.zeros((1, SIZE, SIZE, 3), np.int8)})
    except (UnsupportedModelError, ModelFormatError):
        return False
    return True


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (dimension("conv_0/bias", 3), "tensor 'conv_0/bias': quantized_dimension"),
        (dimension("conv_0/bias", -1), "tensor 'conv_0/bias': quantized_dimension"),
        (dimension("conv_1/bias", 3), "tensor 'conv_1/bias': quantized_dimension"),  # one scale
        (dimension("conv_0/weights", 3), "tensor 'conv_0/weights': quantized_dimension"),  # 3 is of another size
        (dimension("conv_0/weights", 7), "tensor 'conv_0/weights': quantized_dimension"),
        (dimension("y", 4), "tensor 'y': quantized_dimension"),
        (zero_point("conv_0/weights", None), "tensor 'conv_0/weights': fewer zero points"),
        (zero_point("conv_0/bias", []), "tensor 'conv_0/bias': fewer zero points"),
        (zero_point("conv_0/weights", [0]), "tensor 'conv_0/weights': fewer zero points"),
        (zero_point("y", None), "tensor 'y': fewer zero points"),
    ],
)
def test_what_is_repaired_is_the_model_that_was_meant(change: Change, line: str) -> None:
    broken, meant = network(change), load_model(network()).to_bytes()
    content, lines = repaired(broken)
    assert len(lines) == 1
    assert lines[0].startswith(line)
    assert content == meant
    assert runs(content)
    assert not runs(broken)


def test_what_is_sound_stays_byte_for_byte() -> None:
    content = network()
    assert repaired(content) == (content, [])
    harmless = network(dimension("conv_1/weights", 3))  # one scale, and the dimension exists
    assert repaired(harmless) == (harmless, [])
    assert runs(harmless)


@pytest.mark.parametrize("content", [b"", b"1234TFL3", network()[:200]])
def test_what_is_no_model_is_left_to_others(content: bytes) -> None:
    assert repaired(content) == (content, [])


def test_what_has_several_meanings_is_not_repaired() -> None:
    def change(parameters: dict[str, Any]) -> None:
        parameters["conv_1/weights"].scale = np.full(3, 0.01, np.float32)  # [4, 3, 3, 4]: height or width
        parameters["conv_1/weights"].zeroPoint = np.zeros(3, np.int64)

    content = network(change)
    assert repaired(content) == (content, [])


def test_files_are_repaired_where_they_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken, sound = tmp_path / "broken.tflite", tmp_path / "sound.tflite"
    broken.write_bytes(network(dimension("conv_0/bias", 3)))
    sound.write_bytes(load_model(network()).to_bytes())
    api.convert(broken, options=ConvertOptions(execution="ops"), overwrite=True)
    assert "broken.tflite: tensor 'conv_0/bias': quantized_dimension" in caplog.text
    assert "repaired, here and in what is written" in caplog.text
    caplog.clear()
    api.convert(sound, options=ConvertOptions(execution="ops"), overwrite=True)
    assert not caplog.text
    converted = [path.with_name(f"{path.stem}_fmtc.tflite").read_bytes() for path in (broken, sound)]
    assert converted[0] == converted[1]
    assert api.profile(broken)["models"][0]["arena"]["live_extent_bytes"] is not None
    assert api.profile(broken, tmp_path / "broken_fmtc.tflite")["comparison"]["recognised_by"].startswith("sha256")
    api.restore(tmp_path / "broken_fmtc.tflite")
    assert (tmp_path / "broken_fmtc_restored.tflite").read_bytes() == sound.read_bytes()

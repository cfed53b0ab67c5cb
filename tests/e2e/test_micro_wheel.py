"""Converted models in TensorFlow Lite Micro: the Python package tflite-micro, with the ops of custom_ops/micro.

Needs that package and FMTC_TFLM_WHEEL, the path of the library that CMake builds as tflm_wheel (`.ci/micro_wheel.sh`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.graph.model import Model
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.region_ops import region_ops
from fmtc_tflite.types import ConvertOptions
from model_builder import ModelBuilder
from random_networks import random_network

RUNNER = Path(__file__).parents[1] / "tflm_runner.py"
REAL_MODELS = (
    "ds_cnn_kws_int8",
    "mobilenet_v1_0.25_96_vww_int8",
    "mobilenet_v2_1.0_224_int8",
    "resnet18_cifar10_64_int8",
    "resnet56_cifar10_int8",
    "resnet8_cifar10_int8",
    "tinyengine_detection",
    "tinyengine_mcunetv2_large",
    "tinyengine_vww",
)
SAMPLES = 4


@dataclass(frozen=True)
class Run:
    """What one model did: outputs of all samples, None if it failed, and the interpreter's lines."""

    outputs: list[np.ndarray] | None
    log: str

    def arena(self, part: str) -> int:
        found = re.search(rf"Arena allocation {part} (\d+) bytes", self.log)
        assert found is not None, self.log
        return int(found[1])


Runner = Callable[..., list[Run]]


@pytest.fixture
def micro(tmp_path: Path) -> Runner:
    pytest.importorskip("tflite_micro")
    library = os.environ.get("FMTC_TFLM_WHEEL")
    if not library:
        pytest.skip("FMTC_TFLM_WHEEL does not name the library with the ops")

    def run(*contents: bytes, seed: int = 0) -> list[Run]:
        """All models on the same inputs, those of the first one."""
        files = []
        for number, content in enumerate(contents):
            files.append(tmp_path / f"{number}.tflite")
            files[-1].write_bytes(content)
        np.savez(tmp_path / "inputs.npz", **_inputs(load_model(contents[0]), seed))
        command = [sys.executable, RUNNER, library, tmp_path / "inputs.npz", tmp_path / "outputs.npz", *files]
        done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
        logs = re.split(r"^model \d+$", done.stderr, flags=re.MULTILINE)[1:]
        outputs = np.load(tmp_path / "outputs.npz")
        return [Run(_outputs(outputs, number), log) for number, log in enumerate(logs)]

    return run


def _inputs(model: Model, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {}
    for index, tensor in enumerate(model.subgraphs[0].inputs):
        shape = (SAMPLES, *tensor.shape)
        if tensor.dtype == np.float32:
            found[str(index)] = rng.normal(0, 2, shape).astype(np.float32)
        else:
            found[str(index)] = rng.integers(0, 256, shape).astype(np.uint8).view(tensor.dtype)
    return found


def _outputs(found: Any, number: int) -> list[np.ndarray] | None:
    own = [name for name in found.files if name.startswith(f"{number}.")]
    return [found[f"{number}.{index}"] for index in range(len(own))] or None


def check_same(micro: Runner, content: bytes, share: float) -> None:
    """The converted model does what the original does, in the arena that was planned."""
    result = convert_content(content, ConvertOptions(target="micro", max_extra_macs=share))
    original, converted = micro(content, result.content)
    assert original.outputs is not None, original.log
    assert converted.outputs is not None, converted.log
    for expected, found in zip(original.outputs, converted.outputs, strict=True):
        np.testing.assert_array_equal(expected, found)
    report = result.report
    assert original.arena("head") == report["arena"]["original_planned_bytes"]
    assert converted.arena("head") == report["micro"]["head_bytes"]
    tail, planned = converted.arena("tail"), report["micro"]["tail_bytes"]["64"]
    assert tail >= planned if report["micro"]["ops_of_unknown_tail"] else tail == planned


@pytest.mark.parametrize("share", [0, 0.05])
@pytest.mark.parametrize("name", REAL_MODELS)
def test_real_models_are_equal_in_the_planned_arena(micro: Runner, real_data: Path, name: str, share: float) -> None:
    check_same(micro, (real_data / "models" / f"{name}.tflite").read_bytes(), share)


def plain_network(batch: int = 1) -> bytes:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [batch, 24, 20, 3])
    for number in range(3):
        x = graph.conv(x, 16, 3, stride=2 if number == 1 else 1, name=f"conv_{number}", activation="RELU6")
    graph.output(graph.add(x, graph.conv(x, 16, 3)))
    return builder.build()


@pytest.mark.parametrize("batch", [1, 3])
def test_every_item_of_a_batch_is_computed(micro: Runner, batch: int) -> None:
    check_same(micro, plain_network(batch), 0)


def test_uint8_convolutions_that_it_refuses_run_in_regions(micro: Runner) -> None:
    """With no original there, the installed runtime's reference kernels are what outputs are to equal."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 20, 12, 4], "UINT8", zero_point=120)
    x = graph.conv(x, 16, 3, stride=2, name="first")
    graph.output(graph.add(x, graph.conv(x, 16, 3, name="second")))
    content = builder.build()
    original, converted = micro(content, convert_content(content, ConvertOptions(target="micro")).content)
    assert original.outputs is None
    assert converted.outputs is not None, converted.log
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for sample, found in zip(_inputs(load_model(content), 0)["0"], converted.outputs[0], strict=True):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
        interpreter.invoke()
        np.testing.assert_array_equal(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), found)


def damaged(content: bytes, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    model = load_model(content)
    program = region_ops(model)[0].inputs[-1]
    assert program is not None
    assert program.buffer.data is not None
    program.buffer.data = change(program.buffer.data.copy())
    program.shape = (program.buffer.data.size,)
    return model.to_bytes()


def flipped(program: np.ndarray) -> np.ndarray:
    program[-1] ^= 1
    return program


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (flipped, "FMTC_REGION: .*checksum"),
        (lambda program: program[:-16], "FMTC_REGION: "),
        (lambda program: program[:8], "FMTC_REGION: "),
    ],
)
def test_a_damaged_program_is_one_line(micro: Runner, change: Callable[[np.ndarray], np.ndarray], message: str) -> None:
    result = convert_content(plain_network(), ConvertOptions(target="micro", max_extra_macs=0))
    (run,) = micro(damaged(result.content, change))
    assert run.outputs is None
    assert len(re.findall("^FMTC_REGION", run.log, re.MULTILINE)) == 1
    assert re.search(message, run.log)


def test_a_program_for_another_target_is_refused(micro: Runner) -> None:
    """XNNPACK's rounding is not the executor's."""
    result = convert_content(plain_network(), ConvertOptions(execution="regions", kernels="xnnpack"))
    (run,) = micro(result.content)
    assert run.outputs is None
    assert len(re.findall("^FMTC_REGION", run.log, re.MULTILINE)) == 1


def test_coded_feature_maps_are_equal(micro: Runner) -> None:
    content = plain_network()
    small_core = frozenset({"klt", "folding", "copies", "contexts"})
    options = ConvertOptions(execution="ops", kernels="reference", disable=small_core)
    result = convert_content(content, options)
    original, converted = micro(content, result.content)
    assert original.outputs is not None
    assert converted.outputs is not None, converted.log
    np.testing.assert_array_equal(original.outputs[0], converted.outputs[0])


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_are_equal(micro: Runner, seed: int) -> None:
    content = random_network(seed)
    (original,) = micro(content)
    if original.outputs is None:
        pytest.skip("TensorFlow Lite Micro refuses it")
    check_same(micro, content, 0.05)

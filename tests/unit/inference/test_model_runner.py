"""Models that the runtime refuses or understands otherwise than the file says, and such as do not fit into memory."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import model_builder
from fmtc_tflite.errors import CalibrationError, UnsupportedModelError
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.inference import memory_need, piecewise
from fmtc_tflite.inference.model_runner import ModelRunner
from model_builder import ModelBuilder


def runner(content: bytes, default_kernels: bool = False) -> ModelRunner:
    return ModelRunner(ModelFile.parse(content), default_kernels=default_kernels)


def custom(name: str) -> bytes:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 4, 4, 2])
    y = graph.output(graph.tensor("y", [1, 4, 4, 2]))
    graph.op(name, [x], [y])
    return builder.build()


@pytest.mark.parametrize("default_kernels", [False, True])
def test_an_operator_that_the_runtime_lacks(default_kernels: bool) -> None:
    with pytest.raises(UnsupportedModelError) as error:
        runner(custom("NobodyHasThis"), default_kernels)
    assert "lacks the custom op NobodyHasThis (op 0, writes 'y'); its implementation" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_message_that_is_no_text() -> None:
    builder = ModelBuilder()
    content = custom("Nobody")
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    tree.operatorCodes[0].customCode = b"\xff\xfe"
    builder.model = tree
    with pytest.raises(UnsupportedModelError, match=r"lacks the custom op \\xff\\xfe \(op 0"):
        runner(builder.build())


def test_what_fails_when_the_model_runs_names_the_op() -> None:
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 4])
    place = graph.input("place", [1], "INT32")
    y = graph.output(graph.tensor("y", [1, 1]))
    graph.op("GATHER", [x, place], [y], schema.GatherOptionsT(axis=1))
    own = runner(builder.build())
    own.run({"x": np.zeros((1, 4), np.int8), "place": np.array([3], np.int32)})
    with pytest.raises(UnsupportedModelError, match=r"when running it: op 0 \(GATHER, writes 'y'\): gather index"):
        own.run({"x": np.zeros((1, 4), np.int8), "place": np.array([9], np.int32)})


def test_a_sample_of_another_shape() -> None:
    with pytest.raises(CalibrationError, match="input 'x'"):
        runner(model_builder.chain()).run({"x": np.zeros((1, 2, 2, 3), np.int8)})


def batched(batch: int, consistent: bool) -> bytes:
    model = load_model(model_builder.chain())
    for tensor in model.subgraphs[0].tensors:
        if tensor.data is None and (consistent or tensor.name == "x"):
            tensor.shape = (batch, *tensor.shape[1:])
    return model.to_bytes()


def test_shapes_of_the_file_are_those_of_the_runtime() -> None:
    runner(batched(2, consistent=True))
    with pytest.raises(UnsupportedModelError, match=r"'features_0' .* \[1, 16, 16, 8\] .* \[2, 16, 16, 8\]"):
        runner(batched(2, consistent=False))


def test_much_memory_is_announced_and_too_much_refused(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(batched(1 << 16, consistent=True))
    monkeypatch.setattr(memory_need, "available_bytes", lambda: 1 << 40)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            memory_need.check_memory(model, 0, keeps_all_tensors=True)
        memory_need.check_memory(load_model(model_builder.chain()), 0, keeps_all_tensors=True)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("the model's inputs are 'x' [65536, 16, 16, 3]: its tensors alone take 0.8 GB of memory")
    monkeypatch.setattr(memory_need, "available_bytes", lambda: 500_000_000)
    with pytest.raises(UnsupportedModelError, match=r"take 0.8 GB of memory, 0.5 GB are available; export"):
        memory_need.check_memory(model, 0, keeps_all_tensors=True)


def test_without_all_tensors_only_what_an_op_touches_counts() -> None:
    model = load_model(batched(1 << 16, consistent=True))
    assert memory_need.activation_bytes(model.subgraphs[0], keeps_all_tensors=True) == (1 << 24) * (3 + 8 + 8 + 4)
    assert memory_need.activation_bytes(model.subgraphs[0], keeps_all_tensors=False) == (1 << 24) * (8 + 8)


def test_memory_of_this_machine() -> None:
    available = memory_need.available_bytes()
    assert available is None or available > 1 << 20


# --- what is read -----------------------------------------------------------------------------------------------------


def maps_and_sample() -> tuple[ModelFile, dict[str, np.ndarray]]:
    file = ModelFile.parse(model_builder.residual())
    (image,) = file.model.subgraphs[0].inputs
    values = np.random.default_rng(0).integers(-128, 128, image.shape)
    return file, {image.name: values.astype(image.dtype)}


def read_all(runner_: ModelRunner, file: ModelFile, sample: dict[str, np.ndarray]) -> list[np.ndarray]:
    runner_.run(sample)
    return [runner_.read(t) for op in file.model.subgraphs[0].ops for t in op.outputs if t is not None]


def test_only_what_is_asked_for_is_read_and_then_as_an_application_runs_it() -> None:
    file, sample = maps_and_sample()
    graph = file.model.subgraphs[0]
    inner, output = graph.ops[0].outputs[0], graph.outputs[0]
    assert inner is not None
    own = ModelRunner(file, readable=[inner])
    assert own.fell_back
    own.run(sample)
    expected = ModelRunner(file, kernels="xnnpack")
    expected.run(sample)
    np.testing.assert_array_equal(own.read(output), expected.read(output))
    assert own.read(inner).std() > 1
    assert not ModelRunner(file, like=ModelRunner(file), readable=[inner]).fell_back


@pytest.mark.parametrize("piece_bytes", [0, 9000, 1 << 30])
def test_models_that_outgrow_the_built_in_kernels_run_in_pieces(
    piece_bytes: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file, sample = maps_and_sample()
    outputs = [t for op in file.model.subgraphs[0].ops for t in op.outputs if t is not None]
    expected = read_all(ModelRunner(file, readable=outputs), file, sample)
    monkeypatch.setattr(memory_need, "_MOST_BUILTIN_BYTES", 0)
    monkeypatch.setattr(piecewise, "_PIECE_BYTES", piece_bytes)
    monkeypatch.setattr("fmtc_tflite.inference.model_runner._announced", set())
    own = ModelRunner(file)
    for _ in range(2):
        for found, wanted in zip(read_all(own, file, sample), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    (line,) = caplog.messages
    assert "the runtime's default kernels are used instead, for everything that is measured and verified" in line
    name = next(iter(sample))
    with pytest.raises(CalibrationError, match=rf"input '{name}': got int8 \[1, 2\], expected float32"):
        own.run({name: np.zeros((1, 2), np.int8)})
    few = ModelRunner(file, readable=[outputs[0]])
    few.run(sample)
    np.testing.assert_array_equal(few.read(outputs[0]), expected[0])


@pytest.mark.parametrize("kernels", ["xnnpack", "builtin", "reference"])
def test_pieces_of_a_set_of_kernels_compute_what_the_whole_does(kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file, sample = maps_and_sample()
    whole = ModelRunner(file, kernels=kernels)
    whole.run(sample)
    monkeypatch.setattr(memory_need, "_MOST_BUILTIN_BYTES", 0)
    monkeypatch.setattr(piecewise, "_PIECE_BYTES", 0)
    pieces = ModelRunner(file, kernels=kernels)
    pieces.run(sample)
    for output in file.model.subgraphs[0].outputs:
        np.testing.assert_array_equal(pieces.read(output), whole.read(output))

"""Models that keep state: samples stay in order, streams start anew, and what is reported holds for whole streams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fmtc_tflite import api, load_interpreter
from fmtc_tflite.data.opening import input_specs_from_model, open_dataset
from fmtc_tflite.data.preprocess import Preprocessing
from fmtc_tflite.errors import CalibrationError, UsageError
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.variables import keeps_state
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.types import CalibrationOptions, ConvertOptions, EvaluateOptions, StreamStart
from model_builder import chain
from streaming_models import CHANNELS, KEPT, STEP_SHAPE, stream, streaming


def in_order(path: str, steps: np.ndarray, **options: object) -> np.ndarray:
    """What a fresh interpreter of the runtime gives, step by step: real values [steps, 4]."""
    interpreter = load_interpreter(path, **options)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for step in steps:
        interpreter.set_tensor(source["index"], step[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(result["index"]).reshape(-1).astype(float))
    return np.array(found)


def relative_mse(streams: list[np.ndarray], **options: object) -> float:
    """Of the converted model beside the original, each stream from its start."""
    pairs = [(in_order("m.tflite", x, **options), in_order("m_fmtc.tflite", x, **options)) for x in streams]
    return sum(((a - b) ** 2).sum() for a, b in pairs) / sum((a**2).sum() for a, _ in pairs)


def convert(data: str, front: Sequence[int] = (), **options: object) -> dict:
    Path("m.tflite").write_bytes(streaming(front))
    calibration = CalibrationOptions(data=Path(data), num_samples=None)
    options = {"execution": "ops", "max_bits_per_value": 2.5, **options}
    return api.convert("m.tflite", options=ConvertOptions(calibration=calibration, **options), overwrite=True).report


def opened(data: str, **options: object) -> list[dict[str, np.ndarray]]:
    specs = input_specs_from_model(load_model(streaming()))
    dataset = open_dataset(data, input_specs=specs, preprocessing=Preprocessing("raw"), is_streamed=True, **options)
    return list(dataset)


def starts(samples: list[dict[str, np.ndarray]]) -> list[int]:
    return [position for position, sample in enumerate(samples) if isinstance(sample, StreamStart)]


# --- the state --------------------------------------------------------------------------------------------------------


def test_state_is_profiled_as_memory_of_its_own() -> None:
    Path("m.tflite").write_bytes(streaming())
    (model,) = api.profile("m.tflite")["models"]
    assert model["arena"]["persistent_bytes"] == KEPT * CHANNELS
    assert isinstance(model["arena"]["live_extent_bytes"], int)  # it was run, and lived


def test_a_stream_starts_from_the_empty_state() -> None:
    content, steps = streaming(), stream(0, 6)
    file = ModelFile.parse(content)
    assert keeps_state(file.model)
    assert not keeps_state(load_model(chain()))
    runner, output = ModelRunner(file), file.model.subgraphs[0].outputs[0]

    def run(sample: dict[str, np.ndarray]) -> list[int]:
        runner.run(sample)
        return runner.read(output).ravel().tolist()

    samples = [{"frames": step[None]} for step in steps]
    first = [run(sample) for sample in samples]
    assert [run(sample) for sample in samples] != first  # the state of the last pass
    assert [run(StreamStart(samples[0])), *(run(sample) for sample in samples[1:])] == first


# --- streams as data --------------------------------------------------------------------------------------------------


def test_arrays_of_streams_and_folders_of_files_are_streams() -> None:
    streams = np.stack([stream(seed, 5) for seed in range(3)])
    Path("folder").mkdir()
    np.save("one.npy", streams.reshape(-1, *STEP_SHAPE))
    np.save("several.npy", streams)
    np.savez_compressed("labelled.npz", x=streams, y=np.arange(15).reshape(3, 5))
    for number, x in enumerate(streams):
        np.save(f"folder/{number}.npy", x)
    whole = opened("one.npy")
    assert starts(whole) == [0]
    for data in ("several.npy", "labelled.npz", "folder"):
        samples = opened(data)
        assert starts(samples) == [0, 5, 10], data
        for sample, expected in zip(samples, whole, strict=True):
            np.testing.assert_array_equal(sample["frames"], expected["frames"])
    np.save("fortran.npy", np.asfortranarray(streams))
    np.testing.assert_array_equal(opened("fortran.npy")[7]["frames"], whole[7]["frames"])
    specs = input_specs_from_model(load_model(streaming()))
    with pytest.raises(CalibrationError, match="got the shape"):  # a model without state has no streams
        open_dataset("several.npy", input_specs=specs, preprocessing=Preprocessing("raw"))


def test_parts_are_contiguous() -> None:
    specs = input_specs_from_model(load_model(streaming()))
    np.save("one.npy", stream(0, 40))
    np.save("several.npy", np.stack([stream(seed, 10) for seed in range(4)]))
    settings = {"input_specs": specs, "preprocessing": Preprocessing("raw"), "is_streamed": True}
    build, held_back = open_dataset("one.npy", **settings).split(minimum=8)
    assert (len(build), len(held_back)) == (28, 12)
    assert [build.name(27), held_back.name(0)] == ["one.npy[27]", "one.npy[28]"]
    assert starts(list(held_back)) == [0]
    build, held_back = open_dataset("several.npy", **settings).split(minimum=8)
    assert [[len(part) for part in each.streams()] for each in (build, held_back)] == [[10, 10], [10, 10]]
    assert {int(held_back.name(i)[12:-1]) % 10 for i in (0, 10)} == {0}
    assert [len(part) for part in open_dataset("several.npy", num_samples=13, **settings).streams()] in (
        [10, 3],
        [3, 10],
    )
    assert starts(opened("several.npy", num_samples=25, seed=None)) == [0, 10, 20]


# --- conversions ------------------------------------------------------------------------------------------------------


def test_a_lossy_conversion_reports_what_streams_show() -> None:
    x = stream(0, 200)
    np.save("x.npy", x)
    fidelity = convert("x.npy")["fidelity"]
    assert fidelity["num_samples"] == 60
    assert fidelity["relative_mse_mean"] > 0
    assert fidelity["relative_mse_mean"] == pytest.approx(relative_mse([x[-60:]], builtin_kernels_only=True), rel=1e-9)


def test_an_evaluation_runs_whole_streams() -> None:
    streams = [stream(seed, 50) for seed in (7, 8)]
    np.save("x.npy", stream(0, 100))
    np.save("streams.npy", np.stack(streams))
    convert("x.npy")
    for workers in (1, 2):
        options = EvaluateOptions(data="streams.npy", num_workers=workers)
        found = api.evaluate("m_fmtc.tflite", "m.tflite", options=options)["comparison"]["fidelity"]
        assert found["relative_mse_mean"] == pytest.approx(relative_mse(streams), rel=1e-9)


def test_lossless_conversions_and_regions_keep_every_bit_of_a_stream() -> None:
    x = stream(3, 30)
    np.save("x.npy", x)
    for execution in ("ops", "regions"):
        convert("x.npy", (256, 256), execution=execution, max_bits_per_value=None, lossless=execution == "ops")
        assert relative_mse([x]) == 0, execution
    left = [op.opcode for op in load_model(Path("m_fmtc.tflite").read_bytes()).subgraphs[0].ops]
    assert {"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "FMTC_REGION"} <= {*left}


def test_machines_that_share_no_state_are_refused() -> None:
    np.save("x.npy", stream(0, 20))
    Path("m.tflite").write_bytes(streaming())
    calibration = CalibrationOptions(data=Path("x.npy"), beam=(), store=Path("s.npz"))
    with pytest.raises(UsageError, match="the model keeps state from one to the next"):
        api.convert("m.tflite", options=ConvertOptions(calibration=calibration, execution="ops"))

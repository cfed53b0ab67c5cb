"""The native executor on hand-made programs."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from fmtc_tflite.coding.crc32c import crc32c
from fmtc_tflite.errors import ModelFormatError, UsageError
from fmtc_tflite.runtime.region import RegionProgram
from region_programs import OUTPUT_ZERO_POINT, ZERO_POINT, convolution, convolution_numbers, copies


def random_items(program: RegionProgram, batch: int, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-128, 128, (batch, *tensor.shape)).astype(np.int8) for tensor in program.inputs]


def expected_convolution(x: np.ndarray) -> np.ndarray:
    """Of int8 [N, H, W, 3], as XNNPACK computes it."""
    numbers = convolution_numbers()
    padded = np.pad(x.astype(np.int64) + 128 - ZERO_POINT, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = x.shape[1:3]
    acc = np.zeros((*x.shape[:3], 5), np.int64) + numbers.biases
    for i in range(3):
        for j in range(3):
            acc += padded[:, i : i + height, j : j + width] @ numbers.weights[:, i, j].T
    scaled = np.rint(acc.astype(np.float32) * numbers.multipliers).astype(np.int64)
    return (np.clip(scaled + OUTPUT_ZERO_POINT, 0, 255) - 128).astype(np.int8)


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_copies(batch: int) -> None:
    with RegionProgram(copies()[0].content) as program:
        inputs = random_items(program, batch)
        np.testing.assert_array_equal(program.run(inputs)[0], inputs[0])


@pytest.mark.parametrize("batch", [1, 3])
def test_convolution(batch: int) -> None:
    with RegionProgram(convolution()[0].content) as program:
        inputs = random_items(program, batch)
        np.testing.assert_array_equal(program.run(inputs)[0], expected_convolution(inputs[0]))


def test_trace_tells_inner_tensors_times_and_bytes() -> None:
    with RegionProgram(convolution()[0].content) as program:
        inputs = random_items(program, 2)
        trace = program.trace(inputs)
    expected = expected_convolution(inputs[0])
    np.testing.assert_array_equal(trace.outputs[0], expected)
    for number, tensor in enumerate((inputs[0], inputs[0], expected, expected)):
        np.testing.assert_array_equal(trace.tensors[number], tensor[-1])
    items = [2 * tensor[0].size for tensor in (inputs[0], expected, expected)]
    assert trace.bytes_written.tolist() == items
    assert all(trace.nanoseconds > 0)


def test_wrong_inputs_are_refused() -> None:
    with RegionProgram(copies()[0].content) as program:
        good = random_items(program, 1)[0]
        for wrong in ([], [good, good], [good.astype(np.uint8)], [good[:, :-1]]):
            with pytest.raises(UsageError):
                program.run(wrong)


def test_damaged_programs_are_refused() -> None:
    content = convolution()[0].content
    for wrong in (content[:32], content[:-16], bytes(len(content)), content[:100] + b"?" + content[101:]):
        with pytest.raises(ModelFormatError):
            RegionProgram(wrong)
    later = bytearray(content)
    later[4] = 2
    later[12:16] = struct.pack("<I", crc32c(bytes(later[:12]), bytes(4), bytes(later[16:])))
    with pytest.raises(ModelFormatError, match="newer version"):
        RegionProgram(bytes(later))

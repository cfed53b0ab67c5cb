"""Side information survives its bytes, and nonsense is refused in either direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmtc_tflite.coding.convolution import SCALE_TYPES, Convolution
from fmtc_tflite.coding.rounding import Requantization, Rule
from fmtc_tflite.coding.side_info import CODED_STEPS, AffineTransform, SideInformation
from fmtc_tflite.coding.token_classes import TokenClass
from fmtc_tflite.errors import BitstreamError, CodingError

CLASS = TokenClass(128, 0, (0, 0, 1, 2, 3, 4, 5, 6, 7), (24, 12, 8, 6, 5, 4, 2, 2, 1))


def information(channels: int = 6, **fields: object) -> SideInformation:
    index = np.arange(channels, dtype=np.uint8)
    return SideInformation(channels, index % 2, index % 5, (CLASS, CLASS), **fields)  # type: ignore[arg-type]


def matrices(channels: int, components: int) -> dict[str, AffineTransform]:
    rng = np.random.default_rng(1)
    forward = rng.integers(-500, 500, (components, channels), dtype=np.int16)
    return {
        "analysis": AffineTransform(forward, np.arange(components, dtype=np.int32), 8),
        "synthesis": AffineTransform(forward.T.copy(), np.arange(channels, dtype=np.int32), 9),
    }


def convolution(channels: int, components: int, rule: Rule = Rule.HALF_UP, **changes: object) -> Convolution:
    weights = np.arange(channels * components).reshape(channels, components).astype(np.int8)
    scales: np.ndarray = np.full(channels, 1 << 30, np.int32)
    if rule.in_floats:
        scales = np.full(channels, 0.01, SCALE_TYPES[rule])
    how = Requantization(rule, scales, None if rule.in_floats else np.full(channels, -5, np.int8), 7, 8, 250)
    return Convolution(weights, -3, np.arange(channels, dtype=np.int32), how._replace(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "info",
    [
        information(),
        information(3, centre=-7, step=33, lo=-100, hi=99, checksum=False, constant_level=5),
        information(7, centre=np.arange(-3, 4, dtype=np.int8), step=CODED_STEPS[::20].astype(np.uint16)),
        information(5, **matrices(5, 5)),
        information(4, segment_rows=300),
        *(replace(information(4), channels=9, convolution=convolution(9, 4, rule)) for rule in SCALE_TYPES),
    ],
    ids=["lossless", "scalars", "arrays", "matrices", "rows", *(rule.name for rule in SCALE_TYPES)],
)
def test_round_trip(info: SideInformation) -> None:
    data = info.to_bytes()
    assert len(data) % 16 == 0
    again = SideInformation.from_bytes(data)
    assert again.to_bytes() == data
    assert again.classes == info.classes
    assert again.steps.tolist() == info.steps.tolist()
    assert again.centres.tolist() == info.centres.tolist()
    assert again.constant_level == info.constant_level
    assert (again.version, again.segment_rows) == (info.version, info.segment_rows) == (data[4], info.segment_rows)


def test_every_changed_byte_is_noticed() -> None:
    data = information(9, centre=np.arange(9, dtype=np.int8)).to_bytes()
    for i in range(len(data)):
        damaged = bytearray(data)
        damaged[i] ^= 0x10
        with pytest.raises(BitstreamError, match=r"convert the model again|format"):
            SideInformation.from_bytes(bytes(damaged))
    for end in (0, 3, 31, len(data) - 1):
        with pytest.raises(BitstreamError):
            SideInformation.from_bytes(data[:end])


@pytest.mark.parametrize(
    ("widths", "counts"),
    [
        ((7, 6), (32, 32)),
        ((7, 7), (64, 0)),
        ((7, 7), (32, 31)),
        ((7, 7), (32, 16, 16)),
        ((8,), (64,)),
        ((4,) * 17, (4,) * 15 + (2, 2)),
    ],
)
def test_impossible_classes(widths: tuple[int, ...], counts: tuple[int, ...]) -> None:
    with pytest.raises(CodingError):
        TokenClass(0, 0, widths, counts)


@pytest.mark.parametrize(
    "fields",
    [
        {"step": 15},
        {"step": 4081},
        {"step": np.array([16, 16, 33, 16, 16, 16], np.uint16)},
        {"lo": 3, "hi": 2},
        {"constant_level": 6},
        {"predictor": np.full(6, 5, np.uint8)},
        {"component_class": np.zeros(6, np.uint8)},
        {"channels": 7},
        {"analysis": matrices(6, 6)["analysis"]},
        {**matrices(6, 6), "step": 17},
    ],
)
def test_impossible_fields(fields: dict[str, object]) -> None:
    with pytest.raises(CodingError):
        replace(information(), **fields)  # type: ignore[arg-type]


def test_matrices_that_could_overflow_are_refused() -> None:
    large = AffineTransform(np.full((600, 600), 32767, np.int16), np.zeros(600, np.int32), 8)
    index = np.zeros(600, np.uint8)
    with pytest.raises(CodingError, match="overflow"):
        SideInformation(600, index, index, (CLASS,), analysis=large, synthesis=large)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (convolution(9, 5), r"convolution of \(9, 5\), expected \(9, 4\)"),
        (convolution(9, 4, rule=Rule.BLOCKS), "rule BLOCKS"),
        (convolution(9, 4, shifts=np.full(9, -32, np.int8)), "limits"),
        (convolution(9, 4, shifts=None), "limits"),
        (convolution(9, 4, scales=np.full(9, 1 << 29, np.int32)), "limits"),
        (convolution(9, 4, scales=np.full(8, 1 << 30, np.int32)), "8 scales"),
        (convolution(9, 4, Rule.FLOAT32, scales=np.full(9, np.nan, np.float32)), "limits"),
        (convolution(9, 4, Rule.FLOAT64, scales=np.zeros(9)), "limits"),
    ],
)
def test_convolutions_that_no_reader_takes(made: Convolution, message: str) -> None:
    with pytest.raises(CodingError, match=message):
        replace(information(4), channels=9, convolution=made)


def test_what_a_convolution_gives() -> None:
    """Sums wrap around; the clamp is that of the unsigned domain."""
    made = replace(convolution(9, 4), biases=np.full(9, -(1 << 31), np.int32))
    sums = (np.int64(128) * (made.weights.astype(np.int64) + 3)).sum(1) - (1 << 31)
    expected = np.clip(((sums + 1) >> 1) + 16 >> 5, 1, 243) + 7 - 128
    assert made.apply(np.zeros((2, 4), np.int8)).tolist() == [expected.tolist()] * 2

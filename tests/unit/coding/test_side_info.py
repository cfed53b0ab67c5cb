"""Side information survives its bytes, and nonsense is refused in either direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmtc_tflite.coding.side_info import CODED_STEPS, AffineTransform, SideInformation, TokenClass
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


@pytest.mark.parametrize(
    "info",
    [
        information(),
        information(3, centre=-7, step=33, lo=-100, hi=99, checksum=False, constant_level=5),
        information(7, centre=np.arange(-3, 4, dtype=np.int8), step=CODED_STEPS[::20].astype(np.uint16)),
        information(5, **matrices(5, 5)),
        information(4, segment_rows=300),
    ],
    ids=["lossless", "scalars", "arrays", "matrices", "rows"],
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

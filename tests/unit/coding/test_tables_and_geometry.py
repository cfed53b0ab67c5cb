"""Tables, geometry and checksum against what FORMAT.md says of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmtc_tflite.coding.crc32c import crc32c
from fmtc_tflite.coding.geometry import GROUP_VALUES, SEGMENT_VALUES, geometry, rows_of_groups
from fmtc_tflite.coding.tables import decode_table, encode_steps


@st.composite
def state_counts(draw: st.DrawFn) -> tuple[int, ...]:
    tokens = draw(st.integers(2, 16))
    cuts = sorted(draw(st.sets(st.integers(1, 63), min_size=tokens - 1, max_size=tokens - 1)))
    return tuple(b - a for a, b in zip([0, *cuts], [*cuts, 64], strict=True))


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_crc32c_vectors(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected
    assert crc32c(data[:5], data[5:]) == expected


@given(state_counts())
def test_every_token_has_its_states_and_coding_is_invertible(counts: tuple[int, ...]) -> None:
    table = decode_table(counts)
    assert np.bincount(table.token, minlength=len(counts)).tolist() == list(counts)
    bits, following, first = encode_steps(counts)
    for token in range(len(counts)):
        assert table.token[first[token]] == token
        assert not (table.token[: first[token]] == token).any()
        for state in range(64):
            new = following[token, state]
            assert table.token[new] == token
            assert table.bits[new] == bits[token, state]
            low = (64 + state) & (1 << int(bits[token, state])) - 1
            assert int(table.base[new]) + low == state


def test_the_states_of_a_token_are_spread() -> None:
    table = decode_table((32, 32))
    assert table.token.tolist() == [0, 1] * 32


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 1200))
def test_segments_and_groups_cover_the_map(height: int, width: int, components: int) -> None:
    cut = geometry(height, width, components)
    row = width * components
    assert sum(cut.segment_rows) == height
    assert sum(cut.group_segments) == len(cut.segment_rows)
    assert max(cut.segment_rows) - min(cut.segment_rows) <= 1
    assert list(cut.segment_rows) == sorted(cut.segment_rows, reverse=True)
    assert min(cut.segment_rows) * row >= min(SEGMENT_VALUES, height * row)
    assert min(cut.group_rows) * row >= min(GROUP_VALUES, height * row)
    assert cut.item_capacity_bytes % 8 == 0


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 1200), st.integers(1, 400))
def test_rows_of_a_segment(height: int, width: int, components: int, segment_rows: int) -> None:
    cut = geometry(height, width, components, segment_rows)
    assert sum(cut.segment_rows) == height == sum(cut.group_rows)
    assert max(cut.segment_rows) - min(cut.segment_rows) <= 1
    assert max(cut.segment_rows) <= segment_rows
    assert height % segment_rows or set(cut.segment_rows) == {segment_rows}
    assert min(cut.group_rows) * width * components >= min(GROUP_VALUES, height * width * components)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 1200))
def test_segments_as_large_as_groups(height: int, width: int, components: int) -> None:
    cut = geometry(height, width, components, rows_of_groups(height, width, components))
    assert set(cut.group_segments) == {1}


def test_geometry_of_a_typical_map() -> None:
    cut = geometry(14, 14, 576)
    assert cut.segment_rows == (2,) * 7
    assert cut.group_segments == (7,)
    assert geometry(7, 7, 960).segment_rows == (3, 2, 2)

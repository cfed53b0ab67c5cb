"""Finding and loading the native library, and the codec object over it."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fmtc_tflite
from fmtc_tflite.coding import reference
from fmtc_tflite.coding.geometry import geometry
from fmtc_tflite.coding.side_info import AffineTransform, SideInformation
from fmtc_tflite.coding.token_classes import TokenClass
from fmtc_tflite.errors import BitstreamError, CodingError, RuntimeLibraryError, UsageError
from fmtc_tflite.runtime.library import NativeCodec, library_path, load_library

SHAPE = (2, 9, 7)
CHANNELS = 5


def side_information(**changes: object) -> SideInformation:
    classes = (
        TokenClass(0, 0, (0, 0, 1, 2, 3, 4, 5, 6, 7), (40, 8, 4, 4, 2, 2, 2, 1, 1)),
        TokenClass(128, 0, (6, 6, 7), (16, 16, 32)),
    )
    fields: dict[str, object] = {
        "channels": CHANNELS,
        "component_class": np.array([0, 1, 0, 1, 0], np.uint8),
        "predictor": np.arange(CHANNELS, dtype=np.uint8),
        "classes": classes,
        "centre": -128,
    }
    return SideInformation(**{**fields, **changes})


def feature_map(dtype: type = np.int8, channels: int = CHANNELS) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.clip(rng.exponential(4, (*SHAPE, channels)) - 128, -128, 127).astype(np.int8).view(dtype)


@pytest.fixture
def fresh_library():
    load_library.cache_clear()
    yield
    load_library.cache_clear()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_lossless_round_trip(dtype: type) -> None:
    x = feature_map(dtype)
    info = side_information()
    with NativeCodec(info.to_bytes(), SHAPE, dtype) as codec:
        coded = codec.encode(x)
        assert coded.dtype == np.uint8
        assert coded.tobytes() == reference.encode(info, x)
        assert coded.nbytes <= codec.capacity_bytes
        decoded = codec.decode(coded)
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded, x)


def test_views_that_are_not_contiguous() -> None:
    x = feature_map(channels=2 * CHANNELS)[..., ::2]
    with NativeCodec(side_information().to_bytes(), SHAPE, np.int8) as codec:
        coded = np.repeat(codec.encode(x), 2)[::2]
        np.testing.assert_array_equal(codec.decode(coded), x)


def test_encode_into_a_small_buffer_uses_a_level() -> None:
    info = side_information(constant_level=3)
    x = feature_map()
    with NativeCodec(info.to_bytes(), SHAPE, np.int8) as codec:
        coded = np.empty(codec.capacity_bytes // 4, np.uint8)
        payload_bytes = codec.encode_into(x, coded)
        assert coded[:payload_bytes].tobytes() == reference.encode(info, x, coded.nbytes)


def test_empty_batch() -> None:
    with NativeCodec(side_information().to_bytes(), (0, 9, 7), np.int8) as codec:
        coded = codec.encode(np.empty((0, 9, 7, CHANNELS), np.int8))
        assert coded.size == 0
        assert codec.decode(coded).shape == (0, 9, 7, CHANNELS)


def test_folded_transform_has_two_channel_counts() -> None:
    synthesis = AffineTransform(np.full((8, CHANNELS), 3, np.int16), np.zeros(8, np.int32), 2)
    info = side_information(channels=8, synthesis=synthesis)
    x = feature_map()
    with NativeCodec(info.to_bytes(), SHAPE, np.int8) as codec:
        decoded = codec.decode(codec.encode(x))
    np.testing.assert_array_equal(decoded, reference.decode(info, reference.encode(info, x), SHAPE, np.int8))


def test_residual_histograms_equal_the_reference() -> None:
    info = side_information(step=40)
    x = feature_map()
    histograms = np.zeros((CHANNELS, 5, 256), np.uint32)
    with NativeCodec(info.to_bytes(), SHAPE, np.int8) as codec:
        codec.add_residual_histograms(x, histograms)
        codec.add_residual_histograms(x, histograms)
    expected = np.zeros_like(histograms)
    group_ends = np.cumsum(geometry(SHAPE[1], SHAPE[2], CHANNELS).group_rows)[:-1]
    groups = [g for item in x for g in np.split(reference.analyse(info, item, 0), group_ends)]
    for predictor in range(5):
        for group in groups:
            residual = reference.predict_group(np.full(CHANNELS, predictor), group).reshape(-1, CHANNELS)
            for channel in range(CHANNELS):
                expected[channel, predictor] += 2 * np.bincount(residual[:, channel], minlength=256).astype(np.uint32)
    np.testing.assert_array_equal(histograms, expected)


def test_damaged_bytes_are_bitstream_errors() -> None:
    info = side_information().to_bytes()
    with NativeCodec(info, SHAPE, np.int8) as codec:
        coded = codec.encode(feature_map())
        coded[20] ^= 1
        with pytest.raises(BitstreamError, match="checksum does not match"):
            codec.decode(coded)
        with pytest.raises(BitstreamError, match="shorter than its header says"):
            codec.decode(coded[:10])
    with pytest.raises(BitstreamError, match="side information is damaged"):
        NativeCodec(info[:40] + b"\xff" + info[41:], SHAPE, np.int8)
    with pytest.raises(BitstreamError, match="side information is shorter"):
        NativeCodec(info[:-16], SHAPE, np.int8)


def test_wrong_arguments() -> None:
    info = side_information().to_bytes()
    with pytest.raises(CodingError, match="got dtype float32, expected int8 or uint8"):
        NativeCodec(info, SHAPE, np.float32)
    with pytest.raises(CodingError, match=r"expected \(batch, height, width\)"):
        NativeCodec(info, (1, 9, 7, 5), np.int8)
    with pytest.raises(CodingError, match="invalid argument"):
        NativeCodec(info, (1, 0, 7), np.int8)
    codec = NativeCodec(info, SHAPE, np.int8)
    with pytest.raises(CodingError, match=r"got uint8 \[2, 9, 7, 5\], expected int8 \[2, 9, 7, 5\]"):
        codec.encode(feature_map(np.uint8))
    with pytest.raises(CodingError, match=r"expected int8 \[2, 9, 7, 5\]"):
        codec.encode(feature_map()[:1])
    with pytest.raises(CodingError, match="buffer too small"):
        codec.encode_into(feature_map(), np.empty(100, np.uint8))
    with pytest.raises(CodingError, match="writeable contiguous uint8"):
        codec.encode_into(feature_map(), np.empty(2000, np.int8))
    with pytest.raises(CodingError, match="expected uint8"):
        codec.decode(np.zeros(100, np.int8))
    with pytest.raises(CodingError, match=r"expected a contiguous uint32 \[5, 5, 256\]"):
        codec.add_residual_histograms(feature_map(), np.zeros((5, 5, 255), np.uint32))
    codec.close()
    codec.close()
    with pytest.raises(UsageError, match="after close"):
        codec.encode(feature_map())


def test_versions_agree() -> None:
    library = load_library()
    assert library.fmtc_version().decode() == fmtc_tflite.__version__
    assert library.fmtc_format_version() == 2
    assert library.fmtc_status_message(0) == b"success"
    assert library.fmtc_status_message(99) == b"unknown status"


def test_missing_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_library: None) -> None:
    monkeypatch.setenv("FMTC_LIBRARY", str(tmp_path / "none.so"))
    with pytest.raises(RuntimeLibraryError, match=r"FMTC_LIBRARY: .* correct or unset"):
        load_library()


def test_file_that_is_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_library: None) -> None:
    broken = tmp_path / "libfmtc_tflite.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setenv("FMTC_LIBRARY", str(broken))
    with pytest.raises(RuntimeLibraryError, match="built for this machine"):
        load_library()


def test_other_abi_version(monkeypatch: pytest.MonkeyPatch, fresh_library: None) -> None:
    class OtherLibrary:
        def __init__(self, path: str) -> None:
            self.fmtc_abi_version = lambda: 2

    monkeypatch.setattr(ctypes, "CDLL", OtherLibrary)
    with pytest.raises(RuntimeLibraryError, match="got ABI version 2, expected 1; reinstall"):
        load_library()


@pytest.mark.skipif(sys.platform != "linux", reason="reads an ELF symbol table")
def test_exports_nothing_else() -> None:
    try:
        listing = subprocess.run(
            ["nm", "-D", "--defined-only", str(library_path())], check=True, capture_output=True, text=True
        ).stdout
    except FileNotFoundError:
        pytest.skip("nm is not installed")
    names = {line.split()[-1] for line in listing.splitlines()}
    plugin = {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"}
    assert plugin <= names
    assert all(name.startswith("fmtc_") for name in names - plugin)

"""The native library: where it is, and its codec as a Python object. Needs numpy only."""

from __future__ import annotations

import ctypes
import functools
import importlib.resources
import os
import pathlib
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from fmtc_tflite.errors import BitstreamError, CodingError, RuntimeLibraryError
from fmtc_tflite.runtime.native_handle import NativeHandle

_ABI_VERSION = 1
_LIBRARY_NAME = "libfmtc_tflite.so"
_ENVIRONMENT_VARIABLE = "FMTC_LIBRARY"
_NUM_PREDICTORS = 5
_NUM_CONTEXTS = 15
# Statuses of custom_ops/base/status.h that say that the bytes are bad, not the call.
_BITSTREAM_STATUSES = range(3, 10)
_CPU_LEVEL_STATUS = 11

UInt8Array = npt.NDArray[np.uint8]
FeatureMap = npt.NDArray[Any]  # int8 or uint8


def library_path() -> pathlib.Path:
    """Path of the shared library: the environment variable FMTC_LIBRARY, else the packaged file.

    Raises:
      RuntimeLibraryError: the file does not exist.
    """
    override = os.environ.get(_ENVIRONMENT_VARIABLE)
    if override:
        path = pathlib.Path(override)
        if not os.path.isfile(path):
            raise RuntimeLibraryError(
                f"{_ENVIRONMENT_VARIABLE}: got {override!r}, expected the path of {_LIBRARY_NAME}; "
                f"correct or unset the variable"
            )
        return path.resolve()
    path = _packaged_path()
    if not os.path.isfile(path):
        raise RuntimeLibraryError(
            f"native library: {path} is missing, expected it in the installed package; reinstall with "
            f"'pip install .' or set {_ENVIRONMENT_VARIABLE} to a built {_LIBRARY_NAME}"
        )
    return path


@functools.cache
def _packaged_path() -> pathlib.Path:
    return pathlib.Path(str(importlib.resources.files("fmtc_tflite") / "_native" / _LIBRARY_NAME))


@functools.cache
def load_library() -> ctypes.CDLL:
    """Loads the shared library once, with the types of its functions declared.

    Raises:
      RuntimeLibraryError: the library is missing, cannot be loaded or has another ABI version.
    """
    path = library_path()
    try:
        library = ctypes.CDLL(str(path))
        library.fmtc_abi_version.argtypes = []
        library.fmtc_abi_version.restype = ctypes.c_int32
        version = library.fmtc_abi_version()
        if version == _ABI_VERSION:
            _declare_functions(library)
    except (OSError, AttributeError) as error:
        raise RuntimeLibraryError(
            f"native library {path}: {error}; expected a {_LIBRARY_NAME} built for this machine, "
            f"reinstall with 'pip install .'"
        ) from error
    if version != _ABI_VERSION:
        raise RuntimeLibraryError(
            f"native library {path}: got ABI version {version}, expected {_ABI_VERSION}; reinstall so that library "
            f"and Python package come from the same release"
        )
    return library


def _declare_functions(library: ctypes.CDLL) -> None:
    """Sets argtypes and restype of every function of c_api/fmtc_c_api.h."""
    pointer, size, status = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32
    signatures: dict[str, tuple[object, list[object]]] = {
        "fmtc_version": (ctypes.c_char_p, []),
        "fmtc_format_version": (ctypes.c_int32, []),
        "fmtc_cpu_level": (ctypes.c_char_p, []),
        "fmtc_status_message": (ctypes.c_char_p, [ctypes.c_int32]),
        "fmtc_codec_create": (
            status,
            [ctypes.c_char_p, size, *[ctypes.c_int64] * 3, ctypes.c_int32, ctypes.POINTER(pointer)],
        ),
        "fmtc_codec_destroy": (None, [pointer]),
        "fmtc_codec_capacity": (size, [pointer]),
        "fmtc_encode": (status, [pointer, pointer, size, pointer, size, ctypes.POINTER(size)]),
        "fmtc_decode": (status, [pointer, pointer, size, pointer, size]),
        "fmtc_residual_histograms": (status, [pointer, pointer, size, pointer, size]),
        "fmtc_context_histograms": (status, [pointer, pointer, size, pointer, size]),
        "fmtc_region_create": (status, [pointer, size, ctypes.POINTER(pointer)]),
        "fmtc_region_destroy": (None, [pointer]),
        "fmtc_region_scratch_bytes": (size, [pointer]),
        "fmtc_region_input_bytes": (size, [pointer, ctypes.c_int32]),
        "fmtc_region_output_bytes": (size, [pointer, ctypes.c_int32]),
        "fmtc_region_run": (status, [pointer, pointer, pointer, ctypes.c_int64, pointer, size, pointer]),
    }
    for name, (restype, argtypes) in signatures.items():
        function = getattr(library, name)
        function.restype = restype
        function.argtypes = argtypes


class NativeCodec(NativeHandle):
    """Encoder and decoder of feature maps of one shape, in native code. Use it from one thread at a time.

    The maps that are encoded and decoded are [N, H, W, channels]; the number of channels differs between the two when
    the transform is folded into the producer.

    Args:
      side_information: bytes as FORMAT.md section 2 defines them.
      shape: batch, height, width.
      dtype: np.int8 or np.uint8.

    Raises:
      BitstreamError: the side information is damaged or of a newer version.
      CodingError: the shape or dtype is not supported.
      RuntimeLibraryError: the native library is missing or does not fit, or the environment variable FMTC_CPU_LEVEL
        asks for instructions that this processor lacks.
    """

    def __init__(self, side_information: bytes, shape: tuple[int, int, int], dtype: npt.DTypeLike) -> None:
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        if self._dtype not in (np.dtype(np.int8), np.dtype(np.uint8)):
            raise CodingError(f"feature map codec: got dtype {self._dtype}, expected int8 or uint8")
        if len(shape) != 3:
            raise CodingError(f"feature map codec: got shape {shape}, expected (batch, height, width)")
        self._shape = tuple(int(dimension) for dimension in shape)
        self._side_information = bytes(side_information)
        self._library = load_library()
        super().__init__("feature map codec", self._library.fmtc_codec_destroy)
        handle = ctypes.c_void_p()
        is_uint8 = int(self._dtype == np.uint8)
        status = self._library.fmtc_codec_create(
            self._side_information, len(self._side_information), *self._shape, is_uint8, ctypes.byref(handle)
        )
        self._check(status, f"side information for {list(self._shape)}")
        self._own(handle)
        # Offsets of FORMAT.md section 2; the native library has checked the fields.
        has_analysis = self._side_information[5] & 1
        channels, self._components = struct.unpack_from("<2I", self._side_information, 16)
        self._classes = self._side_information[6]
        self._input_shape = (*self._shape, channels if has_analysis else self._components)
        self._output_shape = (*self._shape, channels)

    @property
    def capacity_bytes(self) -> int:
        """Bytes that always suffice for a coded map of this shape."""
        return int(self._library.fmtc_codec_capacity(self._handle))

    def encode(self, feature_map: FeatureMap) -> UInt8Array:
        """Encodes a map of the constructor's shape and dtype; returns the payload, uint8 [payload bytes]."""
        coded = np.empty(self.capacity_bytes, np.uint8)
        return coded[: self.encode_into(feature_map, coded)].copy()

    def encode_into(self, feature_map: FeatureMap, coded: UInt8Array) -> int:
        """Encodes a map into `coded` (uint8, its size is the capacity) and returns the payload bytes.

        Raises:
          CodingError: wrong shape or dtype, or a capacity that is too small for side information without levels.
        """
        source = self._checked_map(feature_map)
        if coded.dtype != np.uint8 or not coded.flags.c_contiguous or not coded.flags.writeable:
            raise CodingError("encode: the output must be a writeable contiguous uint8 array")
        payload_bytes = ctypes.c_size_t()
        status = self._library.fmtc_encode(
            self._handle,
            source.ctypes.data,
            source.nbytes,
            coded.ctypes.data,
            coded.nbytes,
            ctypes.byref(payload_bytes),
        )
        self._check(status, f"encode into {coded.nbytes} bytes, {self.capacity_bytes} always suffice")
        return payload_bytes.value

    def decode(self, coded: UInt8Array) -> FeatureMap:
        """Decodes a coded map at the front of `coded` (uint8); bytes behind its payload are ignored.

        Raises:
          BitstreamError: the coded bytes are truncated, damaged or of a newer version.
        """
        if coded.dtype != np.uint8:
            raise CodingError(f"decode: got dtype {coded.dtype}, expected uint8")
        source = np.ascontiguousarray(coded)
        feature_map = np.empty(self._output_shape, self._dtype)
        status = self._library.fmtc_decode(
            self._handle, source.ctypes.data, source.nbytes, feature_map.ctypes.data, feature_map.nbytes
        )
        self._check(status, f"decode {source.nbytes} bytes")
        return feature_map

    def add_residual_histograms(self, feature_map: FeatureMap, histograms: npt.NDArray[np.uint32]) -> None:
        """Adds what the residuals of a map would be under each predictor, at level 0.

        Args:
          feature_map: a map of the constructor's shape and dtype.
          histograms: uint32 [components, 5 predictors, 256 residual bytes], changed in place.
        """
        self._add_histograms("residual", (self._components, _NUM_PREDICTORS, 256), feature_map, histograms)

    def add_context_histograms(self, feature_map: FeatureMap, histograms: npt.NDArray[np.uint32]) -> None:
        """Adds the residuals of a map by class and context, at level 0.

        Args:
          feature_map: a map of the constructor's shape and dtype.
          histograms: uint32 [classes, 15 contexts, 256 residual bytes], changed in place.
        """
        self._add_histograms("context", (self._classes, _NUM_CONTEXTS, 256), feature_map, histograms)

    def _add_histograms(
        self, kind: str, expected: tuple[int, ...], feature_map: FeatureMap, histograms: npt.NDArray[np.uint32]
    ) -> None:
        source = self._checked_map(feature_map)
        if histograms.dtype != np.uint32 or histograms.shape != expected or not histograms.flags.c_contiguous:
            raise CodingError(
                f"{kind} histograms: got {histograms.dtype} {list(histograms.shape)}, expected a contiguous "
                f"uint32 {list(expected)}"
            )
        add = getattr(self._library, f"fmtc_{kind}_histograms")
        status = add(self._handle, source.ctypes.data, source.nbytes, histograms.ctypes.data, histograms.size)
        self._check(status, f"{kind} histograms")

    def _checked_map(self, feature_map: FeatureMap) -> FeatureMap:
        if feature_map.dtype != self._dtype or feature_map.shape != self._input_shape:
            raise CodingError(
                f"feature map: got {feature_map.dtype} {list(feature_map.shape)}, expected {self._dtype} "
                f"{list(self._input_shape)}"
            )
        contiguous: FeatureMap = np.ascontiguousarray(feature_map)
        return contiguous

    def _check(self, status: int, what: str) -> None:
        if status == 0:
            return
        message = f"{what}: {self._library.fmtc_status_message(status).decode()}"
        if status == _CPU_LEVEL_STATUS:
            raise RuntimeLibraryError(message)
        if status in _BITSTREAM_STATUSES:
            raise BitstreamError(message)
        raise CodingError(message)

"""Objects of the native library: freed once, by close(), by `with` or by the garbage collector."""

from __future__ import annotations

import ctypes
import types
from collections.abc import Callable
from typing import TypeVar

from fmtc_tflite.errors import UsageError

_Self = TypeVar("_Self", bound="NativeHandle")


class NativeHandle:
    """Owns the handle of one object; subclasses set it once it has been created.

    Args:
      name: of the object, in the message that it is used after close().
      destroy: frees the object.
    """

    _live: ctypes.c_void_p | None = None

    def __init__(self, name: str, destroy: Callable[[ctypes.c_void_p], object]) -> None:
        self._name, self._destroy = name, destroy

    def _own(self, handle: ctypes.c_void_p) -> None:
        self._live = handle

    @property
    def _handle(self) -> ctypes.c_void_p:
        if self._live is None:
            raise UsageError(f"{self._name}: used after close(); make a new one")
        return self._live

    def close(self) -> None:
        """Frees the native memory. The object cannot be used afterwards."""
        if self._live is not None:
            self._destroy(self._live)
            self._live = None

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

"""Work for the worker processes of tests: they import it by name."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_info

from fmtc_tflite.errors import CalibrationError


@dataclass(frozen=True)
class Squares:
    """Squares shards; does something else for the shard `special`.

    Attributes:
      folder: for a note that the special shard was tried.
      special: 'die', 'segfault', 'die_once', 'fail' with an error of the package, 'crash' with another, or None.
    """

    folder: Path
    special: str | None = None
    special_shard: int = 3

    def __call__(self) -> Callable[[int], int]:
        if self.special == "die_at_start":
            os.kill(os.getpid(), signal.SIGKILL)
        return self._square

    def _square(self, shard: int) -> int:
        note = self.folder / "tried"
        if shard == self.special_shard and self.special is not None:
            if self.special == "fail":
                raise CalibrationError("a bad sample")
            if self.special == "crash":
                raise ZeroDivisionError("a defect")
            if self.special == "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            if self.special == "die" or not note.exists():
                note.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return shard * shard


@dataclass(frozen=True)
class BlasThreads:
    """Gives how many threads numpy's linear algebra has, for each shard."""

    def __call__(self) -> Callable[[int], list[int]]:
        return lambda shard: blas_threads()


def blas_threads() -> list[int]:
    """Threads of each BLAS library of this process."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

"""Runs functions in processes of their own, and a Dask cluster of this machine, and sees what processes take."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fmtc_tflite.beam.running import descendants
from fmtc_tflite.errors import FmtcError

_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 60


class _Watch(threading.Thread):
    """Looks at a process, at others, and at all that these have started, many times a second."""

    def __init__(self, process: int, others: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._roots, self._ended = (process, *others), threading.Event()
        self._process = process
        self._seconds: dict[int, float] = {}
        self._peaks: dict[int, int] = {}
        self.start()

    def run(self) -> None:
        """The thread's work."""
        while not self._ended.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Takes the figures of now."""
        for process in set(self._roots).union(*map(descendants, self._roots)):
            with suppress(OSError, IndexError):  # it has just ended
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                self._seconds[process] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                self._peaks[process] = max(peak_bytes(process), self._peaks.get(process, 0))

    def result(self) -> dict[str, float]:
        """Processor time of all, and peaks; ends the looking."""
        self._ended.set()
        self.join()
        self.look()
        others = [peak for process, peak in self._peaks.items() if process != self._process]
        return {
            "cpu_seconds": sum(self._seconds.values()),
            "worker_peak_bytes": max(others, default=0),
            "start_peak_bytes": self._peaks[self._process],
        }


def peak_bytes(process: int) -> int:
    """The most that has been resident of a process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _serve(connection: Connection, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    try:
        connection.send((function(*arguments), None))
    except Exception as e:
        connection.send((None, f"{type(e).__name__}: {e}"))
    connection.recv()  # until its last figures are looked at, and it is killed


def in_process(
    function: Callable[..., Any], *arguments: Any, others: Sequence[int] = ()
) -> tuple[Any, dict[str, float]]:
    """Runs a function of a module in a fresh process.

    Returns:
      Its result, and what `_Watch` saw of it, of its descendants and of other processes with theirs.

    Raises:
      FmtcError: it failed.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    assert process.pid is not None
    watch = _Watch(process.pid, others)
    try:
        result, error = ours.recv()
        used = watch.result()
    except EOFError:
        raise FmtcError(f"{function.__name__}: the process died") from None
    finally:
        process.kill()
        process.join()
    if error is not None:
        raise FmtcError(f"{function.__name__}: {error}")
    return result, used


@contextmanager
def dask_cluster(folder: str, workers: int) -> Iterator[tuple[str, list[int]]]:
    """A scheduler's address, and the processes of it and of its workers, which are ready.

    Raises:
      FmtcError: they do not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    ready = f"from dask.distributed import Client; Client('{address}').wait_for_workers({workers}, {_PATIENCE_SECONDS})"
    with (Path(folder) / "dask.log").open("wb") as log:

        def start(*command: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)

        dask = (sys.executable, "-m", "dask")
        processes = [start(*dask, "scheduler", "--host", address, "--no-dashboard")]
        try:
            processes.append(
                start(*dask, "worker", address, "--nworkers", str(workers), "--nthreads", "1", "--no-dashboard")
            )
            if subprocess.run([sys.executable, "-c", ready], stdout=log, stderr=log, check=False).returncode != 0:
                raise FmtcError(f"Dask does not start: {(Path(folder) / 'dask.log').read_text()[-1000:]}")
            yield address, [process.pid for process in processes]
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

"""Shards of work over processes that may die: each shard is tried twice, and what is done is never lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from fmtc_tflite.blas import one_blas_thread
from fmtc_tflite.errors import FmtcError, UnsupportedModelError
from fmtc_tflite.supervision import CRASHES, HOW_TO_GO_ON, die_with, noted_models

_ATTEMPTS = 2

Work = Callable[[int], Any]


def run_shards(
    open_work: Callable[[], Work], shards: Sequence[int], num_workers: int, describe: Callable[[int], str]
) -> Iterator[tuple[int, Any]]:
    """Yields (shard, result) of every shard, in the order in which they are finished.

    Args:
      open_work: called once in each process; gives the function from shard to result. Must be picklable if there are
        several workers, as must results.
      shards: numbers of the shards.
      num_workers: 1 works in this process; more are started by `spawn`, so a script that comes here must do so under
        `if __name__ == "__main__"`.
      describe: what messages call a shard.

    Raises:
      UnsupportedModelError: a shard's worker crashed twice, as runtimes do on some damaged models.
      FmtcError: a shard's worker died twice of something else; or whatever the work raised.
    """
    if num_workers == 1 or len(shards) <= 1:
        work = open_work() if shards else None
        for shard in shards:
            assert work is not None
            yield shard, work(shard)
        return
    pool = _Pool(open_work, shards, describe)
    try:
        pool.start_workers(min(num_workers, len(shards)))
        while pool.workers:
            yield from pool.collect()
    finally:
        pool.stop()


class _Worker:
    """One process, and the shard that it works on."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        # The models follow through the pipe: start() would hang for ever if the process died while it is given more
        # than an operating system's pipe holds.
        self.process: SpawnProcess = context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
        # Ctrl-C is the parent's business, from the child's first moment on: it keeps the mask.
        resource_tracker.ensure_running()  # which start() would do, and take the mask away
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()  # so that the end of the process is the end of the pipe
        self.shard: int | None = None

    def send(self, message: Any) -> None:
        with suppress(OSError):  # it died; whoever waits for its answer finds out
            self.connection.send(message)

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()
        self.process.close()


class _Pool:
    def __init__(self, open_work: Callable[[], Work], shards: Sequence[int], describe: Callable[[int], str]) -> None:
        self._open_work, self._describe = open_work, describe
        self._waiting = deque(shards)
        self._attempts = dict.fromkeys(shards, 0)
        self.workers: dict[Connection, _Worker] = {}

    def start_workers(self, count: int) -> None:
        workers = [_Worker() for _ in range(count)]
        self.workers |= {worker.connection: worker for worker in workers}
        for worker in workers:
            worker.send(self._open_work)
            self._assign(worker)

    def collect(self) -> Iterator[tuple[int, Any]]:
        """Waits until something happens; yields what was finished."""
        for connection in wait(list(self.workers)):
            assert isinstance(connection, Connection)
            worker = self.workers[connection]
            try:
                result, error = connection.recv()
            except (EOFError, OSError):
                self._replace(worker)
                continue
            if error is not None:
                raise error
            finished = worker.shard
            assert finished is not None
            self._assign(worker)
            yield finished, result

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.stop()
        self.workers.clear()

    def _assign(self, worker: _Worker) -> None:
        if not self._waiting:
            self._remove(worker)
            return
        worker.shard = self._waiting.popleft()
        self._attempts[worker.shard] += 1
        worker.send(worker.shard)

    def _replace(self, worker: _Worker) -> None:
        worker.process.join()
        shard, code = worker.shard, worker.process.exitcode
        assert shard is not None
        self._remove(worker)
        if self._attempts[shard] >= _ATTEMPTS:
            if code is not None and -code in CRASHES:
                raise UnsupportedModelError(
                    f"{noted_models()}: the runtime crashed {_ATTEMPTS} times in {self._describe(shard)} "
                    f"({_cause(code)}); {HOW_TO_GO_ON}"
                )
            raise FmtcError(
                f"{self._describe(shard)}: its worker process died {_ATTEMPTS} times ({_cause(code)}); what is "
                "finished is kept, and the same command goes on from there. Try fewer --num_workers"
            )
        self._waiting.appendleft(shard)
        self.start_workers(1)

    def _remove(self, worker: _Worker) -> None:
        del self.workers[worker.connection]
        worker.stop()


def _cause(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        return name + (", usually for want of memory" if name == "SIGKILL" else "")
    return f"exit code {exit_code}"


@one_blas_thread()
def _serve(connection: Connection, parent: int) -> None:
    """A worker's life: the work comes in, then shards; (result, None) or (None, error) go out, until the pipe ends."""
    die_with(parent)
    work = None
    with suppress(EOFError, OSError):
        open_work: Callable[[], Work] = connection.recv()
        while True:
            shard = connection.recv()
            answer: tuple[Any, Exception | None]
            try:
                work = work or open_work()
                answer = (work(shard), None)
            except FmtcError as error:
                answer = (None, error)
            except Exception:  # it may not be picklable, but its text is
                answer = (None, RuntimeError(f"in a worker process: {traceback.format_exc()}"))
            connection.send(answer)

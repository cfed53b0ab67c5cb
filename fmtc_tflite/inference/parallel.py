"""Runs of a model on several processors: one interpreter each, since kernels gain less from threads of their own.

Interpreters let go of Python's lock while they run. Results come in the order of the samples, so that nothing depends
on how many there are.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from typing import TypeVar

from fmtc_tflite.graph.model import Model, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.variables import keeps_state
from fmtc_tflite.inference.memory_need import runner_bytes, runs_briefly
from fmtc_tflite.inference.model_runner import ModelRunner

_MOST_BYTES = 100 << 20  # activations of all interpreters together
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # of glibc's malloc.h
_LARGE_ARRAY_BYTES = 4 << 20

Worker = TypeVar("Worker")
Item = TypeVar("Item")
Result = TypeVar("Result")


def num_at_once(model: Model, num_threads: int | None) -> int:
    """How many runs of a model may go on at once: --num_threads, None meaning the processors that this process may use.

    One where runs are short.
    """
    return 1 if runs_briefly(model) else num_threads or len(os.sched_getaffinity(0))


def num_parallel(model: Model, num_threads: int | None) -> int:
    """How many interpreters of one model should share samples: `num_at_once`, as far as memory allows.

    One where a model keeps state from one sample to the next, and takes them in order.
    """
    if keeps_state(model):
        return 1
    return max(min(num_at_once(model, num_threads), _MOST_BYTES // max(runner_bytes(model), 1)), 1)


def is_large(model: Model) -> bool:
    """Whether two interpreters of a model take more memory than they should."""
    return 2 * runner_bytes(model) > _MOST_BYTES


def open_runners(
    file: ModelFile,
    num_threads: int | None = None,
    like: ModelRunner | None = None,
    readable: Collection[Tensor] | None = None,
) -> list[ModelRunner]:
    """As many runners of a model as should run at once; they share the threads. See ModelRunner."""
    count = num_parallel(file.model, num_threads)
    own = num_threads if num_threads is None else max(num_threads // count, 1)
    first = ModelRunner(file, num_threads=own, like=like, readable=readable)
    return [first, *(ModelRunner(file, num_threads=own, like=first, readable=readable) for _ in range(count - 1))]


def in_parallel(
    workers: Sequence[Worker], items: Iterable[Item], work: Callable[[Worker, Item], Result]
) -> Iterator[Result]:
    """Yields `work(worker, item)` of all items, in their order, with every worker on at most one item at a time.

    Args:
      workers: such as one ModelRunner each; a single one works in the calling thread.
      items: taken in the calling thread, few more of them than there are workers before results are fetched.
      work: called in other threads; what it raises comes out at its item's place.
    """
    _keep_little_heap()
    if len(workers) == 1:
        for item in items:
            yield work(workers[0], item)
        return
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def run(item: Item) -> Result:
        worker = idle.get()
        try:
            return work(worker, item)
        finally:
            idle.put(worker)

    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(len(workers)) as executor:
        try:
            for item in items:
                running.append(executor.submit(run, item))
                if len(running) > len(workers):  # one waits, so that no worker does
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


@cache
def _keep_little_heap() -> None:
    """Lets threads allocate from one heap, and gives large arrays back at once: glibc else keeps what was freed.

    It gives each thread a heap of its own, and takes ever larger arrays from there once one of their size was freed.
    """
    with suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_ARRAY_BYTES)

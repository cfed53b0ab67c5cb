"""numpy's linear algebra keeps to one thread where models run.

By default it takes every core, whatever --num_threads says, and its threads go on spinning after each product: the
interpreter, whose runs lie between the products, then shares its cores with threads that do nothing. One thread also
rounds alike on any number of cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np  # noqa: F401  the limit holds for libraries that are loaded
from threadpoolctl import threadpool_limits


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limits BLAS in this process meanwhile; a context or, called, a decorator.

    Every door to work with models has it: conversion, evaluation, profiling, comparison, and each worker process.
    """
    with threadpool_limits(1, user_api="blas"):
        yield

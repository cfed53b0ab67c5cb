"""The runtimes to run the ops in."""

from __future__ import annotations

import pytest

from fmtc_tflite.runtime.interpreter import available_runtimes


def _param(name: str) -> object:
    return name if name == "ai_edge_litert" else pytest.param(name, marks=pytest.mark.extras)


@pytest.fixture(params=map(_param, available_runtimes()))
def runtime(request: pytest.FixtureRequest) -> str:
    """Each installed runtime in turn."""
    return request.param

"""The runtimes to run the ops in."""

from __future__ import annotations

import pytest

from fmtc_tflite.runtime.interpreter import available_runtimes


@pytest.fixture(params=available_runtimes())
def runtime(request: pytest.FixtureRequest) -> str:
    """Each installed runtime in turn."""
    return request.param

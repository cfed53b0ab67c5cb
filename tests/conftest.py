"""Fixtures and settings for all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest

# A shell that started the tests in the background may have them ignore interrupts, and so what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every machine and in every run.
hypothesis.settings.register_profile("fmtc", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("fmtc")


@pytest.fixture(autouse=True)
def _outside_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that a test starts import the installed package, not the source tree, which has no library."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the source tree that the tests lie in."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with `models/`, `imagenet/`, `cifar10/` and `kws/`; skips the test without it."""
    folder = os.environ.get("FMTC_TEST_DATA")
    if not folder:
        pytest.skip("FMTC_TEST_DATA does not name a folder with real models and data")
    return Path(folder)

from __future__ import annotations

import importlib.util
import os
import warnings
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
collect_ignore_glob: list[str] = []
if all(importlib.util.find_spec(name) for name in ("tensorflow", "tf_keras")):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's own
        import keras_networks
else:
    collect_ignore_glob.append("test_keras_*.py")


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return keras_networks.images()


@pytest.fixture
def network() -> Any:
    return keras_networks.small_network()

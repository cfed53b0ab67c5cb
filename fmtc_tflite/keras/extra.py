"""TensorFlow and tf-keras, or one line that says how to get them."""

from __future__ import annotations

import os

from fmtc_tflite.errors import UsageError

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # TF-MOT works with tf-keras only; read when TensorFlow is imported
try:
    import tensorflow as tf
    import tf_keras as keras
except ImportError as error:
    raise UsageError(
        f"fmtc_tflite.keras: TensorFlow or tf-keras does not load ({error}); "
        "run `pip install tensorflow tf-keras tensorflow-model-optimization`"
    ) from error

__all__ = ["check_model", "keras", "tf"]


def check_model(model: object) -> None:
    """Raises UsageError where `model` is not a functional or sequential tf-keras model that is built."""
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        raise UsageError(
            f"model: got {kind}, expected a tf-keras model; set TF_USE_LEGACY_KERAS=1 before TensorFlow is imported "
            "and build the model with tf_keras"
        )
    if not (model.built and getattr(model, "_is_graph_network", False)):
        raise UsageError(
            f"model '{model.name}': got a subclassed or unbuilt model, expected a functional or sequential one with "
            "a known input shape; add an Input layer"
        )

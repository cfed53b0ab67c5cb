"""The network and the images that tests of Keras share."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

SIZE = 12


def images() -> np.ndarray:
    """Smooth images float32 [40, 12, 12, 1] in [0, 1]."""
    coarse = np.random.default_rng(0).random((40, 4, 4, 1), dtype=np.float32)
    return np.asarray(tf.image.resize(coarse, (SIZE, SIZE)))


def small_network() -> Any:
    """Convolutions with and without ReLU, a residual, and what cannot be annotated."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = layers.Input((SIZE, SIZE, 1), name="image")
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(layers.Conv2D(8, 3, name="conv")(inputs)))
    y = layers.Conv2D(8, 3, padding="same", name="linear")(layers.Dropout(0.1, name="dropout")(x))
    x = layers.Add(name="add")([x, y])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="dense")(x))

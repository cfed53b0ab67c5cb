"""Trains, quantizes and writes the demo model and its samples: `fmtc_tflite/demo/`.

Run from the repository's root, with the extra `[tensorflow]` and scikit-learn installed:

    python tools/make_demo_model.py

Data: scikit-learn's handwritten digits (1797 of 8x8, carried by its package), upsampled to 32x32 so that feature maps
are of a realistic size. Takes a few minutes on one core.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # before TensorFlow is imported

import numpy as np
import tensorflow as tf
import tf_keras as keras
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tf_keras import layers

from fmtc_tflite.files import write_all

SEED = 1
IMAGE_SIZE = 32
SAMPLES = 200  # shipped; never trained on
HELD_OUT = 600
PTQ_SAMPLES = 200
EPOCHS = 30
OUTPUT = Path(__file__).resolve().parent.parent / "fmtc_tflite" / "demo"


def load_images() -> tuple[np.ndarray, np.ndarray]:
    """The digits as uint8 [1797, 32, 32, 1], black on white 0 to 255, and their labels int64 [1797]."""
    digits = load_digits()
    small = np.round(digits.images * (255 / 16)).astype(np.uint8)
    size = (IMAGE_SIZE, IMAGE_SIZE)
    images = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in small]
    return np.stack(images)[..., None], digits.target.astype(np.int64)


def batch_norm(x: tf.Tensor) -> tf.Tensor:
    return layers.BatchNormalization(momentum=0.9)(x)  # the default, 0.99, is too slow for a few hundred steps


def conv_bn_relu(x: tf.Tensor, layer: layers.Layer) -> tf.Tensor:
    return layers.ReLU(6.0)(batch_norm(layer(x)))


def inverted_residual(x: tf.Tensor, channels: int, stride: int, expansion: int = 4) -> tf.Tensor:
    """MobileNetV2's block: expand 1x1, depthwise 3x3, project 1x1, add where the shapes agree."""
    inner = x.shape[-1] * expansion
    y = conv_bn_relu(x, layers.Conv2D(inner, 1, use_bias=False))
    y = conv_bn_relu(y, layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False))
    y = batch_norm(layers.Conv2D(channels, 1, use_bias=False)(y))
    return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == channels else y


def build_network() -> keras.Model:
    inputs = layers.Input((IMAGE_SIZE, IMAGE_SIZE, 1), name="image")
    x = conv_bn_relu(inputs, layers.Conv2D(16, 3, padding="same", use_bias=False))
    for channels, stride in ((16, 1), (24, 2), (24, 1), (32, 2), (32, 1)):
        x = inverted_residual(x, channels, stride)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="digit")(x), name="demo")


def train(images: np.ndarray, labels: np.ndarray) -> keras.Model:
    """Trains on pixels/255; returns the float network."""
    network = build_network()
    steps = EPOCHS * -(-len(images) // 64)
    rate = keras.optimizers.schedules.CosineDecay(0.004, steps)
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", ["accuracy"])
    network.fit(images / np.float32(255), labels, batch_size=64, epochs=EPOCHS, verbose=2)
    return network


def quantize(network: keras.Model, images: np.ndarray) -> bytes:
    """Full-integer post-training quantization, int8 in and out, calibrated on `images` (uint8)."""
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None] / np.float32(255)] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def accuracy(model: bytes, images: np.ndarray, labels: np.ndarray) -> float:
    interpreter = tf.lite.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    input_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]
    hits = 0
    for image, label in zip(images, labels, strict=True):
        interpreter.set_tensor(input_index, (image[None].astype(np.int16) - 128).astype(np.int8))
        interpreter.invoke()
        hits += int(interpreter.get_tensor(output_index)[0].argmax() == label)
    return hits / len(labels)


def main() -> None:
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    images, labels = load_images()
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=HELD_OUT, random_state=SEED, stratify=labels
    )
    network = train(train_x, train_y)
    model = quantize(network, train_x[:PTQ_SAMPLES])
    print(f"parameters {network.count_params()}, model {len(model)} bytes")
    print(f"int8 top-1 on {HELD_OUT} held-out images: {accuracy(model, test_x, test_y):.4f}")
    print(f"int8 top-1 on the {SAMPLES} that are shipped: {accuracy(model, test_x[:SAMPLES], test_y[:SAMPLES]):.4f}")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    samples = io.BytesIO()
    np.savez_compressed(samples, x=test_x[:SAMPLES], y=test_y[:SAMPLES])
    outputs = [(OUTPUT / "demo_int8.tflite", model), (OUTPUT / "demo_samples.npz", samples.getvalue())]
    write_all(outputs, overwrite=True)


if __name__ == "__main__":
    main()

"""What codec-aware fine-tuning brings: one network, fine-tuned with and without a loss for the bits, then converted.

  python examples/finetune.py --train_data train.npz --test_data test.npz --output finetuned

The files hold `x`, uint8 images [N, H, W, C], and `y`, their classes. Without them, the bundled demo samples serve,
which shows the steps and no more. A small ResNet is trained, unless --keras_model names a trained model of pixels/255.
Then, for each of --rate_weights, it is fine-tuned for equally long (0: without the codec, the baseline to compare
with), converted within the same bound, and measured on the test data. Needs `pip install '.[tensorflow]'`.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from fmtc_tflite import ConvertOptions, EvaluateOptions, evaluate
from fmtc_tflite.keras import convert_keras, fmtc_annotate_model, fmtc_apply
from fmtc_tflite.keras.extra import keras, tf

FLAGS = flags.FLAGS
flags.DEFINE_string("train_data", None, "A .npz file with x and y.")
flags.DEFINE_string("test_data", None, "Another one, to measure on.")
flags.DEFINE_string("keras_model", None, "A trained tf-keras model to start from.")
flags.DEFINE_string("output", "finetuned", "Folder for the models and results.json.")
flags.DEFINE_list("rate_weights", ["0", "0.1"], "What a bit per value adds to the loss.")
flags.DEFINE_integer("width", 16, "Channels of the ResNet's first stage.", lower_bound=1)
flags.DEFINE_integer("epochs", 30, "Of training.", lower_bound=0)
flags.DEFINE_integer("finetune_epochs", 10, "Of each fine-tuning.", lower_bound=1)
flags.DEFINE_float("learning_rate", 1e-3, "Of fine-tuning, at its start.")
flags.DEFINE_integer("samples", 300, "Training images that quantization and calibration take.", lower_bound=1)
flags.DEFINE_float("max_kl", 0.02, "Bound for the conversions.")
flags.DEFINE_bool("flip", False, "Train on mirrored images too.")
flags.DEFINE_integer("num_threads", 1, "Threads of TensorFlow and of the interpreters.", lower_bound=1)

Data = tuple[np.ndarray, np.ndarray]


def load_data() -> tuple[Data, Data]:
    """Training and test images, and their classes."""
    if FLAGS.train_data and FLAGS.test_data:
        train, test = np.load(FLAGS.train_data), np.load(FLAGS.test_data)
        return (train["x"], train["y"]), (test["x"], test["y"])
    with resources.as_file(resources.files("fmtc_tflite") / "demo" / "demo_samples.npz") as path:
        demo = np.load(path)
    return (demo["x"][:150], demo["y"][:150]), (demo["x"][150:], demo["y"][150:])


def build_network(shape: tuple[int, ...], classes: int) -> Any:
    """Three stages with a residual block each (ResNet-8)."""
    layers = keras.layers

    def conv(x: Any, channels: int, size: int, stride: int = 1, relu: bool = True) -> Any:
        x = layers.Conv2D(channels, size, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        return layers.ReLU()(x) if relu else x

    inputs = layers.Input(shape, name="image")
    x = conv(inputs, FLAGS.width, 3)
    for stage in range(3):
        channels, stride = FLAGS.width << stage, 1 + (stage > 0)
        y = conv(conv(x, channels, 3, stride), channels, 3, relu=False)
        x = x if stage == 0 else conv(x, channels, 1, stride, relu=False)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x), name="resnet8")


def train(network: Any, data: Data, epochs: int, rate: float) -> None:
    """Trains on pixels/255."""
    images, labels = data
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images), seed=1)
    batches = batches.map(lambda x, y: (tf.image.random_flip_left_right(x, seed=1) if FLAGS.flip else x, y))
    batches = batches.map(lambda x, y: (tf.cast(x, tf.float32) / 255, y)).batch(64)
    schedule = keras.optimizers.schedules.CosineDecay(rate, max(1, epochs * len(batches)))
    network.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", ["accuracy"])
    network.fit(batches, epochs=epochs, verbose=2)


def finetune(network: Any, train_data: Data, samples: np.ndarray, rate_weight: float) -> Any:
    """A copy of the network, trained further."""
    keras.utils.set_random_seed(1)
    tuned = keras.models.clone_model(network)
    tuned.set_weights(network.get_weights())
    if rate_weight:
        tuned = fmtc_apply(fmtc_annotate_model(tuned), samples, rate_weight=rate_weight)
    train(tuned, train_data, FLAGS.finetune_epochs, FLAGS.learning_rate)
    return tuned


def measure(tuned: Any, samples: np.ndarray, name: Path, test_file: Path) -> dict[str, float]:
    """Converts a network and measures it on the test data."""
    converted, quantized = name.with_name(f"{name.name}_fmtc.tflite"), name.with_name(f"{name.name}.tflite")
    options = ConvertOptions(max_kl=FLAGS.max_kl, num_threads=FLAGS.num_threads)
    convert_keras(tuned, samples, converted, options=options, quantized_output=quantized, overwrite=True)
    data = EvaluateOptions(test_file, preprocessing="raw", num_threads=FLAGS.num_threads)
    result = evaluate(converted, quantized, options=data)
    return {
        "bits_per_value": result["model"]["coded"]["bits_per_value"]["mean"],
        "top1": result["model"]["accuracy"]["top1"],
        "top1_quantized": result["reference_model"]["accuracy"]["top1"],
        "kl": result["comparison"]["fidelity"]["kl_mean_nats"],
    }


def main(_: list[str]) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.num_threads)
    keras.utils.set_random_seed(1)
    Path(FLAGS.output).mkdir(parents=True, exist_ok=True)
    train_data, test_data = load_data()
    test_file = Path(FLAGS.output) / "test.npz"
    np.savez(test_file, x=test_data[0], y=test_data[1])
    if FLAGS.keras_model:
        network = keras.models.load_model(FLAGS.keras_model, compile=False)
    else:
        network = build_network(train_data[0].shape[1:], int(train_data[1].max()) + 1)
        if FLAGS.epochs:
            train(network, train_data, FLAGS.epochs, 4e-3)
    samples = train_data[0][: FLAGS.samples] / np.float32(255)
    results = []
    for weight in map(float, FLAGS.rate_weights):
        tuned = finetune(network, train_data, samples, weight)
        figures = measure(tuned, samples, Path(FLAGS.output) / f"rate_{weight:g}", test_file)
        results.append({"rate_weight": weight, **figures})
        print(", ".join(f"{name} {value:.4g}" for name, value in results[-1].items()))
    (Path(FLAGS.output) / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)

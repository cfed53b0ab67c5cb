"""What codec-aware fine-tuning brings: one network, fine-tuned with and without a loss for the bits, then converted.

  python examples/finetune.py --train_data train.npz --test_data test.npz --output finetuned

The files hold `x`, uint8 images [N, H, W, C], and `y`, their classes. Without them, the bundled demo samples serve,
which shows the steps and no more. A small ResNet is trained, unless --keras_model names a trained model of pixels/255.
Then, for each of --seeds and --rate_weights, it is fine-tuned for equally long towards its own answers (distillation:
labels are not needed, and few images do not overfit), converted within the same bounds, and measured on the test data.
A rate weight of 0 is the baseline, fine-tuned without the codec. Needs `pip install '.[tensorflow]'`, and
matplotlib for the picture.
"""

from __future__ import annotations

import importlib.util
import io
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from fmtc_tflite import ConvertOptions, EvaluateOptions, evaluate
from fmtc_tflite.files import write_all
from fmtc_tflite.keras import convert_keras, fmtc_annotate_model, fmtc_apply
from fmtc_tflite.keras.extra import keras, tf

FLAGS = flags.FLAGS
flags.DEFINE_string("train_data", None, "A .npz file with x and y.")
flags.DEFINE_string("test_data", None, "Another one, to measure on.")
flags.DEFINE_string("keras_model", None, "A trained tf-keras model to start from.")
flags.DEFINE_string("output", "finetuned", "Folder for the models, results.json and results.png.")
flags.DEFINE_list("rate_weights", ["0", "0.2"], "What a bit per value adds to the loss.")
flags.DEFINE_list("seeds", ["1"], "Of the order and the augmentation of images.")
flags.DEFINE_float("initial_step", 4.0, "Simulated quantization step, in units of the int8 maps.")
flags.DEFINE_bool("train_steps", False, "Train the steps, for the first of --max_kl, and convert with them.")
flags.DEFINE_integer("width", 16, "Channels of the ResNet's first stage.", lower_bound=1)
flags.DEFINE_integer("epochs", 30, "Of training.", lower_bound=0)
flags.DEFINE_integer("finetune_epochs", 25, "Of each fine-tuning.", lower_bound=1)
flags.DEFINE_float("learning_rate", 5e-4, "Of fine-tuning, at its highest.")
flags.DEFINE_integer("samples", 1000, "Training images that quantization and calibration take.", lower_bound=1)
flags.DEFINE_list("max_kl", ["0.02"], "Bounds for the conversions, a conversion for each.")
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


def train(network: Any, data: Data, epochs: int) -> None:
    """Trains on pixels/255 and labels."""
    images, labels = data
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images), seed=1)
    batches = batches.map(lambda x, y: (tf.image.random_flip_left_right(x, seed=1) if FLAGS.flip else x, y))
    batches = batches.map(lambda x, y: (tf.cast(x, tf.float32) / 255, y)).batch(64)
    schedule = keras.optimizers.schedules.CosineDecay(4e-3, max(1, epochs * len(batches)))
    network.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", ["accuracy"])
    network.fit(batches, epochs=epochs, verbose=2)


def distillation_data(network: Any, images: np.ndarray, seed: int) -> Any:
    """Batches of augmented images (shifted, mirrored, mixed in pairs), and what the network says to them."""
    margin = images.shape[1] // 8

    def shift(image: Any) -> Any:
        image = tf.cast(image, tf.float32) / 255
        image = tf.image.random_flip_left_right(image, seed=seed) if FLAGS.flip else image
        wide = tf.pad(image, [[margin, margin], [margin, margin], [0, 0]], "REFLECT")
        return tf.image.random_crop(wide, image.shape, seed=seed)

    def mix(batch: Any) -> tuple[Any, Any]:
        share = tf.nn.relu(tf.random.uniform([tf.shape(batch)[0], 1, 1, 1], -0.5, 0.5, seed=seed))
        batch = (1 - share) * batch + share * batch[::-1]
        return batch, network(batch, training=False)

    batches = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images), seed=seed).map(shift)
    return batches.batch(min(32, len(images)), drop_remainder=True).map(mix)


def finetune(network: Any, images: np.ndarray, samples: np.ndarray, rate_weight: float, seed: int) -> Any:
    """A copy of the network, trained further."""
    keras.utils.set_random_seed(seed)
    tuned = keras.models.clone_model(network)
    tuned.set_weights(network.get_weights())
    if rate_weight:
        tuned = fmtc_apply(
            fmtc_annotate_model(tuned),
            samples,
            rate_weight=rate_weight,
            initial_step=FLAGS.initial_step,
            train_steps=FLAGS.train_steps,
            max_kl=float(FLAGS.max_kl[0]),
        )
    batches = distillation_data(network, images, seed)
    steps = FLAGS.finetune_epochs * len(batches)
    # Warm-up: Adam's first updates are as large as any, which moves a trained network far away.
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=FLAGS.learning_rate, warmup_steps=steps // 10
    )
    tuned.compile(keras.optimizers.Adam(schedule), "kl_divergence")
    tuned.fit(batches, epochs=FLAGS.finetune_epochs, verbose=2)
    return tuned


def measure(tuned: Any, samples: np.ndarray, name: Path, test_file: Path) -> list[dict[str, float]]:
    """Converts a network within each bound and measures it on the test data; `agreement` is that with the original."""
    quantized, original = name.with_name(f"{name.name}.tflite"), name.with_name("before.tflite")
    data = EvaluateOptions(test_file, preprocessing="raw", num_threads=FLAGS.num_threads)
    figures = []
    for bound in map(float, FLAGS.max_kl):
        converted = name.with_name(f"{name.name}_kl_{bound:g}.tflite")
        options = ConvertOptions(max_kl=bound, num_threads=FLAGS.num_threads, execution="ops")
        convert_keras(tuned, samples, converted, options=options, quantized_output=quantized, overwrite=True)
        by_quantized, by_original = (evaluate(converted, other, options=data) for other in (quantized, original))
        figures.append(
            {
                "max_kl": bound,
                "bits_per_value": by_quantized["model"]["coded"]["bits_per_value"]["mean"],
                "top1": by_quantized["model"]["accuracy"]["top1"],
                "top1_quantized": by_quantized["reference_model"]["accuracy"]["top1"],
                "kl": by_quantized["comparison"]["fidelity"]["kl_mean_nats"],
                "agreement": by_original["comparison"]["fidelity"]["top1_agreement"],
            }
        )
    return figures


def mean_and_error(values: list[float]) -> list[float]:
    """The mean and its standard error, 0 for a single value."""
    return [float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0]


def over_bounds(runs: list[dict[str, float]]) -> dict[str, float]:
    """Figures of one network from its conversions within each bound.

    A bound holds on samples of its own, so that divergences on test data scatter. Bits are therefore compared at the
    same divergence there, the bounds' geometric mean: on the line through the bits over the divergence's logarithm.
    """
    divergences, bits = np.log([run["kl"] for run in runs]), [run["bits_per_value"] for run in runs]
    line = np.polyfit(divergences, bits, min(1, len(runs) - 1))
    target = np.mean(np.log([run["max_kl"] for run in runs]))
    means = {name: float(np.mean([run[name] for run in runs])) for name in ("top1", "top1_quantized", "agreement")}
    return {"bits_at_equal_kl": float(np.polyval(line, target)), **means}


def summarize(runs: list[dict[str, float]]) -> list[dict[str, Any]]:
    """For each rate weight, figures over the seeds, each as [mean, standard error].

    The changes are differences from the first rate weight at the same seed; that of the bits is relative.
    """
    networks = dict.fromkeys((run["rate_weight"], run["seed"]) for run in runs)
    by_network = {n: over_bounds([run for run in runs if (run["rate_weight"], run["seed"]) == n]) for n in networks}
    lines = []
    for weight in dict.fromkeys(weight for weight, _ in networks):
        own = {seed: by_network[w, seed] for w, seed in networks if w == weight}
        base = [by_network[runs[0]["rate_weight"], seed] for seed in own]
        columns = {name: [x[name] for x in own.values()] for name in base[0]}
        bits, top1 = columns["bits_at_equal_kl"], columns["top1"]
        columns["bits_change"] = [x / y["bits_at_equal_kl"] - 1 for x, y in zip(bits, base, strict=True)]
        columns["top1_change"] = [x - y["top1"] for x, y in zip(top1, base, strict=True)]
        lines.append({"rate_weight": weight, **{name: mean_and_error(x) for name, x in columns.items()}})
    return lines


def draw(runs: list[dict[str, float]], file: Path) -> None:
    """Top-1 against bits per value, with standard errors; a line for each rate weight, through its bounds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="bits per value", ylabel="top-1 of the converted model")
    for weight in dict.fromkeys(run["rate_weight"] for run in runs):
        points = []
        for bound in dict.fromkeys(run["max_kl"] for run in runs):
            own = [run for run in runs if (run["rate_weight"], run["max_kl"]) == (weight, bound)]
            points.append(
                [x for name in ("bits_per_value", "top1") for x in mean_and_error([run[name] for run in own])]
            )
        bits, bits_error, top1, top1_error = np.transpose(points)
        axes.errorbar(bits, top1, top1_error, bits_error, "o-", capsize=2, label=f"rate weight {weight:g}")
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_all([(file, content.getvalue())], overwrite=True)


def main(_: list[str]) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.num_threads)
    keras.utils.set_random_seed(1)
    folder = Path(FLAGS.output)
    folder.mkdir(parents=True, exist_ok=True)
    (images, labels), test_data = load_data()
    test_file = folder / "test.npz"
    content = io.BytesIO()
    np.savez(content, x=test_data[0], y=test_data[1])
    write_all([(test_file, content.getvalue())], overwrite=True)
    if FLAGS.keras_model:
        network = keras.models.load_model(FLAGS.keras_model, compile=False)
    else:
        network = build_network(images.shape[1:], int(labels.max()) + 1)
        if FLAGS.epochs:
            train(network, (images, labels), FLAGS.epochs)
    samples = images[: FLAGS.samples] / np.float32(255)
    print("before fine-tuning:", json.dumps(measure(network, samples, folder / "before", test_file)), flush=True)
    runs = []
    for seed in map(int, FLAGS.seeds):
        for weight in map(float, FLAGS.rate_weights):
            tuned = finetune(network, images, samples, weight, seed)
            figures = measure(tuned, samples, folder / f"rate_{weight:g}_seed_{seed}", test_file)
            runs += [{"rate_weight": weight, "seed": seed, **own} for own in figures]
            print(json.dumps(runs[-len(figures) :]), flush=True)
    summary = summarize(runs)
    document = json.dumps({"summary": summary, "runs": runs}, indent=1) + "\n"
    write_all([(folder / "results.json", document.encode())], overwrite=True)
    if importlib.util.find_spec("matplotlib"):
        draw(runs, folder / "results.png")
    for line in summary:
        (bits, _), (bits_change, bits_error) = line["bits_at_equal_kl"], line["bits_change"]
        (top1, _), (top1_change, top1_error) = line["top1"], line["top1_change"]
        print(
            f"rate_weight {line['rate_weight']:g}: {bits:.3f} bits/value at equal kl ({bits_change:+.1%} ± "
            f"{bits_error:.1%}), top-1 {top1:.4f} ({top1_change:+.4f} ± {top1_error:.4f})"
        )
    if len(FLAGS.seeds) == 1:
        print("one seed tells no standard error: give several --seeds")


if __name__ == "__main__":
    app.run(main)

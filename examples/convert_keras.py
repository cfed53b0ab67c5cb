"""Converts a trained Keras model in one call.

  python examples/convert_keras.py --keras_model model.h5 --data images.npz --output model_fmtc.tflite

--data is a .npz file with `x`, images [N, H, W, C]; pixels (uint8) are divided by 255. For another preprocessing,
change `representative_dataset`: it yields what the model was trained on. Needs `pip install '.[tensorflow]'`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from absl import app, flags

from fmtc_tflite import ConvertOptions
from fmtc_tflite.errors import FmtcError
from fmtc_tflite.keras import convert_keras
from fmtc_tflite.keras.extra import keras

FLAGS = flags.FLAGS
flags.DEFINE_string("keras_model", None, "A tf-keras model: .h5, .keras or a folder.", required=True)
flags.DEFINE_string("data", None, "A .npz file with x.", required=True)
flags.DEFINE_string("output", "model_fmtc.tflite", "The converted file.")
flags.DEFINE_float("max_kl", None, "Codes feature maps within this bound on the divergence of the outputs.")
flags.DEFINE_bool("overwrite", False, "Replace an existing output.")


def representative_dataset() -> Iterator[list[np.ndarray]]:
    """One image at a time, as the network sees it."""
    for image in np.load(FLAGS.data)["x"]:
        yield [image[None] / np.float32(255 if image.dtype == np.uint8 else 1)]


def main(_: list[str]) -> None:
    model = keras.models.load_model(FLAGS.keras_model, compile=False)
    options = ConvertOptions(max_kl=FLAGS.max_kl)
    try:
        result = convert_keras(model, representative_dataset, FLAGS.output, options=options, overwrite=FLAGS.overwrite)
    except FmtcError as error:
        raise SystemExit(f"error: {error}") from None
    if result.report.get("execution") == "regions":
        arena = result.report["arena"]
        figure = f"{arena['original_planned_bytes']:,} -> {arena['converted_planned_bytes']:,} bytes of arena"
    else:
        figure = f"{result.report['totals']['bits_per_value']:.3f} bits/value"
    print(f"{figure}, written to {FLAGS.output}")


if __name__ == "__main__":
    app.run(main)

"""The quantized ResNet-8 of MLPerf Tiny as a tf-keras model, to fine-tune with examples/finetune.py.

  python examples/resnet8_from_tflite.py --tflite pretrainedResnet_quant.tflite --output resnet8.keras

The file is that of https://github.com/mlcommons/tiny (benchmark/training/image_classification/trained_models), or
another int8 network of this structure. Its integers times their scales are the weights; the input becomes pixels/255.
--data, a .npz file with `x`, uint8 [N, 32, 32, 3], and `y`, compares the two. Needs `pip install '.[tensorflow]'`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from fmtc_tflite import load_interpreter
from fmtc_tflite.graph.model_io import Op, Tensor, load_model
from fmtc_tflite.keras.extra import keras

FLAGS = flags.FLAGS
flags.DEFINE_string("tflite", None, "The quantized network.", required=True)
flags.DEFINE_string("output", "resnet8.keras", "The float network.")
flags.DEFINE_string("data", None, "A .npz file with x and y, to compare the two on.")

layers = keras.layers


def real_values(tensor: Tensor) -> np.ndarray:
    """A constant's real values, float32; integers have a scale for each index of the first dimension, or one."""
    scales = np.asarray(tensor.quantization.scale)
    integers = tensor.data.view(tensor.dtype).reshape(tensor.shape)
    return np.float32(integers * scales.reshape(-1, *[1] * (integers.ndim - 1)))


def convolution(op: Op, x: Any, scale: float = 1.0) -> Any:
    """What a CONV_2D does to a map times `scale`."""
    kernel = scale * real_values(op.inputs[1]).transpose(1, 2, 3, 0)
    layer = layers.Conv2D(kernel.shape[3], kernel.shape[:2], op.options.strideH, padding="same")
    x = layer(x)
    layer.set_weights([kernel, real_values(op.inputs[2])])
    return layers.ReLU()(x) if op.options.fusedActivationFunction else x


def resnet8(ops: Iterator[Op]) -> Any:
    """The network; `ops` are its convolutions and its dense layer, in order of execution."""
    inputs = layers.Input((32, 32, 3), name="image")
    x = convolution(next(ops), inputs, 255.0)
    for stage in range(3):
        y = convolution(next(ops), x)
        y = convolution(next(ops), y)
        x = convolution(next(ops), x) if stage else x
        x = layers.ReLU()(layers.Add()([x, y]))
    dense, op = layers.Dense(10, activation="softmax"), next(ops)
    outputs = dense(layers.GlobalAveragePooling2D()(x))
    dense.set_weights([real_values(op.inputs[1]).T, real_values(op.inputs[2])])
    return keras.Model(inputs, outputs, name="resnet8")


def quantized_answers(content: bytes, images: np.ndarray) -> np.ndarray:
    """The classes that the quantized network gives."""
    interpreter = load_interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    image, scores = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    answers = []
    for pixels in images:
        interpreter.set_tensor(image, (pixels[None].astype(np.int16) - 128).astype(np.int8))
        interpreter.invoke()
        answers.append(interpreter.get_tensor(scores).argmax())
    return np.array(answers)


def main(_: list[str]) -> None:
    content = Path(FLAGS.tflite).read_bytes()
    ops = load_model(content).subgraphs[0].ops
    network = resnet8(op for op in ops if op.opcode in ("CONV_2D", "FULLY_CONNECTED"))
    network.save(FLAGS.output)
    if FLAGS.data:
        data = np.load(FLAGS.data)
        ours = network.predict(data["x"] / np.float32(255), verbose=0).argmax(1)
        theirs = quantized_answers(content, data["x"])
        print(
            f"top-1 {np.mean(ours == data['y']):.4f}, of the quantized network {np.mean(theirs == data['y']):.4f}; "
            f"they agree on {np.mean(ours == theirs):.4f} of {len(ours)} images"
        )


if __name__ == "__main__":
    app.run(main)

"""Hands the steps that fine-tuning trained over to the conversion, as a recipe.

The TFLiteConverter names tensors by what it fuses, so a layer's feature map is found by what it holds: the quantized
model's map of this shape whose values come closest to those of the layer.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import Site, find_sites
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.keras.extra import keras

_SAMPLES = 4
_LARGEST_ERROR = 0.5  # of a map's energy; 8-bit quantization costs a hundredth of it
_LEAST_STEP, _LARGEST_STEP = 1.0, 255.0  # of a recipe
_logger = logging.getLogger(__name__)


def steps_recipe(
    content: bytes,
    model: Any,
    steps: Mapping[str, np.ndarray],
    samples: Mapping[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """A recipe (fmtc_tflite.conversion.recipe) with these steps.

    Args:
      content: the quantized `.tflite` file.
      model: the plain Keras model that it was made from.
      steps: for layers of that model, float [C], in the unit of the layer's output.
      samples: inputs [N, ...] of the Keras model, by its inputs' names.
      arrays: the same inputs as the quantized model takes them, by its inputs' names.
    """
    outputs = keras.Model(model.inputs, [model.get_layer(name).output for name in steps])
    wanted = outputs.predict([array[:_SAMPLES] for array in samples.values()], verbose=0)
    wanted = [wanted] if len(steps) == 1 else wanted
    maps = _maps(content, [{name: array[i : i + 1] for name, array in arrays.items()} for i in range(len(wanted[0]))])
    entries = []
    for (layer, own), values in zip(steps.items(), wanted, strict=True):
        errors = {site: np.square(got - values).sum() for site, got in maps if got.shape == values.shape}
        site = min(errors, key=errors.__getitem__, default=None)
        if site is None or errors[site] > _LARGEST_ERROR * np.square(values).sum():
            _logger.warning("the quantized model has no map of the layer '%s': its trained steps are not used", layer)
            continue
        in_int8 = np.clip(own / site.tensor.scale, _LEAST_STEP, _LARGEST_STEP)
        entries.append({"tensor": f"^{re.escape(site.name)}$", "transform": "step", "step": in_int8.tolist()})
    return {"sites": entries}


def _maps(content: bytes, inputs: list[dict[str, np.ndarray]]) -> list[tuple[Site, np.ndarray]]:
    """The feature maps that can be coded, and their real values [N, H, W, C] on these inputs."""
    quantized = load_model(content)
    sites = [site for site in find_sites(quantized) if site.skipped_reason is None]
    runner = ModelRunner(ModelFile(quantized, content))
    found: list[list[np.ndarray]] = [[] for _ in sites]
    for sample in inputs:
        runner.run(sample)
        for site, values in zip(sites, found, strict=True):
            levels = runner.read(site.tensor).astype(np.float64) - (site.tensor.zero_point or 0)
            values.append(levels * (site.tensor.scale or 1.0))
    return [(site, np.concatenate(values)) for site, values in zip(sites, found, strict=True)]

"""From a Keras model to a converted `.tflite` file in one call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fmtc_tflite.conversion.presets import convert_content
from fmtc_tflite.conversion.result import ConversionResult
from fmtc_tflite.data.opening import input_specs_from_model
from fmtc_tflite.data.preprocess import quantize_real
from fmtc_tflite.errors import CalibrationError, UnsupportedModelError, UsageError
from fmtc_tflite.files import beside, check_writable, write_all
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.keras.extra import check_model, tf
from fmtc_tflite.keras.finetune import FmtcAnnotate, fmtc_strip, trained_steps
from fmtc_tflite.keras.graph import all_layers
from fmtc_tflite.keras.samples import RepresentativeDataset, read_samples
from fmtc_tflite.keras.steps import steps_recipe
from fmtc_tflite.types import ConvertOptions

_QUANTIZATION_AWARE = ("QuantizeLayer", "QuantizeWrapper", "QuantizeWrapperV2")


def convert_keras(
    model: Any,
    representative_dataset: RepresentativeDataset,
    output: str | Path | None = None,
    *,
    options: ConvertOptions | None = None,
    labels: np.ndarray | None = None,
    quantized_output: str | Path | None = None,
    overwrite: bool = False,
) -> ConversionResult:
    """Quantizes a Keras model to int8 and converts it.

    A plain model gets full-integer post-training quantization by the TFLiteConverter, a quantization-aware one of
    TF-MOT keeps its own. Wrappers of pruning, clustering and fmtc_apply are taken off first. The model's inputs and
    outputs become int8.

    A network that fmtc_apply has prepared gets coded feature maps, unless the options ask for regions; any other one
    gets what the options ask for. Steps that fmtc_apply trained are what the maps of its layers are coded with, as if a
    recipe named them, unless the options have a recipe or ask for a lossless conversion; the bound then holds for the
    other maps only, and a warning says where it is missed. After fmtc_strip, the search chooses all steps.

    Args:
      model: a functional or sequential tf-keras model; it is left as it is.
      representative_dataset: inputs, as a function that returns an iterator of samples (as for the TFLiteConverter) or
        in one of the other forms of fmtc_tflite.keras.samples.read_samples. It is read once; quantization and
        calibration both take these samples.
      output: the converted file, and beside it the report with `.json`; None writes neither.
      options: what may be done, without calibration data; None = regions for the least memory, bit-exact, or coded
        feature maps within the default bound (above). Of its calibration options, only num_samples, seed and store have
        a meaning here.
      labels: integers [N], one for each sample, for max_accuracy_drop.
      quantized_output: the quantized `.tflite` before conversion, to compare with; None does not write it.
      overwrite: replace existing outputs.

    Returns:
      The converted model's bytes, the report and warnings.

    Raises:
      FmtcError: see fmtc_tflite.errors; nothing has been written then.
    """
    check_model(model)
    options = options or ConvertOptions()
    _check_options(options)
    if options.execution == "auto" and _is_annotated(model):
        options = replace(options, execution="ops")
    quantized_path = None if quantized_output is None else Path(quantized_output)
    paths = [] if output is None else [Path(output), beside(Path(output), f"{Path(output).stem}.json")]
    check_writable(paths + ([] if quantized_path is None else [quantized_path]), overwrite)
    samples = read_samples(representative_dataset, dict(zip(model.input_names, model.inputs, strict=True)))
    if labels is not None and np.shape(labels) != (len(next(iter(samples.values()))),):
        raise CalibrationError(f"labels: got the shape {list(np.shape(labels))}, expected one for each sample")
    plain = _stripped(model)
    content = _quantize(plain, samples)
    result = _convert(content, plain, trained_steps(model), samples, labels, options)
    outputs = list(zip(paths, (result.content, json.dumps(result.report, indent=1).encode() + b"\n"), strict=False))
    write_all(outputs + ([] if quantized_path is None else [(quantized_path, content)]), overwrite)
    return result


def _convert(
    content: bytes,
    plain: Any,
    steps: Mapping[str, np.ndarray],
    samples: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    options: ConvertOptions,
) -> ConversionResult:
    """Converts the quantized model with these samples and, if they are to be, trained steps."""
    arrays: dict[str, Any] = _model_inputs(content, samples)
    with TemporaryDirectory() as folder:
        data = Path(folder) / "samples.npz"
        np.savez(data, **(arrays if labels is None else {**arrays, "y": labels}))
        options = replace(options, calibration=replace(options.calibration, data=data))
        if steps and _takes_steps(options):
            recipe = Path(folder) / "trained_steps.json"
            recipe.write_text(json.dumps(steps_recipe(content, plain, steps, samples, arrays)), encoding="utf-8")
            options = replace(options, recipe=recipe)
        return convert_content(content, options)


def _check_options(options: ConvertOptions) -> None:
    if options.calibration.data is not None:
        raise UsageError(
            f"options.calibration.data: got {options.calibration.data}, expected None, as representative_dataset is it"
        )


def _takes_steps(options: ConvertOptions) -> bool:
    codes = options.execution != "regions" and not options.lossless
    return codes and options.recipe is None and options.preset == "default"


def _is_annotated(model: Any) -> bool:
    """Whether fmtc_apply or fmtc_annotate_model was there."""
    return any(isinstance(layer, FmtcAnnotate) for layer in model.layers)


def _stripped(model: Any) -> Any:
    """The model without wrappers that only training needs."""
    kinds = {type(layer).__name__ for layer in all_layers(model)}
    if "QuantizeAnnotate" in kinds:
        raise UsageError(f"model '{model.name}' is annotated for quantization only; call TF-MOT's quantize_apply first")
    if _is_annotated(model):
        model = fmtc_strip(model)
    if "PruneLowMagnitude" in kinds:
        from tensorflow_model_optimization.sparsity.keras import strip_pruning

        model = strip_pruning(model)
    if "ClusterWeights" in kinds:
        from tensorflow_model_optimization.clustering.keras import strip_clustering

        model = strip_clustering(model)
    return model


def _quantize(model: Any, samples: Mapping[str, np.ndarray]) -> bytes:
    """A full-integer `.tflite` file, int8 in and out."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if not any(type(layer).__name__ in _QUANTIZATION_AWARE for layer in all_layers(model)):
        converter.representative_dataset = lambda: _single_samples(samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        return converter.convert()
    except Exception as error:  # the converter has errors of many kinds, some derived from Exception alone
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UnsupportedModelError(
            f"model '{model.name}': the TFLiteConverter cannot quantize it: {reason}"
        ) from error


def _single_samples(samples: Mapping[str, np.ndarray]) -> Iterator[Any]:
    for i in range(len(next(iter(samples.values())))):
        sample = {name: array[i : i + 1] for name, array in samples.items()}
        yield list(sample.values()) if len(sample) == 1 else sample


def _model_inputs(content: bytes, samples: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The samples as the quantized model takes them, by its inputs' names."""
    arrays = {}
    for spec in input_specs_from_model(load_model(content)):
        name = next((name for name in samples if name in (spec.name, *spec.aliases)), None)
        if name is None and len(samples) > 1:
            raise UnsupportedModelError(f"{spec}: none of the Keras inputs {', '.join(samples)} has this name")
        values = samples[name or next(iter(samples))]
        arrays[spec.name] = quantize_real(values, spec).astype(spec.dtype) if spec.is_8_bit else values
    return arrays

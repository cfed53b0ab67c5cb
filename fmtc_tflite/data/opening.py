"""Opening calibration and evaluation data of any supported kind, and a model's inputs as what it must fit."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np

from fmtc_tflite.data import arrays, places, readers
from fmtc_tflite.data.array_folder import array_files, open_array_folder
from fmtc_tflite.data.dataset import Dataset, Reader
from fmtc_tflite.data.packed_files import matching, open_packed, packed_files, packed_places
from fmtc_tflite.data.packed_images import PackedReader
from fmtc_tflite.data.preprocess import InputSpec, Preprocessing
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.data.tfds_reader import TFDS_PREFIX, open_tfds
from fmtc_tflite.errors import CalibrationError, UsageError, reason
from fmtc_tflite.graph.graph_view import GraphView
from fmtc_tflite.graph.model_io import Model, Tensor
from fmtc_tflite.graph.variables import keeps_state
from fmtc_tflite.types import CalibrationOptions, DataOptions, EvaluateOptions

__all__ = ["Dataset", "InputSpec", "input_specs_from_model", "open_calibration_data", "open_data", "open_dataset"]

_MOST_CLIPPED = 0.2  # calibrated ranges leave a few values out
_LEAST_SPREAD = 0.02  # of an input's range: [0, 1] is 0.004 of [0, 255]
_CHANNELS_TO_THE_END = np.array([0, 2, 3, 1], "<i4").tobytes()

_logger = logging.getLogger(__name__)


def open_dataset(
    path: str | Path | None,
    *,
    input_specs: Sequence[InputSpec],
    preprocessing: Preprocessing,
    num_samples: int | None = None,
    seed: int | None = 0,
    skip_unreadable: bool = False,
    max_unreadable: int | None = None,
    find_unreadable: Callable[[Dataset], np.ndarray] = Dataset.unreadable,
    is_streamed: bool = False,
) -> Dataset:
    """Opens data for a model.

    Args:
      path: A folder of images or one image (`readers.open_images`), a CSV `file,label` (`readers.open_csv`), a tar,
        TFRecord or Parquet file of images, a folder of such or a pattern with `*` (`packed_files.open_packed`), `.npz`
        (`arrays.open_npz`), `.npy` (`arrays.open_npy`), a folder of these two (`array_folder`) or `tfds:NAME[SPLIT]`
        (`tfds_reader.open_tfds`); all but arrays also by URL (`places`); None for synthetic inputs. All but .npz files
        feed models with one input.
      input_specs: The model's inputs.
      preprocessing: What is done to pixels, that is, to images and uint8 arrays. Arrays of another type must be what
        the model takes, int8 or uint8 already quantized, or real values (float), which are quantized as the input is.
        Images in arrays may have the channels last or first, whatever the model's layout.
      num_samples: Take a random subset of this size, in the original order; None or more than there are: all (of
        synthetic inputs: 16).
      seed: Of that subset, or of the synthetic inputs; None takes the first samples instead of a random subset.
      skip_unreadable: Leave out images that are missing or cannot be decoded (`Dataset.skipped`, and one logged
        warning) instead of stopping. Reads each chosen image once more.
      max_unreadable: Leave out so many at most; None: any number.
      find_unreadable: Gives the positions of samples that cannot be read.
      is_streamed: The model keeps state: samples are steps of streams, in order. Arrays may be [streams, steps, ...].

    Raises:
      CalibrationError: data that is missing, unreadable, empty, or of the wrong shape or type.
      UsageError: flags that do not fit the data or the model.
    """
    if num_samples is not None and num_samples < 1:
        raise UsageError(f"--num_samples: got {num_samples}, expected at least 1")
    if path is not None and not input_specs:
        raise CalibrationError(f"{path}: the model has no input to feed; it always computes the same")
    if path is None:
        return SyntheticDataset(input_specs, num_samples or SyntheticDataset.DEFAULT_SAMPLES, seed or 0, is_streamed)
    reader = _open_reader(path, input_specs, preprocessing, skip_unreadable, is_streamed)
    indices = np.arange(len(reader))
    if is_streamed:
        indices = _some_streams(reader, len(reader) if num_samples is None else num_samples, seed)
    elif num_samples is not None and num_samples < len(indices):
        shuffled = indices if seed is None else np.random.default_rng(seed).permutation(indices)
        indices = np.sort(shuffled[:num_samples])
    dataset = Dataset(reader, input_specs, preprocessing, indices, is_streamed=is_streamed)
    if skip_unreadable and isinstance(reader, (readers.ImageReader, PackedReader)):
        dataset = _without(dataset, find_unreadable(dataset), max_unreadable, path)
    _warn_of_other_ranges(dataset, path)
    return dataset


def _without(dataset: Dataset, unreadable: np.ndarray, most: int | None, path: str | Path) -> Dataset:
    """The dataset without the samples at these positions, and a warning that names some of them."""
    if not len(unreadable):
        return dataset
    skipped = [dataset.name(int(position)) for position in unreadable]
    shown = ", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
    if len(skipped) == len(dataset):
        raise CalibrationError(f"{path}: got no readable image among {len(skipped)}, expected at least one")
    if most is not None and len(skipped) > most:
        raise CalibrationError(
            f"{path}: got {len(skipped)} unreadable images of {len(dataset)}, expected {most} at most: {shown}; repair "
            "or remove them, or give a greater --max_unreadable"
        )
    _logger.warning("%s: skipped %d unreadable images: %s", path, len(skipped), shown)
    return dataset.without(unreadable)


def _some_streams(reader: Reader, count: int, seed: int | None) -> np.ndarray:
    """Whole streams, chosen at random or from the first on, until there are `count` steps; the last one may be cut."""
    streams = [part for part in np.split(np.arange(len(reader)), reader.stream_starts) if len(part)]
    order = range(len(streams)) if seed is None else np.random.default_rng(seed).permutation(len(streams))
    return np.sort(np.concatenate([streams[i] for i in order])[:count])


def _warn_of_other_ranges(dataset: Dataset, path: str | Path) -> None:
    """Real values of another range than an input's are probably scaled otherwise than those it was quantized with."""
    for name, values in dataset.first_real_values().items():
        low, high = next(spec.real_range for spec in dataset.input_specs if spec.name == name) or (0.0, 0.0)
        clipped, spread = float(np.mean((values < low) | (values > high))), float(np.ptp(values))
        if clipped > _MOST_CLIPPED:
            what = f"{100 * clipped:.0f} % of the first sample's values lie outside"
        elif 0 < spread < _LEAST_SPREAD * (high - low):
            what = f"the first sample's values, from {values.min():.4g} to {values.max():.4g}, take a small part of"
        else:
            continue
        _logger.warning(
            "%s: %s [%.4g, %.4g], the real range of input '%s'; give the values that the model was quantized with",
            *(path, what, low, high, name),
        )


def open_data(model: Model, options: DataOptions) -> Dataset:
    """The samples that the options name, as the model's inputs.

    Raises:
      CalibrationError, UsageError: see open_dataset.
    """
    if _has_pipeline(options) and places.url(options.data or "") is not None:
        places.use_options(options.beam or ())
    return open_dataset(
        options.data,
        input_specs=input_specs_from_model(model),
        preprocessing=Preprocessing(options.preprocessing, options.resize, options.central_crop),
        num_samples=options.num_samples,
        seed=options.seed,
        skip_unreadable=options.skip_unreadable,
        max_unreadable=options.max_unreadable,
        find_unreadable=_finder(options),
        is_streamed=keeps_state(model),
    )


def _finder(options: DataOptions) -> Callable[[Dataset], np.ndarray]:
    """What finds unreadable samples: this machine, or a pipeline's workers where there is one."""
    if not _has_pipeline(options):
        return Dataset.unreadable
    beam = importlib.import_module("fmtc_tflite.beam")  # of an extra
    return lambda dataset: beam.unreadable(dataset, options)


def _has_pipeline(options: DataOptions) -> TypeGuard[CalibrationOptions | EvaluateOptions]:
    return isinstance(options, (CalibrationOptions, EvaluateOptions)) and options.beam is not None


def open_calibration_data(model: Model, options: CalibrationOptions) -> tuple[Dataset, Dataset]:
    """The samples of a calibration: those to build from, and those held back to measure on.

    Raises:
      CalibrationError, UsageError: see open_dataset.
    """
    return open_data(model, options).split(seed=options.seed)


def input_specs_from_model(model: Model, subgraph_index: int = 0) -> tuple[InputSpec, ...]:
    """The inputs of one of a model's subgraphs, in its order."""
    subgraph = model.subgraphs[subgraph_index]
    view = GraphView(subgraph)
    named = [pair for signature in model.signatures for pair in signature.inputs]
    return tuple(
        _input_spec(tensor, view, tuple(dict.fromkeys(name for name, other in named if other is tensor)))
        for tensor in subgraph.inputs
    )


def _input_spec(tensor: Tensor, view: GraphView, aliases: tuple[str, ...]) -> InputSpec:
    if tensor.dtype is None:
        raise CalibrationError(f"input '{tensor.name}': got type {tensor.type_name}, expected numbers")
    transposed = _transposed(tensor, view)
    quantized = tensor
    if tensor.dtype == np.float32:
        quantized = _quantized(tensor, view) or (transposed and _quantized(transposed, view)) or tensor
    zero_point = quantized.zero_point
    if quantized is not tensor and zero_point is not None and quantized.dtype == np.int8:
        zero_point += 128  # on the uint8 grid
    return InputSpec(
        tensor.name, tensor.shape, tensor.dtype, quantized.scale, zero_point, aliases, transposed is not None
    )


def _quantized(tensor: Tensor, view: GraphView) -> Tensor | None:
    """What a QUANTIZE makes of the tensor."""
    return next((op.outputs[0] for op, _ in view.consumers(tensor) if op.opcode == "QUANTIZE"), None)


def _transposed(tensor: Tensor, view: GraphView) -> Tensor | None:
    """What the model makes of an image in the layout [N, C, H, W], before or behind a QUANTIZE: [N, H, W, C]."""
    sources = [tensor, _quantized(tensor, view)]
    for op in (op for source in sources if source is not None for op, _ in view.consumers(source)):
        if op.opcode == "TRANSPOSE" and len(op.inputs) == 2 and op.inputs[1] is not None:
            order = op.inputs[1].data
            if order is not None and order.tobytes() == _CHANNELS_TO_THE_END:
                return op.outputs[0]
    return None


def _open_reader(
    data: str | Path,
    specs: Sequence[InputSpec],
    preprocessing: Preprocessing,
    skip_unreadable: bool,
    is_streamed: bool,
) -> Reader:
    if str(data).startswith(TFDS_PREFIX):
        spec = _only_image(str(data), specs, preprocessing)
        return open_tfds(str(data), spec)
    place = places.url(data)
    if place is not None:
        spec = _only_image(place, specs, preprocessing)
        return _open_place(place, spec, skip_unreadable)
    if matched := matching(data):
        return open_packed(matched, _only_image(str(data), specs, preprocessing).name)
    path = Path(data)
    try:
        path.stat()
    except FileNotFoundError as error:
        raise CalibrationError(f"{path}: does not exist; check the path") from error
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long or has a NUL
        raise CalibrationError(f"{path}: cannot be read ({reason(error)}); check the path") from error
    suffix = path.suffix.lower()
    if path.is_file() and suffix == ".npz":
        return arrays.open_npz(path, specs, preprocessing, is_streamed)
    if packed := packed_files(path):
        return open_packed(packed, _only_image(str(path), specs, preprocessing).name)
    if path.is_file() and suffix not in (".npy", ".csv", *readers.IMAGE_SUFFIXES):
        raise CalibrationError(
            f"{path}: got a file that ends in '{path.suffix}', expected "
            "a folder of images, .csv, .tar, .tfrecord, .parquet, .npz, .npy or an image"
            + (f"; {readers.AUDIO_HINT}" if suffix in readers.AUDIO_SUFFIXES else "")
        )
    if suffix == ".npy" and path.is_file():
        _check_only_input(str(path), specs)
        return arrays.open_npy(path, specs, preprocessing, is_streamed)
    if path.is_dir() and (files := array_files(path)):
        if any(file.suffix == ".npy" for file in files):
            _check_only_input(str(path), specs)
        return open_array_folder(files, specs, preprocessing, is_streamed)
    if suffix == ".csv" and path.is_file():
        spec = _only_image(str(path), specs, preprocessing)
        return readers.open_csv(path, spec, allow_missing=skip_unreadable)
    reader = readers.open_images(path, specs[0])  # first, since the folder may hold something else
    _only_image(str(path), specs, preprocessing)
    return reader


def _open_place(place: str, spec: InputSpec, skip_unreadable: bool) -> Reader:
    """What a URL names: a CSV, a file or pattern of files of many images, or a folder of such or of images."""
    if place.lower().endswith(".csv"):
        return readers.open_csv(place, spec, allow_missing=skip_unreadable)
    if files := matching(place) or packed_places([place]):
        return open_packed(files, spec.name)
    sizes = readers.list_place(f"{place.rstrip('/')}/**")
    packed = packed_places(sizes)
    return open_packed(packed, spec.name) if packed else readers.open_images(place, spec, sizes)


def _check_only_input(data: str, specs: Sequence[InputSpec]) -> None:
    if len(specs) != 1:
        names = ", ".join(f"'{spec.name}'" for spec in specs)
        raise CalibrationError(
            f"{data}: feeds one input, but the model has {len(specs)} ({names}); "
            "give a .npz file with an array for each input by name"
        )


def _only_image(data: str, specs: Sequence[InputSpec], preprocessing: Preprocessing) -> InputSpec:
    """The model's only input, which takes images."""
    _check_only_input(data, specs)
    if not specs[0].takes_pixels:
        raise CalibrationError(f"{data}: holds images, but {specs[0]} is no image; give a .npz file with its values")
    preprocessing.check(specs[0])
    return specs[0]

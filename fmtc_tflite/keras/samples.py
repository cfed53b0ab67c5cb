"""A representative dataset, read once and checked, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from fmtc_tflite.errors import CalibrationError

RepresentativeDataset = np.ndarray | Iterable[Any] | Callable[[], Iterable[Any]]
_WHERE = "representative_dataset"


def read_samples(dataset: RepresentativeDataset, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Reads all samples.

    Args:
      dataset: as of TFLiteConverter, a function that returns an iterator of samples; or such an iterable itself. Each
        sample is a list of arrays, one for each input and each with a batch dimension, or a dictionary of them by the
        inputs' names, or for an only input the array. For an only input an array [N, ...] of all samples is fine too.
      inputs: the model's inputs (Keras tensors) by name, in order.

    Returns:
      For each input an array [N, ...] of its type.

    Raises:
      CalibrationError: no samples, or samples that do not fit the inputs or hold NaN or infinity.
    """
    if isinstance(dataset, np.ndarray):
        dataset = [dataset]
    elif callable(dataset):
        dataset = dataset()
    if not isinstance(dataset, Iterable):
        raise CalibrationError(
            f"{_WHERE}: got {type(dataset).__name__}, expected samples, or a function that returns an iterator of them"
        )
    parts: dict[str, list[np.ndarray]] = {name: [] for name in inputs}
    for i, sample in enumerate(dataset):
        arrays = _by_name(sample, list(inputs), f"{_WHERE}[{i}]")
        sizes = set()
        for name, tensor in inputs.items():
            array = _checked(arrays[name], tensor, f"{_WHERE}[{i}], input '{name}'")
            parts[name].append(array)
            sizes.add(len(array))
        if len(sizes) > 1:
            raise CalibrationError(f"{_WHERE}[{i}]: got batches of {sorted(sizes)} for its inputs, expected one size")
    if not sum(map(len, next(iter(parts.values())))):
        raise CalibrationError(
            f"{_WHERE}: got no samples; a generator that was read before is empty, so give a function that makes a "
            "new one each time"
        )
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _by_name(sample: Any, names: list[str], where: str) -> dict[str, Any]:
    if isinstance(sample, Mapping):
        if set(sample) != set(names):
            raise CalibrationError(f"{where}: got the names {', '.join(map(str, sample))}, expected {', '.join(names)}")
        return dict(sample)
    values = list(sample) if isinstance(sample, list | tuple) else [sample]
    if len(values) != len(names):
        raise CalibrationError(
            f"{where}: got {len(values)} arrays, expected {len(names)}, for {', '.join(names)}; leave labels out"
        )
    return dict(zip(names, values, strict=True))


def _checked(value: Any, tensor: Any, where: str) -> np.ndarray:
    """The value as an array of the input's type."""
    try:
        array = np.asarray(value).astype(tensor.dtype.as_numpy_dtype, copy=False)
    except (TypeError, ValueError) as error:
        raise CalibrationError(f"{where}: got no array of numbers ({error})") from error
    expected = tuple(tensor.shape)[1:]
    fits = array.ndim == 1 + len(expected) and all(
        want in (None, got) for want, got in zip(expected, array.shape[1:], strict=True)
    )
    if not fits:
        shape = ", ".join("any" if d is None else str(d) for d in expected)
        raise CalibrationError(f"{where}: got the shape {list(array.shape)}, expected [batch, {shape}]")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise CalibrationError(f"{where}: got NaN or infinity, expected finite numbers; check the preprocessing")
    return array

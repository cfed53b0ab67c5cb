"""Original and model with regions side by side under one set of kernels: every output byte must be the same.

Where cuts lose something, the original stands there with the same loss in the same tensors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from types import MappingProxyType

import numpy as np

from fmtc_tflite.conversion.region_difference import first_difference
from fmtc_tflite.conversion.region_plans import PlannedRegion
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.data.opening import input_specs_from_model
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.errors import VerificationError
from fmtc_tflite.fidelity.differences import differing
from fmtc_tflite.graph.model import Model, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.variables import keeps_state
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.inference.parallel import is_large
from fmtc_tflite.progress import progress
from fmtc_tflite.types import ConvertOptions

_SYNTHETIC_SAMPLES = 8
_LARGE_VALUES, _LARGE_SAMPLES = 1 << 18, 2  # inputs of so many values are run less often

# Kinds of inputs that reach clamps and corners.
_ADVERSARIAL = ("least", "greatest", "chessboard", "extremes", "noise", "noise")


@dataclass(frozen=True)
class RegionVerification:
    """All outputs were equal on all samples."""

    runtime: str
    kernels: str
    num_samples: int


def verify_regions(
    content: bytes,
    converted: bytes,
    regions: Sequence[PlannedRegion],
    where: tuple[str, str],
    options: ConvertOptions,
    own: Dataset | Sequence[dict[str, np.ndarray]] = (),
    finish: Mapping[int, Callable[[np.ndarray], np.ndarray]] = MappingProxyType({}),
) -> RegionVerification:
    """Runs both models on extremes, noise, synthetic inputs and the user's own.

    Args:
      content: the original, or with loss in cuts what stands for it (lossy_cuts).
      where: the runtime and the kernels.
      own: the user's samples.
      finish: what makes an output of `content` that of `converted`, by its number.

    Raises:
      VerificationError: an output differs; says which op is the first that does.
      UnsupportedModelError: the runtime refuses a model.
    """
    runtime, kernels = where
    models = load_model(content), load_model(converted)
    files = [ModelFile(model, data) for model, data in zip(models, (content, converted), strict=True)]
    outputs = [model.subgraphs[0].outputs for model in models]

    def opened(file: ModelFile) -> ModelRunner:
        return ModelRunner(file, num_threads=options.num_threads, runtime=runtime, kernels=kernels)

    # Of a large model there is one interpreter at a time: opening it takes little beside a run.
    alone = is_large(models[0]) and not keeps_state(models[0])
    runners = [] if alone else list(map(opened, files))
    count = 0
    total = _num_samples(models[0]) + len(own)
    for sample in progress(chain(_samples(models[0], options), own), "verification", total):
        values = [_values(runners[i] if runners else opened(file), sample, outputs[i]) for i, file in enumerate(files)]
        values[0] = [finish[n](array) if n in finish else array for n, array in enumerate(values[0])]
        for expected, *pair in zip(outputs[0], *values, strict=True):
            if _differs(*pair):
                raise VerificationError(
                    f"output '{expected.name}' is not what the graph's ops give, {kernels} kernels, sample {count}; "
                    f"{first_difference(content, regions, sample, where) or 'no inner tensor does'}; nothing was "
                    "written. Please report this with the model, and leave that op out with --exclude meanwhile"
                )
        count += 1
    return RegionVerification(runtime, kernels, count)


def _values(runner: ModelRunner, sample: Mapping[str, np.ndarray], tensors: Sequence[Tensor]) -> list[np.ndarray]:
    runner.run(sample)
    return [runner.read(tensor) for tensor in tensors]


def _differs(expected: np.ndarray, found: np.ndarray) -> bool:
    return expected.shape != found.shape or bool(differing(expected, found).any())


def _samples(model: Model, options: ConvertOptions) -> Iterator[dict[str, np.ndarray]]:
    specs, wanted = input_specs_from_model(model), options.calibration
    yield from adversarial_samples(model.subgraphs[0].inputs, wanted.seed)
    yield from SyntheticDataset(specs, _num_samples(model) - len(_ADVERSARIAL), wanted.seed)


def _num_samples(model: Model) -> int:
    values = sum(prod(tensor.shape) for tensor in model.subgraphs[0].inputs)
    return len(_ADVERSARIAL) + (_LARGE_SAMPLES if values >= _LARGE_VALUES else _SYNTHETIC_SAMPLES)


def adversarial_samples(inputs: Sequence[Tensor], seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Inputs that reach clamps and corners: all least, all greatest, both in turn, noise over the whole range."""
    rng = np.random.default_rng(seed)
    for kind in _ADVERSARIAL:
        yield {tensor.name: _adversarial(tensor, kind, rng) for tensor in inputs}


def _adversarial(tensor: Tensor, kind: str, rng: np.random.Generator) -> np.ndarray:
    dtype, shape = tensor.dtype, tensor.shape
    assert dtype is not None
    if kind == "noise":
        if dtype.itemsize == 1:
            return rng.integers(0, 256, shape, np.uint8).view(dtype)
        return rng.normal(0.0, 2.0, shape).astype(dtype)
    if kind == "chessboard":
        parities = [(axis % 2).astype(np.uint8) for axis in np.indices(shape, sparse=True)]
        places = functools.reduce(np.bitwise_xor, parities)
    elif kind == "extremes":
        places = rng.integers(0, 2, shape, np.uint8)
    else:
        places = np.full(shape, kind == "greatest", np.uint8)
    return np.array(_extremes(dtype), dtype)[places]


def _extremes(dtype: np.dtype) -> tuple[float, float]:
    """Least and greatest value; of types other than 8-bit ones far ones within most scales' range."""
    return (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.itemsize == 1 and dtype.kind in "iu" else (-4.0, 4.0)

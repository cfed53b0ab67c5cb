"""Original and model with regions side by side under one set of kernels: every output byte must be the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod

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
from fmtc_tflite.inference.model_runner import ModelRunner
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
) -> RegionVerification:
    """Runs both models on extremes, noise, synthetic inputs and the user's own.

    Args:
      where: the runtime and the kernels.
      own: the user's samples.

    Raises:
      VerificationError: an output differs; says which op is the first that does.
      UnsupportedModelError: the runtime refuses a model.
    """
    runtime, kernels = where
    models = load_model(content), load_model(converted)
    runners = [
        ModelRunner(ModelFile(model, data), num_threads=options.num_threads, runtime=runtime, kernels=kernels)
        for model, data in zip(models, (content, converted), strict=True)
    ]
    outputs = [model.subgraphs[0].outputs for model in models]
    count = 0
    total = _num_samples(models[0]) + len(own)
    for sample in progress(chain(_samples(models[0], options), own), "verification", total):
        for runner in runners:
            runner.run(sample)
        for expected, found in zip(*outputs, strict=True):
            if _differs(runners[0].read(expected), runners[1].read(found)):
                raise VerificationError(
                    f"output '{expected.name}' differs from the original's under {kernels} kernels, sample {count}; "
                    f"{first_difference(content, regions, sample, where) or 'no inner tensor does'}; nothing was "
                    "written. Please report this with the model, and leave that op out with --exclude meanwhile"
                )
        count += 1
    return RegionVerification(runtime, kernels, count)


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
    if kind == "noise" and dtype.itemsize == 1:
        values = rng.integers(0, 256, shape).astype(np.uint8).view(dtype)
    elif kind == "noise":
        values = rng.normal(0.0, 2.0, shape)
    else:
        places = {
            "least": np.zeros(shape, bool),
            "greatest": np.ones(shape, bool),
            "chessboard": np.indices(shape).sum(axis=0) % 2 == 1,
            "extremes": rng.integers(0, 2, shape) == 1,
        }
        values = np.where(places[kind], *_extremes(dtype))
    return np.asarray(values).astype(dtype)


def _extremes(dtype: np.dtype) -> tuple[float, float]:
    """Greatest and least value; of types other than 8-bit ones far ones within most scales' range."""
    return (np.iinfo(dtype).max, np.iinfo(dtype).min) if dtype.itemsize == 1 and dtype.kind in "iu" else (4.0, -4.0)

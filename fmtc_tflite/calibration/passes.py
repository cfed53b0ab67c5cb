"""Passes over the calibration samples: run the original model, look at each feature map, keep sums only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock

import numpy as np

from fmtc_tflite.calibration.statistics import CovarianceStatistics, ValueStatistics
from fmtc_tflite.coding.side_info import PREDICTORS, SideInformation
from fmtc_tflite.coding.token_classes import NUM_CONTEXTS
from fmtc_tflite.errors import CalibrationError, UsageError
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Tensor
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.inference.model_runner import ModelRunner, signed
from fmtc_tflite.inference.parallel import in_parallel, open_runners
from fmtc_tflite.progress import progress
from fmtc_tflite.runtime.library import NativeCodec

Sample = Mapping[str, np.ndarray]


def visit_maps(
    file: ModelFile,
    tensors: Sequence[Tensor],
    samples: Iterable[Sample],
    visit: Callable[[int, np.ndarray], None],
    label: str,
    num_threads: int | None = None,
) -> int:
    """Calls `visit(i, value of tensors[i])` for every sample and tensor; returns the number of samples.

    Samples may run side by side, so a tensor's values come in any order, but one at a time.

    Args:
      file: the original model.
      tensors: feature maps of the main subgraph.
      visit: gets the map as int8 or uint8 [N, H, W, C]; called in other threads.
      label: of the progress bar (stderr, only on a terminal).
    """
    locks = [Lock() for _ in tensors]

    def run(runner: ModelRunner, sample: Sample) -> None:
        runner.run(sample)
        for i, (tensor, lock) in enumerate(zip(tensors, locks, strict=True)):
            value = runner.read(tensor)
            with lock:
                visit(i, value)

    runners = open_runners(file, num_threads)
    count = sum(1 for _ in in_parallel(runners, progress(samples, label), run))
    if count == 0:
        raise CalibrationError("no calibration samples; expected at least one")
    return count


def value_statistics(
    file: ModelFile,
    sites: Sequence[Site],
    samples: Iterable[Sample],
    with_covariance: Sequence[bool],
    num_threads: int | None = None,
) -> list[tuple[ValueStatistics, CovarianceStatistics | None]]:
    """Histograms of each site's values, and covariances where asked for."""
    statistics = [
        (ValueStatistics(s.tensor.shape[3]), CovarianceStatistics(s.tensor.shape[3]) if wanted else None)
        for s, wanted in zip(sites, with_covariance, strict=True)
    ]

    def visit(i: int, x: np.ndarray) -> None:
        values, covariance = statistics[i]
        values.add(signed(x))
        if covariance is not None:
            covariance.add(signed(x))

    visit_maps(file, [s.tensor for s in sites], samples, visit, "feature-map statistics", num_threads)
    return statistics


def residual_histograms(
    file: ModelFile,
    tensors: Sequence[Tensor],
    infos: Sequence[SideInformation],
    samples: Iterable[Sample],
    num_threads: int | None = None,
) -> tuple[list[np.ndarray], int]:
    """Histograms of prediction residuals of what is encoded, under its quantization.

    Args:
      tensors: what the encoders read, all of the main subgraph.
      infos: their side information; only the quantization matters.

    Returns:
      uint32 [r, 5, 256] for each tensor, and the number of samples.

    Raises:
      UsageError: so many samples that a 32-bit count could overflow.
    """
    histograms = [np.zeros((info.components, len(PREDICTORS), 256), np.uint32) for info in infos]
    room = [np.iinfo(np.uint32).max] * len(tensors)
    with _codecs(tensors, infos) as codecs:

        def visit(i: int, x: np.ndarray) -> None:
            room[i] -= x.size // x.shape[3]
            if room[i] < 0:
                raise UsageError("too many calibration samples for 32-bit counts; pass a smaller --num_samples")
            codecs[i].add_residual_histograms(x, histograms[i])

        count = visit_maps(file, tensors, samples, visit, "residual histograms", num_threads)
    return histograms, count


def context_histograms(
    file: ModelFile,
    tensors: Sequence[Tensor],
    infos: Sequence[SideInformation],
    samples: Iterable[Sample],
    num_threads: int | None = None,
) -> tuple[list[np.ndarray], int]:
    """Histograms of residuals by class and context; all `infos` have contexts.

    Returns:
      int64 [classes, contexts, 256] for each tensor, and the number of samples.
    """
    histograms = [np.zeros((info.num_classes, NUM_CONTEXTS, 256), np.int64) for info in infos]
    with _codecs(tensors, infos) as codecs:

        def visit(i: int, x: np.ndarray) -> None:
            own = np.zeros(histograms[i].shape, np.uint32)
            codecs[i].add_context_histograms(x, own)
            histograms[i] += own

        count = visit_maps(file, tensors, samples, visit, "context histograms", num_threads)
    return histograms, count


def coded_sizes(
    file: ModelFile,
    tensors: Sequence[Tensor],
    infos: Sequence[SideInformation],
    samples: Iterable[Sample],
    num_threads: int | None = None,
) -> list[np.ndarray]:
    """Payload bytes per batch item, rounded up, of each tensor: int64 [samples], in any order."""
    sizes: list[list[int]] = [[] for _ in tensors]
    with _codecs(tensors, infos) as codecs:

        def visit(i: int, x: np.ndarray) -> None:
            sizes[i].append(-(-codecs[i].encode(x).size // x.shape[0]))

        visit_maps(file, tensors, samples, visit, "coded sizes", num_threads)
    return [np.array(own, np.int64) for own in sizes]


@contextmanager
def _codecs(tensors: Sequence[Tensor], infos: Sequence[SideInformation]) -> Iterator[list[NativeCodec]]:
    with ExitStack() as stack:
        codecs = []
        for tensor, info in zip(tensors, infos, strict=True):
            batch, height, width, _ = tensor.shape
            assert tensor.dtype is not None
            codecs.append(stack.enter_context(NativeCodec(info.to_bytes(), (batch, height, width), tensor.dtype)))
        yield codecs

"""Principal components of feature maps, taken before the activation where a convolution writes the map.

Everything is in the map's own quantization units ("int8 domain"): a value before rounding and clamping is the real
value divided by the map's scale, plus its zero point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fmtc_tflite.calibration.adjoints import SlidingWindow
from fmtc_tflite.coding.transform import eigenbasis
from fmtc_tflite.errors import ModelFormatError, UnsupportedModelError
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Op, Tensor
from fmtc_tflite.graph.operators.constants import bias, is_constant, real_values
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.inference.model_runner import ModelRunner, signed
from fmtc_tflite.progress import progress

Read = Callable[[Tensor], np.ndarray]
# Pixels for each dimension that a covariance needs at least; with fewer the basis would describe noise.
_PIXELS_PER_DIMENSION = 2
_MOST_CHANNELS = 8192  # a covariance of half a gigabyte


class LinearProducer(NamedTuple):
    """The convolution behind a map, in the map's units: values = conv(x - zero point, weights) + bias.

    Attributes:
      weights: float32 [C, kernel height, kernel width, input channels].
      bias: float64 [C], the map's zero point included.
    """

    op: Op
    source: Tensor
    weights: np.ndarray
    bias: np.ndarray

    @property
    def rank(self) -> int:
        """The most components that can vary."""
        return min(len(self.bias), int(np.prod(self.weights.shape[1:])))


def signed_zero_point(tensor: Tensor) -> int:
    """The tensor's zero point in the int8 domain."""
    return (tensor.zero_point or 0) - (128 if tensor.dtype == np.uint8 else 0)


def linear_producer(site: Site) -> LinearProducer | None:
    """The producer of an int8 map if it is a plain CONV_2D with constant int8 weights; else None."""
    op, target = site.producer, site.tensor
    source, weights = [*op.inputs, None, None][:2]
    if op.opcode != "CONV_2D" or source is None or weights is None or source.data is not None:
        return None
    if not is_constant(weights) or len(weights.shape) != 4 or len(source.shape) != 4:
        return None
    if not (source.dtype == target.dtype == weights.dtype == np.int8) or source.scale is None or target.scale is None:
        return None
    parameters = weights.quantization
    if parameters is None or parameters.scale is None or np.any(parameters.zeroPoint):
        return None
    if weights.shape[3] != source.shape[3] or len(parameters.scale) not in (1, weights.shape[0]):
        return None
    try:
        scales, values = np.asarray(parameters.scale, np.float64), real_values(weights)
        offset = bias(op, weights.shape[0]) * scales * source.scale
    except ModelFormatError:
        return None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        values = values * np.float32(np.divide(source.scale, target.scale))
        offset = offset / target.scale + signed_zero_point(target)
    if not (np.isfinite(values).all() and np.isfinite(offset).all()):
        return None
    return LinearProducer(op, source, values, offset)


def before_activation(site: Site, producer: LinearProducer | None, read: Read) -> np.ndarray:
    """A map's values, before rounding and activation where its producer is known; float32 [pixels, C]."""
    if producer is None:
        return signed(read(site.tensor)).reshape(-1, site.tensor.shape[3]).astype(np.float32)
    return convolve(producer, producer.weights, read, site.tensor.shape) + producer.bias.astype(np.float32)


def convolve(producer: LinearProducer, weights: np.ndarray, read: Read, shape: tuple[int, ...]) -> np.ndarray:
    """The producer's convolution with other weights and no bias.

    Args:
      weights: float32 [outputs, kernel height, kernel width, input channels].
      shape: of the map that the producer writes.

    Returns:
      float32 [pixels, outputs].
    """
    x = read(producer.source).astype(np.float32) - np.float32(signed_zero_point(producer.source))
    kernel = (weights.shape[1], weights.shape[2])
    window = SlidingWindow(producer.op, x.shape, kernel, shape)
    window.padded[window.interior] = x
    total = np.zeros((int(np.prod(shape[:3])), len(weights)), np.float32)
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            total += window.padded[window.tap(a, b)].reshape(-1, x.shape[3]) @ weights[:, a, b, :].T
    return total


@dataclass
class Components:
    """Streaming statistics of one map: first its covariance, then the range of its components.

    Attributes:
      site: the map.
      producer: the convolution whose output is rotated; None where the stored map is.
      basis: float64 [r, C], strongest component first; set by `fix_basis`.
      reason: why the basis is the identity; None if it is the KLT's.
      deviation: standard deviation of each component, float64 [r].
      low, high: range of each component around its mean, float64 [r].

    Raises:
      UnsupportedModelError: more channels than a covariance has room for.
    """

    site: Site
    producer: LinearProducer | None
    pixels: int = 0
    basis: np.ndarray = field(init=False)
    mean: np.ndarray = field(init=False)
    reason: str | None = None
    deviation: np.ndarray = field(init=False)
    low: np.ndarray = field(init=False)
    high: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        channels = self.site.tensor.shape[3]
        if channels > _MOST_CHANNELS:
            raise UnsupportedModelError(
                f"feature map '{self.site.name}' has {channels} channels, expected at most {_MOST_CHANNELS} for a KLT"
            )
        self._shift = np.zeros(channels, np.float32)
        self._total, self._products = np.zeros(channels), np.zeros((channels, channels))

    def add(self, read: Read) -> None:
        """Adds the map of the last run to mean and covariance."""
        values = before_activation(self.site, self.producer, read)
        if not self.pixels:
            self._shift = values.mean(0)  # sums around about the mean keep their digits
        values -= self._shift
        self._total += values.sum(0, dtype=np.float64)
        self._products += values.T @ values
        self.pixels += len(values)

    def fix_basis(self) -> None:
        """Ends the covariance; from here on `add_range`."""
        channels = len(self._total)
        mean = self._total / max(self.pixels, 1)
        covariance = self._products / max(self.pixels, 1) - np.outer(mean, mean)
        self.mean = self._shift + mean
        rank = channels if self.producer is None else self.producer.rank
        if self.pixels < _PIXELS_PER_DIMENSION * rank:
            self.reason = f"{self.pixels} calibration pixels are too few for a KLT of {rank} dimensions: no rotation"
            self.basis = np.eye(channels)
        else:
            self.basis = eigenbasis(covariance)[:rank]
        self.deviation = np.sqrt(np.maximum(((self.basis @ covariance) * self.basis).sum(1), 0))
        del self._products
        self.low, self.high = np.zeros((2, len(self.basis)))

    def project(self, read: Read) -> np.ndarray:
        """The components of the map of the last run around their means, float32 [pixels, r]."""
        values = before_activation(self.site, self.producer, read) - self.mean.astype(np.float32)
        return values @ self.basis.T.astype(np.float32)

    def add_range(self, read: Read) -> None:
        """Adds the map of the last run to the components' range."""
        projected = self.project(read)
        self.low = np.minimum(self.low, projected.min(0))
        self.high = np.maximum(self.high, projected.max(0))


def measure_components(
    file: ModelFile,
    sites: Sequence[Site],
    samples: Iterable[Mapping[str, np.ndarray]],
    num_threads: int | None = None,
) -> list[Components]:
    """Basis and ranges of maps of the main subgraph, in two passes over the samples.

    Args:
      samples: inputs by tensor name; may be gone through twice.
    """
    components = [Components(site, linear_producer(site)) for site in sites]
    runner = ModelRunner(file, num_threads=num_threads)
    for label, visit in (("covariances", Components.add), ("ranges", Components.add_range)):
        for sample in progress(samples, label):
            runner.run(sample)
            for own in components:
                visit(own, runner.read)
        if visit is Components.add:
            for own in components:
                own.fix_basis()
    return components

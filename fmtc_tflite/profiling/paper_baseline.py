"""What feature maps take under the scheme of Chmiel et al., arXiv 1905.10830 (see fmtc_tflite.coding.paper)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from fmtc_tflite.calibration.projection import Components, measure_components
from fmtc_tflite.coding.code_lengths import huffman_lengths
from fmtc_tflite.coding.paper import uniform_step
from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.progress import progress

# The scheme takes far longer than a run of the model; a mean size needs no more.
_MOST_SAMPLES = 16


@dataclass(frozen=True)
class PaperBaseline:
    """Sizes under the scheme, with ideal arithmetic: float transforms, coefficients of any width.

    Attributes:
      bits: for the range of each map's main component.
      calibration_samples, counted_samples: the first ones made bases and steps, the ones after them are counted; a
        single sample is both.
      mean_bytes: Huffman code lengths of each map's coefficients under one table that is made from them.
    """

    bits: float
    calibration_samples: int
    counted_samples: int
    mean_bytes: dict[Tensor, float]


def measure_paper(
    file: ModelFile,
    maps: Sequence[Tensor],
    samples: Iterable[Mapping[str, np.ndarray]],
    bits: float,
    num_threads: int | None = None,
) -> PaperBaseline:
    """Runs the model on some of the samples.

    Args:
      maps: candidate feature maps of the main subgraph.
      samples: inputs by tensor name; at least one.
    """
    chosen = list(islice(samples, 2 * _MOST_SAMPLES))
    half = -(-len(chosen) // 2)
    first, counted = chosen[:half], chosen[half:] or chosen
    sites = {site.tensor: site for site in find_sites(file.model)}
    components = measure_components(file, [sites[t] for t in maps], first, num_threads)
    counters = [_Coefficients(own, bits) for own in components]
    runner = ModelRunner(file, num_threads=num_threads)
    for sample in progress(counted, "paper's scheme"):
        runner.run(sample)
        for counter in counters:
            counter.add(runner)
    sizes = {tensor: c.huffman_bytes / len(counted) for tensor, c in zip(maps, counters, strict=True)}
    return PaperBaseline(bits, len(first), len(counted), sizes)


class _Coefficients:
    """Counts the coefficients of one map."""

    def __init__(self, components: Components, bits: float) -> None:
        self._components = components
        self._step = uniform_step(components.low, components.high, bits)
        self._counts: dict[int, int] = {}

    def add(self, runner: ModelRunner) -> None:
        """Adds the map of the last run."""
        index = np.rint(self._components.project(runner.read) / self._step).astype(np.int64)
        lowest = int(index.min())
        for k, count in enumerate(np.bincount((index - lowest).ravel()).tolist(), start=lowest):
            self._counts[k] = self._counts.get(k, 0) + count

    @property
    def huffman_bytes(self) -> float:
        counts = np.array(list(self._counts.values()), np.int64)
        return float(huffman_lengths(counts) @ counts) / 8

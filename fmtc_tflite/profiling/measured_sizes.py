"""Running a model on data to measure what its feature maps take: coded, and under the baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmtc_tflite.fidelity.meters import CodedMeter
from fmtc_tflite.fidelity.metrics import ByteStatistics
from fmtc_tflite.graph.coded_maps import CodedMap, candidate_maps, computed_maps
from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.profiling.baselines import MapHistogram
from fmtc_tflite.profiling.paper_baseline import PaperBaseline, measure_paper
from fmtc_tflite.progress import progress, stage
from fmtc_tflite.types import DEFAULT_PAPER_BITS


@dataclass(frozen=True)
class MeasuredSizes:
    """What a run over samples showed.

    Attributes:
      coded_bytes: of each coded feature map, by its `coded` tensor.
      network_coded_bytes: of all of them together, per sample; None if nothing is coded.
      histograms: values of each candidate feature map that is computed.
      paper: what they take under the paper's scheme.
    """

    num_samples: int
    coded_bytes: dict[Tensor, ByteStatistics]
    network_coded_bytes: ByteStatistics | None
    histograms: dict[Tensor, MapHistogram]
    paper: PaperBaseline

    def baseline_bytes(self, tensor: Tensor) -> dict[str, float]:
        """Mean size of a candidate under each of SCHEMES."""
        return {**self.histograms[tensor].mean_bytes(), "paper": self.paper.mean_bytes[tensor]}


def measure(
    file: ModelFile,
    coded: Sequence[CodedMap],
    samples: Iterable[Mapping[str, np.ndarray]],
    num_threads: int | None = None,
    paper_bits: float = DEFAULT_PAPER_BITS,
    original: ModelFile | None = None,
) -> MeasuredSizes:
    """Runs the model on every sample.

    Args:
      file: the model.
      original: what the model was converted from, if that is known: the baselines then code its feature maps. Else
        they code those of the model itself, as far as they exist there.
      coded: its coded feature maps.
      samples: inputs by tensor name; at least one. They are gone through more than once.
      paper_bits: for the main component under the paper's scheme.

    Raises:
      CalibrationError: samples that do not fit the model.
      RuntimeLibraryError: the native library or a runtime is missing.
    """
    runner = ModelRunner(file, num_threads=num_threads)
    base = original or file
    base_runner = runner if original is None else ModelRunner(base, num_threads=num_threads)
    base_maps, own_maps = computed_maps(base.model), candidate_maps(file.model)
    uncoded = {tensor: base_maps[name] for name, tensor in own_maps.items() if name in base_maps}
    histograms = {tensor: MapHistogram(_zero_value(tensor)) for tensor in uncoded}
    stored = [m.coded for m in coded if not m.is_folded]
    meter = CodedMeter([str(i) for i in range(len(stored))])
    count = 0
    stage("coded sizes")
    for sample in progress(samples, "profile"):
        runner.run(sample)
        meter.add({str(i): runner.read(tensor) for i, tensor in enumerate(stored)})
        if original is not None:
            base_runner.run(sample)
        for tensor, histogram in histograms.items():
            histogram.add(base_runner.read(uncoded[tensor]))
        count += 1
    stage("the paper's scheme")
    paper = measure_paper(base, list(uncoded.values()), samples, paper_bits, num_threads)
    return MeasuredSizes(
        count,
        {tensor: meter.sites[str(i)].result() for i, tensor in enumerate(stored)},
        meter.network.result() if coded else None,
        histograms,
        replace(paper, mean_bytes={tensor: paper.mean_bytes[source] for tensor, source in uncoded.items()}),
    )


def _zero_value(tensor: Tensor) -> int:
    """Byte that stands for a real 0: the zero point, plus 128 for int8."""
    return (tensor.zero_point or 0) + (0 if tensor.dtype == np.uint8 else 128)

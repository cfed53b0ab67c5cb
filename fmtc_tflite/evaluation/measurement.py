"""Everything that is measured in one evaluation, as one accumulator that processes and runs can hand on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.fidelity.accuracy import LabelRanks, MeanIou
from fmtc_tflite.fidelity.fidelity_source import FidelitySource
from fmtc_tflite.fidelity.meters import CodedMeter, FidelityMeter
from fmtc_tflite.fidelity.metrics import Accumulator, Group, Predictions, RelativeMse, SampleMean, dequantize
from fmtc_tflite.fidelity.region_sources import original_sources
from fmtc_tflite.fidelity.task import Task
from fmtc_tflite.graph.coded_maps import check_coded_names, coded_tensors
from fmtc_tflite.graph.model_io import Model, Tensor
from fmtc_tflite.graph.region_ops import InnerTensor


@dataclass(frozen=True)
class Outputs:
    """What one model gave for one sample: graph outputs, fidelity sources, and coded tensors by name."""

    outputs: list[np.ndarray]
    sources: list[np.ndarray]
    coded: dict[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """What of a model is measured.

    Attributes:
      outputs: its graph outputs.
      sources: what fidelity compares, one for each output.
      coded: coded tensors by the original tensor's name, in execution order; empty if it is not converted.
      inner: those sources that lie inside a region.
    """

    outputs: tuple[Tensor, ...]
    sources: tuple[FidelitySource, ...]
    coded: dict[str, Tensor]
    inner: tuple[InnerTensor, ...] = ()

    @classmethod
    def of(cls, model: Model, output_kind: str) -> Layout:
        """The layout of a model.

        Raises:
          ModelFormatError, UnsupportedModelError: see check_coded_names, find_fidelity_source.
        """
        check_coded_names(model)
        main = model.subgraphs[0]
        sources, inner = original_sources(model, output_kind)
        return cls(tuple(main.outputs), tuple(sources), coded_tensors(main), tuple(inner))


class ModelMeter(Group):
    """Accuracy and coded sizes of one model.

    Attributes:
      accuracy: None without labels.
      predictions: None where the model is no classifier.
      coded: None where the model is not converted.
    """

    def __init__(self, layout: Layout, task: Task | None) -> None:
        self._task = task
        self.accuracy: LabelRanks | MeanIou | None = None
        self.predictions: Predictions | None = None
        if task is not None and task.kind == "classification":
            self.accuracy, self.predictions = LabelRanks(task.label_offset), Predictions()
        elif task is not None:
            self.accuracy = MeanIou(task.label_offset)
        self.coded = CodedMeter(list(layout.coded)) if layout.coded else None

    def add(self, sample: Outputs, label: np.ndarray | None) -> None:
        """Adds one sample: label [] or [H, W]."""
        if self._task is not None and label is not None:
            output = sample.outputs[self._task.output_index]
            if isinstance(self.accuracy, MeanIou):
                self.accuracy.add(self._task.predicted_map(output), label[None])
            elif self.accuracy is not None and self.predictions is not None:
                scores = self._task.scores(output)
                self.accuracy.add(scores, label.reshape(1))
                self.predictions.add(scores)
        if self.coded is not None:
            self.coded.add(sample.coded)

    def parts(self) -> dict[str, Accumulator]:
        return _present(accuracy=self.accuracy, predictions=self.predictions, coded=self.coded)


class ComparisonMeter(Group):
    """What changes between a reference and a model: fidelity, error of the outputs, and whether any bit differs.

    Attributes:
      fidelity: see FidelityMeter.
    """

    def __init__(self, reference: Layout, model: Layout) -> None:
        self.fidelity = FidelityMeter(reference.sources, model.sources)
        self._outputs = list(zip(reference.outputs, model.outputs, strict=True))
        self._errors = {i: RelativeMse() for i, (tensor, _) in enumerate(self._outputs) if _holds_values(tensor)}
        self._equal = SampleMean()

    def add(self, reference: Outputs, model: Outputs) -> None:
        """Adds one sample."""
        self.fidelity.add(reference.sources, model.sources)
        pairs = list(zip(reference.outputs, model.outputs, strict=True))
        for i, error in self._errors.items():
            tensors = self._outputs[i]
            error.add(*(dequantize(x, t.scale, t.zero_point) for x, t in zip(pairs[i], tensors, strict=True)))
        self._equal.add_values([all(a.tobytes() == b.tobytes() for a, b in pairs)])

    @property
    def bit_exact(self) -> bool:
        """Whether all outputs were equal on all samples."""
        return all(self._equal.values)

    @property
    def sqnr_db(self) -> float | None:
        """Signal-to-quantization-noise ratio of the worst output; infinite without an error, None without values."""
        ratios = [error.result().mean for error in self._errors.values()]
        if not ratios:
            return None
        return -10 * math.log10(max(ratios)) if max(ratios) > 0 else math.inf

    def parts(self) -> dict[str, Accumulator]:
        outputs = {f"output{i}": meter for i, meter in enumerate(self.fidelity.outputs)}
        return {**outputs, **{f"error{i}": error for i, error in self._errors.items()}, "equal": self._equal}


class Measurement(Group):
    """One evaluation: of a model, and of a reference beside it if there is one.

    Attributes:
      models: one meter for the model, and one for the reference.
      comparison: None without a reference.
    """

    def __init__(self, layouts: Sequence[Layout], task: Task | None) -> None:
        self.models = [ModelMeter(layout, task) for layout in layouts]
        self.comparison = ComparisonMeter(layouts[1], layouts[0]) if len(layouts) > 1 else None

    def add(self, samples: Sequence[Outputs], label: np.ndarray | None) -> None:
        """Adds one sample: what each model gave."""
        for meter, sample in zip(self.models, samples, strict=True):
            meter.add(sample, label)
        if self.comparison is not None:
            self.comparison.add(samples[1], samples[0])

    def parts(self) -> dict[str, Accumulator]:
        models = {f"model{i}": meter for i, meter in enumerate(self.models)}
        return _present(**models, comparison=self.comparison)


def _present(**meters: Accumulator | None) -> dict[str, Accumulator]:
    return {name: meter for name, meter in meters.items() if meter is not None}


def _holds_values(tensor: Tensor) -> bool:
    """Whether a tensor holds numbers on a scale, rather than class numbers."""
    return tensor.dtype is not None and (tensor.scale is not None or np.dtype(tensor.dtype).kind == "f")

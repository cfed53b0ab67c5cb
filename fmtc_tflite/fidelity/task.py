"""What the labels of some data ask of a model, and whether they fit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.fidelity.accuracy import check_labels
from fmtc_tflite.graph.model_io import Model, Tensor

_IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class LabelSet:
    """The labels of some data.

    Attributes:
      values: integers [N], or None for label maps.
      num_classes: number of classes if the data tells it.
      source: what the data is called in messages.
    """

    values: np.ndarray | None
    num_classes: int | None
    source: str


@dataclass(frozen=True)
class Task:
    """What labels say about the models' outputs.

    Attributes:
      kind: 'classification' or 'segmentation'.
      output_index: the graph output that answers.
      classes: number of scores; None for an output of class numbers.
      size: (H, W) of a segmentation's label maps; (1, 1) of a classification.
      label_offset: added to each label.
    """

    kind: str
    output_index: int
    classes: int | None
    size: tuple[int, int]
    label_offset: int

    def scores(self, output: np.ndarray) -> np.ndarray:
        """Scores [1, classes] of a classifier's output; a fixed batch holds copies of one sample."""
        return output.reshape(-1, output.shape[-1])[:1]

    def predicted_map(self, output: np.ndarray) -> np.ndarray:
        """Class numbers [1, H, W] of a segmentation's output."""
        classes = output[:1] if self.classes is None else output[:1].argmax(axis=-1)
        return classes.reshape(1, *self.size)


def find_task(models: Sequence[Model], labels: LabelSet, label_offset: int | None) -> Task:
    """What the labels ask of these models.

    Args:
      models: all must answer alike.
      labels: of the data.
      label_offset: what the user gave; None for 0, unless it looks wrong.

    Raises:
      CalibrationError: no output fits the labels, or the labels do not fit the classes.
    """
    find = _label_map_output if labels.values is None else _score_output
    answers = [find(model, labels.source) for model in models]
    if len(set(answers)) > 1:
        raise CalibrationError(
            f"the models' answers differ in form: got {_text(answers[0])} and {_text(answers[1])}; "
            "compare models of the same task and classes"
        )
    index, classes, size = answers[0]
    kind = "segmentation" if labels.values is None else "classification"
    if labels.values is not None and classes is not None:
        _check_classes(labels.values, classes, labels, label_offset)
    return Task(kind, index, classes, size, label_offset or 0)


def _score_output(model: Model, source: str) -> tuple[int, int | None, tuple[int, int]]:
    for index, output in enumerate(model.subgraphs[0].outputs):
        shape = output.shape
        if len(shape) >= 2 and shape[-1] >= 2 and prod(shape[1:-1]) == 1:
            return index, shape[-1], (1, 1)
    raise CalibrationError(_no_output(model, source, "class scores [N, classes]"))


def _label_map_output(model: Model, source: str) -> tuple[int, int | None, tuple[int, int]]:
    for index, output in enumerate(model.subgraphs[0].outputs):
        shape = output.shape
        if _holds_classes(output) and (len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)):
            return index, None, (shape[1], shape[2])
        if len(shape) == 4 and shape[3] >= 2:
            return index, shape[3], (shape[1], shape[2])
    raise CalibrationError(_no_output(model, source, "class numbers [N, H, W] or scores [N, H, W, classes]"))


def _holds_classes(output: Tensor) -> bool:
    return output.scale is None and output.dtype is not None and np.dtype(output.dtype).kind in "iu"


def _no_output(model: Model, source: str, expected: str) -> str:
    shapes = ", ".join(f"'{t.name}' {list(t.shape)}" for t in model.subgraphs[0].outputs)
    return (
        f"{source}: has labels, but the model gives {shapes or 'nothing'}, expected {expected}; "
        "give data without labels to measure everything else"
    )


def _check_classes(values: np.ndarray, classes: int, labels: LabelSet, label_offset: int | None) -> None:
    """Labels that start at another number than the model's classes give a plausible, wrong accuracy: so be strict."""
    offset = label_offset or 0
    if labels.num_classes is not None and labels.num_classes + offset != classes:
        hint = (
            f"pass --label_offset {classes - labels.num_classes}"
            if labels.num_classes + 1 == classes
            else "give a CSV 'file,label' with the model's class numbers"
        )
        raise CalibrationError(
            f"{labels.source}: has {labels.num_classes} classes, but the model has {classes} "
            f"(--label_offset {offset}); {hint}"
        )
    if label_offset is None and classes == _IMAGENET_CLASSES + 1 and values.min() >= 0 and values.max() < classes - 1:
        raise CalibrationError(
            f"{labels.source}: labels are {values.min()} to {values.max()}, and the model has {classes} classes, as "
            "ImageNet's with a background class at 0; pass --label_offset 1, or --label_offset 0 if the labels count it"
        )
    check_labels(values, classes, offset)


def _text(answer: tuple[int, int | None, tuple[int, int]]) -> str:
    index, classes, (height, width) = answer
    return f"output {index} with {classes or 'any number of'} classes at {height}x{width}"

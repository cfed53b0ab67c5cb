"""Whether labels fit models, and what is said if not."""

from __future__ import annotations

import numpy as np
import pytest

from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.fidelity.task import LabelSet, find_task
from fmtc_tflite.graph.model_io import Model, load_model
from model_builder import ModelBuilder


def model(*shape: int) -> Model:
    """A model whose only output has this shape."""
    builder = ModelBuilder()
    graph = builder.graph()
    x = graph.input("x", [1, 4, 4, 3])
    y = graph.tensor("y", shape)
    graph.op("RESHAPE", [x], [y])
    graph.output(y)
    return load_model(builder.build())


def labels(*values: int, num_classes: int | None = None) -> LabelSet:
    return LabelSet(np.array(values), num_classes, "data.csv")


def test_classification() -> None:
    task = find_task([model(1, 10), model(1, 1, 10)], labels(0, 9), None)
    assert (task.kind, task.output_index, task.classes, task.label_offset) == ("classification", 0, 10, 0)
    assert task.scores(np.zeros((2, 1, 1, 10))).shape == (1, 10)


def test_segmentation_from_scores() -> None:
    task = find_task([model(1, 4, 6, 5)], LabelSet(None, None, "data.csv"), None)
    assert (task.kind, task.classes, task.size) == ("segmentation", 5, (4, 6))
    assert task.predicted_map(np.ones((1, 4, 6, 5))).shape == (1, 4, 6)


@pytest.mark.parametrize(
    ("models", "given", "offset", "message"),
    [
        ([model(1, 10)], labels(0, 10), None, "got 10 with --label_offset 0, expected a class of 0 to 9"),
        ([model(1, 10)], labels(0, 9), 1, "got 9 with --label_offset 1"),
        ([model(1, 10)], labels(-1, 9), None, "got -1 with"),
        ([model(1, 1001)], labels(0, 999), None, "pass --label_offset 1, or --label_offset 0 if"),
        ([model(1, 1001)], labels(0, 1, num_classes=1000), None, "has 1000 classes.*1001.*pass --label_offset 1"),
        ([model(1, 1000)], labels(0, 1, num_classes=500), None, "has 500 classes.*1000.*give a CSV"),
        ([model(1, 10), model(1, 11)], labels(0, 9), None, "answers differ in form.*10 classes.*11 classes"),
        ([model(1, 4, 6, 5)], labels(0, 9), None, r"'y' \[1, 4, 6, 5\], expected class scores.*without labels"),
        ([model(1, 10)], LabelSet(None, None, "masks.csv"), None, r"masks.csv.*expected class numbers \[N, H, W\]"),
    ],
)
def test_labels_that_do_not_fit(models: list[Model], given: LabelSet, offset: int | None, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        find_task(models, given, offset)


@pytest.mark.parametrize("offset", [0, 1])
def test_an_explicit_offset_settles_it(offset: int) -> None:
    assert find_task([model(1, 1001)], labels(0, 999), offset).label_offset == offset
    assert find_task([model(1, 1001)], labels(1, 1000), None).label_offset == 0

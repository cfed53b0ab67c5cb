"""Another signature's subgraph in the first place, where everything that looks at a network looks for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fmtc_tflite.graph.model import Model
from fmtc_tflite.graph.model_io import load_model


def with_first(content: bytes, index: int) -> bytes:
    """The model with subgraph `index` and subgraph 0 in one another's place; the same bytes for 0.

    What it computes is the same, each signature of its own: they name their subgraphs, and ops that call subgraphs
    are given the new numbers.
    """
    if index == 0:
        return content
    model = load_model(content)
    _swap(model, index)
    return model.to_bytes()


def _swap(model: Model, index: int) -> None:
    subgraphs = model.subgraphs
    subgraphs[0], subgraphs[index] = subgraphs[index], subgraphs[0]
    subgraphs[0].index, subgraphs[index].index = 0, index
    new_number = {0: index, index: 0}
    for op in (op for subgraph in subgraphs for op in subgraph.ops):
        for name in op.subgraph_fields():
            old: Any = getattr(op.options, name)
            new = [new_number.get(int(number), int(number)) for number in np.atleast_1d(old)]
            setattr(op.options, name, np.array(new, np.int32) if np.ndim(old) else new[0])

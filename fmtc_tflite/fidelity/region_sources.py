"""What is compared of a model with regions: what is compared of its original, wherever that is now."""

from __future__ import annotations

from dataclasses import replace

from fmtc_tflite.errors import UnsupportedModelError
from fmtc_tflite.fidelity.fidelity_source import FidelitySource
from fmtc_tflite.fidelity.meters import fidelity_sources
from fmtc_tflite.graph.model import Model, Tensor
from fmtc_tflite.graph.region_ops import InnerTensor, is_region
from fmtc_tflite.regions.inner_tensors import inner_tensors
from fmtc_tflite.regions.restoration import original_ops


def original_sources(model: Model, output_kind: str) -> tuple[list[FidelitySource], list[InnerTensor]]:
    """What to compare for each graph output, and those of it that lie inside regions.

    A region hides what its ops are, such as a SOFTMAX before them. So the original is asked, as far as the file gives
    it back.

    Raises:
      ModelFormatError: the restore data are damaged.
      UsageError, UnsupportedModelError: see find_fidelity_source.
    """
    own = fidelity_sources(model, output_kind)
    if not any(is_region(op) for op in model.subgraphs[0].ops):
        return own, []
    try:
        original = original_ops(model)
    except UnsupportedModelError:  # a file without restore data
        return own, []
    hidden = inner_tensors(model, original)
    sources, inner = [], []
    for index, source in enumerate(fidelity_sources(original.model, output_kind)):
        tensor = same_tensor(model, original.model, source.tensor)
        if tensor is not None:
            sources.append(replace(source, tensor=tensor))
        elif source.tensor.name in hidden:
            sources.append(source)
            inner.append(hidden[source.tensor.name])
        else:
            sources.append(own[index])
    return sources, inner


def same_tensor(converted: Model, original: Model, tensor: Tensor) -> Tensor | None:
    """The converted graph's tensor that stands for one of the original; None if no op there writes it."""
    here, there = converted.subgraphs[0], original.subgraphs[0]
    for own, other in zip((*here.inputs, *here.outputs), (*there.inputs, *there.outputs), strict=True):
        if other is tensor:
            return own
    written = [t for op in here.ops for t in op.outputs if t is not None and t.name == tensor.name]
    return written[0] if len(written) == 1 else None

"""Verification of regions for TensorFlow Lite Micro in another runtime, which computes SOFTMAX otherwise.

A network's last SOFTMAX that is inside a region is taken off the original for as long; what its input becomes is
computed here, as the readable reference does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fmtc_tflite.conversion.region_plans import PlannedRegion
from fmtc_tflite.errors import UnsupportedModelError
from fmtc_tflite.graph.edits.unused import drop_unused
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.kinds.softmax import Softmax
from fmtc_tflite.regions.reference.softmax import softmax

Finish = Callable[[np.ndarray], np.ndarray]


def without_softmax(content: bytes, regions: Sequence[PlannedRegion]) -> tuple[bytes, Mapping[int, Finish]]:
    """The original without SOFTMAX ops that regions have, and what makes an output of it theirs, by its number.

    Raises:
      UnsupportedModelError: one that is not the network's last op.
    """
    fused = [op for region in regions for stage in region.plan.stages for op in stage.ops if isinstance(op, Softmax)]
    if not fused:
        return content, {}
    model = load_model(content)
    graph, finish = model.subgraphs[0], dict[int, Finish]()
    for each in fused:
        name = each.output.source.name
        op = next(op for op in graph.ops if op.outputs[0] is not None and op.outputs[0].name == name)
        result, source = op.outputs[0], op.inputs[0]
        assert source is not None
        if result not in graph.outputs or any(result in other.inputs for other in graph.ops):
            raise UnsupportedModelError(f"SOFTMAX '{name}' is not the network's last op; leave it out with --exclude")
        number = graph.outputs.index(result)
        graph.ops.remove(op)
        graph.outputs[number] = source
        for signature in model.signatures:
            signature.outputs = [(key, source if tensor is result else tensor) for key, tensor in signature.outputs]
        drop_unused(model, graph, [op])
        finish[number] = _finish(each)
    return model.to_bytes(), finish


def _finish(op: Softmax) -> Finish:
    exponentials = op.exponentials.astype(np.int64)

    def finish(values: np.ndarray) -> np.ndarray:
        is_signed = values.dtype == np.int8
        unsigned = values.view(np.uint8) ^ (0x80 if is_signed else 0)
        found = softmax(unsigned.reshape(-1, values.shape[-1]), exponentials).reshape(values.shape)
        return (found ^ 0x80).view(np.int8) if is_signed else found

    return finish

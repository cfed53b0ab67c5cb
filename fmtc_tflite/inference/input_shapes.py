"""Models whose file leaves shapes open, with shapes that are fixed: as a runtime infers them from the inputs'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fmtc_tflite.errors import UnsupportedModelError, UsageError
from fmtc_tflite.graph.coded_maps import is_converted
from fmtc_tflite.graph.model import Model
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.runtime.checked import CheckedInterpreter


def fix_input_shapes(content: bytes, shapes: Sequence[tuple[str, tuple[int, ...]]]) -> bytes:
    """A model's bytes with the given input shapes, and all shapes that follow from them, in the place of open ones.

    Raises:
      UsageError: no such input, or another rank.
      UnsupportedModelError: the runtime refuses the shapes, or a shape depends on data.
    """
    if not shapes:
        return content
    model = load_model(content)
    wanted = dict(shapes)
    _check(model, wanted)
    inputs = model.subgraphs[0].inputs
    index_of = {tensor: index for index, tensor in enumerate(model.subgraphs[0].tensors)}
    resized = {index_of[t]: wanted[t.name] for t in inputs if t.name in wanted}
    interpreter = CheckedInterpreter(
        content, model.subgraphs[0].op_labels, builtin_kernels_only=True, attach_delegate=False, input_shapes=resized
    )
    found = interpreter.shapes()
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        shape = found.get(index, tensor.shape)
        if tensor.data is not None:
            continue
        if any(size < 1 for size in shape):
            raise UnsupportedModelError(f"tensor '{tensor.name}' has a shape that depends on the data: {list(shape)}")
        tensor.shape, tensor.shape_signature = shape, None
    return model.to_bytes()


def with_input_shapes(content: bytes, shapes: Sequence[tuple[str, tuple[int, ...]]]) -> bytes:
    """As fix_input_shapes, where a converted model, whose shapes were fixed when it was converted, may come along."""
    return content if not shapes or is_converted(load_model(content)) else fix_input_shapes(content, shapes)


def _check(model: Model, wanted: Mapping[str, tuple[int, ...]]) -> None:
    inputs = {tensor.name: tensor for tensor in model.subgraphs[0].inputs}
    for name, shape in wanted.items():
        if name not in inputs:
            raise UsageError(f"--input_shape: the model has no input {name!r}; it has {', '.join(map(repr, inputs))}")
        if len(shape) != len(inputs[name].shape):
            raise UsageError(
                f"--input_shape {name}: got {len(shape)} sizes, expected {len(inputs[name].shape)}: "
                f"{list(inputs[name].shape)}"
            )

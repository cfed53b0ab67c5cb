"""State that a model keeps from one inference to the next, as streaming models do: variables of either kind."""

from __future__ import annotations

from fmtc_tflite.graph.model import Model, Subgraph, Tensor


def keeps_state(model: Model) -> bool:
    """Whether what an inference computes may depend on the ones before it."""
    return any(
        any(tensor.is_variable for tensor in subgraph.tensors) or any(op.opcode == "VAR_HANDLE" for op in subgraph.ops)
        for subgraph in model.subgraphs
    )


def variable_values(subgraph: Subgraph) -> dict[object, Tensor]:
    """For each variable of a subgraph a tensor of its type and shape.

    A variable is a tensor of its own, or a resource, which has no values but is read and assigned by its handle.
    """
    found: dict[object, Tensor] = {tensor: tensor for tensor in subgraph.tensors if tensor.is_variable}
    names: dict[Tensor | None, object] = {}
    for op in subgraph.ops:
        if op.opcode == "VAR_HANDLE" and op.outputs and op.options is not None:
            names[op.outputs[0]] = (op.options.container, op.options.sharedName)
        elif op.opcode in ("READ_VARIABLE", "ASSIGN_VARIABLE") and op.inputs:
            value = [*op.outputs, *op.inputs[1:], None][0]
            if value is not None and value.dtype is not None:
                found.setdefault(names.get(op.inputs[0], op.inputs[0]), value)
    return found

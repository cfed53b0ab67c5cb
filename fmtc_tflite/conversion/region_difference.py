"""Where original and regions part: their inner tensors one after another, in the order in which ops run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fmtc_tflite.conversion.region_plans import PlannedRegion
from fmtc_tflite.fidelity.differences import differing
from fmtc_tflite.graph.model import Model, Tensor
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.regions.inner_tensors import computed_values
from fmtc_tflite.runtime.region import RegionProgram


def first_difference(
    content: bytes, regions: Sequence[PlannedRegion], sample: Mapping[str, np.ndarray], where: tuple[str | None, str]
) -> str | None:
    """Describes the first op whose result differs; None if all agree.

    Args:
      content: the original file. Its inner tensors are made outputs, to read them whoever computes them.
      sample: inputs of the model by name.
      where: the runtime (None: the first that is installed) and the kernels.
    """
    model = load_model(content)
    results = [_results(model, region) for region in regions]
    graph = model.subgraphs[0]
    inputs = [[graph.tensors[number] for number in region.input_numbers] for region in regions]
    wanted = [t for tensors in results for t in tensors if t is not None] + [t for own in inputs for t in own]
    known = {*graph.inputs, *graph.outputs}
    graph.outputs = [*graph.outputs, *(t for t in dict.fromkeys(wanted) if t not in known)]
    runtime, kernels = where
    runner = ModelRunner(ModelFile.of(model), runtime=runtime, kernels=kernels)
    runner.run(sample)
    for region, expected, sources in zip(regions, results, inputs, strict=True):
        with RegionProgram(region.program.content) as program:
            trace = program.trace([runner.read(tensor) for tensor in sources])
        for number, (op, tensor) in enumerate(zip(region.program.ops, expected, strict=True)):
            if tensor is None:
                continue
            computed = computed_values(region.program, number).reshape(-1)
            values = runner.read(tensor)[-1:].reshape(-1)
            found = trace.tensors[op.output].reshape(-1)
            if differing(values[computed], found[computed]).any():
                return _describe(model, tensor, values[computed], found[computed])
    return None


def _results(model: Model, region: PlannedRegion) -> list[Tensor | None]:
    """The graph's tensor that each op of a program writes; None for ops that the planner made up."""
    tensors = {tensor.name: tensor for tensor in model.subgraphs[0].tensors}
    ops = [op for stage in region.plan.stages for op in stage.ops]
    return [None if op.source is None else tensors[op.output.source.name] for op in ops]


def _describe(model: Model, tensor: Tensor, expected: np.ndarray, found: np.ndarray) -> str:
    opcode = next(op.opcode for op in model.subgraphs[0].ops if tensor in op.outputs)
    places = np.flatnonzero(differing(expected, found))
    first = int(places[0]) if len(places) else 0
    return (
        f"the first op that differs is {opcode} '{tensor.name}', in {len(places)} of {expected.size} values, such as "
        f"{expected[first]} expected and {found[first]} found at {first}"
    )

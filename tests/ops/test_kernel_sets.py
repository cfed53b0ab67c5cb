"""Regions of one op give what the installed runtime's kernels give, under all three sets, on adversarial numbers.

FMTC_KERNEL_SET_MODELS sets how many models of each op are compared.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from fmtc_tflite.fidelity.differences import differing
from fmtc_tflite.graph.model import Subgraph, Tensor
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.candidates import plain_tensor
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.kernel_sets import NAMES, KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.kinds.tables import TABLES
from fmtc_tflite.regions.ops import OpRefusedError, RegionTensor
from fmtc_tflite.regions.planner import plan_region, write_program
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.region import Region
from fmtc_tflite.runtime.region import RegionProgram
from single_ops import OPCODES, SingleOp, single_op

MODELS = int(os.environ.get("FMTC_KERNEL_SET_MODELS", "40"))
FIRST_SEED = int(os.environ.get("FMTC_KERNEL_SET_SEED", "0"))
RESOLVERS = {
    "xnnpack": OpResolverType.BUILTIN,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}
# Results of the others do not depend on who computes them.
CLAIMED = (
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MEAN", "QUANTIZE", "RESIZE_BILINEAR", "SUB", "MUL",
    "MAXIMUM", "MINIMUM", "PRELU", *TABLES,
)  # fmt: skip
# Reasons that few models have.
REFUSALS = (
    "its output's scale is too small beside its operands'",
    "the runtime's kernels round the tensor's last values by another rule than the others",
    "a value lies so near to a half that C libraries may round it either way",
    "it counts axes from the end, which runtimes compute differently",
    "its constant is a negative zero",
    "the runtime leaves the tensor's last values to the C library",
)
# Sets under which every model of an op is refused, and why.
OUTSIDE = {
    ("SQRT of float32", "xnnpack"): "XNNPACK's SQRT of float32 depends on the processor",
    ("LOGISTIC of float32", "xnnpack"): "XNNPACK's LOGISTIC of float32 depends on the processor",
    ("LOGISTIC of float32", "reference"): "the runtime leaves LOGISTIC of float32 to the C library",
}


def live(case: SingleOp, kernels: str) -> tuple[list[np.ndarray], bool] | None:
    """What the runtime computes for each output, and whether a delegate does; None for a model that it refuses."""
    interpreter = Interpreter(
        model_content=case.content, experimental_op_resolver_type=RESOLVERS[kernels], num_threads=1
    )
    try:
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError):
        return None
    for details, values in zip(interpreter.get_input_details(), case.inputs, strict=True):
        interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    delegated = any("DELEGATE" in op["op_name"].upper() for op in interpreter._get_ops_details())
    return [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()], delegated


def region_tensors() -> Callable[[Tensor], RegionTensor]:
    known: dict[Tensor, RegionTensor] = {}

    def tensor_of(tensor: Tensor) -> RegionTensor:
        if tensor not in known:
            known[tensor] = plain_tensor(tensor)
        return known[tensor]

    return tensor_of


def program_of(subgraph: Subgraph, kernels: KernelSet) -> Program | str:
    """A region of the only op, and copies where it cannot write the region's outputs; or why there is none."""
    op = subgraph.ops[0]
    try:
        built = op_builder(kernels)(op, region_tensors())
    except OpRefusedError as refused:
        return str(refused)
    results = {result.output.source: result for result in built if result.source is op}
    last = [results[tensor] for tensor in op.outputs]
    copies = {result: Copy.of(result.output) for result in last if not result.writes_region_outputs}
    made = {each.output for each in built}
    read = {tensor for each in built for tensor in each.inputs} - made
    inputs = sorted(read, key=lambda tensor: subgraph.inputs.index(tensor.source))
    outputs = tuple(copies[result].output if result in copies else result.output for result in last)
    region = Region((*built, *copies.values()), tuple(inputs), outputs)
    return write_program(plan_region(region), kernels.number)


def run(program: Program, case: SingleOp) -> list[np.ndarray]:
    with RegionProgram(program.content) as region:
        inputs = [values.reshape(-1, *t.shape) for values, t in zip(case.inputs, region.inputs, strict=True)]
        return region.run(inputs)


@pytest.mark.parametrize("kernels", NAMES)
@pytest.mark.parametrize("opcode", OPCODES)
def test_one_op_equals_the_runtime(opcode: str, kernels: str) -> None:
    compared = 0
    for seed in range(FIRST_SEED, FIRST_SEED + MODELS):
        case = single_op(opcode, seed, batch=1 + (seed % 5 == 4))
        found = live(case, kernels)
        if found is None:
            continue
        expected, delegated = found
        subgraph, kernel_set = load_model(case.content).subgraphs[0], KernelSet(kernels)
        if kernels == "xnnpack" and opcode in CLAIMED:
            assert delegated == (kernel_set.runs(subgraph.ops[0]) == "xnnpack"), f"seed {seed}: who computes it"
        program = program_of(subgraph, kernel_set)
        if isinstance(program, str):
            assert program in (*REFUSALS, OUTSIDE.get((opcode, kernels))), f"seed {seed}: {program}"
            continue
        for result, values in zip(run(program, case), expected, strict=True):
            wrong = np.count_nonzero(differing(values, result))
            assert wrong == 0, f"seed {seed}: {wrong} of {values.size} values differ"
        compared += 1
    assert compared == 0 if (opcode, kernels) in OUTSIDE else compared > 0.8 * MODELS

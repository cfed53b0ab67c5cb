"""Regions of one op beside the installed runtime's kernels, and the table of what is exact under which set.

    PYTHONPATH=tests python tests/kernel_trials.py >docs/region_ops.md

writes the document that a test compares with what it sees.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from fmtc_tflite.fidelity.differences import differing
from fmtc_tflite.graph.model import Subgraph, Tensor
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.candidates import plain_tensor
from fmtc_tflite.regions.copy import Copy
from fmtc_tflite.regions.kernel_sets import NAMES, KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.ops import OpRefusedError, RegionTensor
from fmtc_tflite.regions.planner import plan_region, write_program
from fmtc_tflite.regions.program import Program
from fmtc_tflite.regions.region import Region
from fmtc_tflite.runtime.region import RegionProgram
from single_ops import OPCODES, SingleOp, single_op

DEFAULT_MODELS = 40
MODELS = int(os.environ.get("FMTC_KERNEL_SET_MODELS", str(DEFAULT_MODELS)))
FIRST_SEED = int(os.environ.get("FMTC_KERNEL_SET_SEED", "0"))
_RESOLVERS = {
    "xnnpack": OpResolverType.BUILTIN,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}
_HEAD = """# Which ops regions compute, under which kernels

Made by `PYTHONPATH=tests python tests/kernel_trials.py`; a test compares it with what it sees. Each row stands for
random models of one op (shapes, scales, zero points, options; usual ones and extremes), run by ai-edge-litert under the
three [sets of kernels](regions.md) and as a region: `exact` means that no byte differed. `XNNPACK` and `built-in` say
who computes the models in a default interpreter: XNNPACK leaves some to the built-in kernels, and a region does as they
do. `-`: the runtime refuses all such models. Everything else stays outside regions, and a conversion's report says why.

| op | type | xnnpack | builtin | reference |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Outcome:
    """One model of an op under a set of kernels that runs it.

    Attributes:
      type: of the op's first input.
      delegated: whether a delegate computed it.
      takes: whether the set's own rules say that XNNPACK does.
      reason: why the op stays outside regions; None if it was compared.
      differing: values that a region has otherwise than the runtime.
      values: that were compared.
    """

    seed: int
    type: str
    delegated: bool
    takes: bool
    reason: str | None
    differing: int = 0
    values: int = 0


@cache
def outcomes(opcode: str, kernels: str) -> tuple[Outcome, ...]:
    """Of all models of an op that the runtime does not refuse."""
    cases = (
        (seed, single_op(opcode, seed, batch=1 + (seed % 5 == 4))) for seed in range(FIRST_SEED, FIRST_SEED + MODELS)
    )
    found = (_outcome(seed, case, kernels) for seed, case in cases)
    return tuple(outcome for outcome in found if outcome is not None)


def _outcome(seed: int, case: SingleOp, kernels: str) -> Outcome | None:
    live = _live(case, kernels)
    if live is None:
        return None
    expected, delegated = live
    subgraph, kernel_set = load_model(case.content).subgraphs[0], KernelSet(kernels)
    op = subgraph.ops[0]
    first = next(tensor for tensor in op.inputs if tensor is not None and tensor.data is None)
    of_model = (seed, first.type_name, delegated, kernel_set.runs(op) == "xnnpack")
    program = _program_of(subgraph, kernel_set)
    if isinstance(program, str):
        return Outcome(*of_model, reason=program)
    wrong = sum(int(np.count_nonzero(differing(e, f))) for e, f in zip(expected, _run(program, case), strict=True))
    return Outcome(*of_model, None, wrong, sum(values.size for values in expected))


def _live(case: SingleOp, kernels: str) -> tuple[list[np.ndarray], bool] | None:
    """What the runtime computes for each output, and whether a delegate does; None for a model that it refuses."""
    interpreter = Interpreter(
        model_content=case.content, experimental_op_resolver_type=_RESOLVERS[kernels], num_threads=1
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
    """The regions' tensors of a graph's, each made once."""
    known: dict[Tensor, RegionTensor] = {}

    def tensor_of(tensor: Tensor) -> RegionTensor:
        if tensor not in known:
            known[tensor] = plain_tensor(tensor)
        return known[tensor]

    return tensor_of


def _program_of(subgraph: Subgraph, kernels: KernelSet) -> Program | str:
    """A region of the op alone, and copies where it cannot write the region's outputs; or why there is none."""
    op = subgraph.ops[0]
    try:
        built = op_builder(kernels)(op, region_tensors())
    except OpRefusedError as refused:
        return str(refused)
    results = {result.output.source: result for result in built if result.source is op}
    last = [results[tensor] for tensor in op.outputs if tensor is not None]
    copies = {result: Copy.of(result.output) for result in last if not result.writes_region_outputs}
    made = {each.output for each in built}
    read = {tensor for each in built for tensor in each.inputs if tensor not in made}
    inputs = sorted(read, key=lambda tensor: subgraph.inputs.index(tensor.source))
    outputs = tuple(copies[result].output if result in copies else result.output for result in last)
    region = Region((*built, *copies.values()), tuple(inputs), outputs)
    return write_program(plan_region(region), kernels.number)


def _run(program: Program, case: SingleOp) -> list[np.ndarray]:
    with RegionProgram(program.content) as region:
        inputs = [values.reshape(-1, *t.shape) for values, t in zip(case.inputs, region.inputs, strict=True)]
        return region.run(inputs)


def matrix() -> str:
    """docs/region_ops.md."""
    rows = [row for opcode in sorted(OPCODES) for row in _rows(opcode)]
    reasons = sorted({(o, r) for o in OPCODES for k in NAMES for r in _reasons(outcomes(o, k))})
    notes = [f"* {opcode.split(' of ')[0]}: {reason}" for opcode, reason in reasons]
    return "\n".join(
        [_HEAD + rows[0], *rows[1:], "", "Of these, some models stay outside:", "", *dict.fromkeys(notes), ""]
    )


def _rows(opcode: str) -> Iterable[str]:
    types = sorted({outcome.type for kernels in NAMES for outcome in outcomes(opcode, kernels)})
    for type_ in types:
        cells = [_cell([o for o in outcomes(opcode, kernels) if o.type == type_], kernels) for kernels in NAMES]
        yield f"| {opcode.split(' of ')[0]} | {type_.lower()} | {' | '.join(cells)} |"


def _cell(found: list[Outcome], kernels: str) -> str:
    compared = [outcome for outcome in found if outcome.reason is None]
    if not compared:
        return "outside" if found else "-"
    assert not any(outcome.differing for outcome in compared)
    if kernels != "xnnpack":
        return "exact"
    who = {"XNNPACK" if outcome.delegated else "built-in" for outcome in compared}
    return f"exact ({', '.join(sorted(who))})"


def _reasons(found: Iterable[Outcome]) -> set[str]:
    return {outcome.reason for outcome in found if outcome.reason is not None}


if __name__ == "__main__":
    print(matrix(), end="")

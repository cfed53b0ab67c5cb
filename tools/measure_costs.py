"""Measures what ops cost in time, inside a region and outside, and writes the table of this level of instructions.

Usage:
  python tools/without_avx512.py --amx_only python tools/measure_costs.py
  python tools/without_avx512.py python tools/measure_costs.py --cpu_level avx2

Models of one op each, of every kind and many shapes, are made with tests' builders; each op is timed in a region's
program and in the runtime's default interpreter, both on one thread, in turns. Of each kind the costs of its terms
(fmtc_tflite/regions/time_costs.py) are those with the least squares of relative errors, none of them negative. Prints
for each kind how many shapes there were and the errors of the fit: the middle one, and one that nine of ten do not
exceed. Needs the installed package and the repository. Exit codes as those of fmtc-convert.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from fmtc_tflite import load_interpreter, runtime_info
from fmtc_tflite.cli import common
from fmtc_tflite.files import write_all
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.regions.candidates import whole_group
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.regions.kinds import op_builder
from fmtc_tflite.regions.ops import OpRefusedError, RegionOp
from fmtc_tflite.regions.planner import plan_region, write_program
from fmtc_tflite.regions.time_costs import CpuCosts, Terms, by_source, original_kind, original_terms, row_terms
from fmtc_tflite.runtime.region import RegionProgram

_ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT / "tests"))

from known_networks import Network, feature_pyramid, heads, inception_module, mobilenet_v1, unet  # noqa: E402
from single_ops import OPCODES, Maker  # noqa: E402

_OWN_SHAPES = ("CONV_2D", "DEPTHWISE_CONV_2D")  # those of networks rather than any
_CHANNELS = (3, 8, 16, 24, 32, 64, 96, 144, 192, 384, 576)
_SIDES = (4, 7, 8, 14, 16, 28, 32, 56, 112)
_MOST_MACS, _MOST_VALUES = 2e7, 4e5
_NETWORKS = (
    mobilenet_v1(0.25, 96, 1, 2, "INT8"), mobilenet_v1(0.5, 128, dtype="INT8"), mobilenet_v1(0.5, 128),
    inception_module(4), unet(), feature_pyramid(), heads(),
)  # fmt: skip
_RUNS = 12
_BATCH = 64  # items of a run that Python's part in matters little

_Table = dict[str, Terms]

FLAGS = flags.FLAGS
flags.DEFINE_integer("shapes", 16, "Shapes of each op; of convolutions eight times as many.", lower_bound=4)
flags.DEFINE_string("cpu_level", None, "Instructions of our ops, as the variable FMTC_CPU_LEVEL; the best by default.")
flags.DEFINE_string("output", None, "File to write (default: the package's own table of the level).", short_name="o")


class _LargeMaker(Maker):
    """Ops on maps as large as those of networks."""

    def shape(self, most_channels: int = 0, most_side: int = 0) -> tuple[int, int, int, int]:
        channels, side = int(self.rng.choice(_CHANNELS)), int(self.rng.choice(_SIDES))
        while channels * side * side > _MOST_VALUES:
            side //= 2
        return 1, side, side, channels


def _convolution(rng: np.random.Generator, depthwise: bool) -> bytes:
    net = Network(str(rng.choice(("INT8", "UINT8"))))
    while True:
        side, inputs, outputs = int(rng.choice(_SIDES)), int(rng.choice(_CHANNELS)), int(rng.choice(_CHANNELS))
        kernel, stride = int(rng.choice((1, 1, 3, 5))), int(rng.choice((1, 1, 2)))
        macs = side * side * (9 * inputs if depthwise else inputs * outputs * kernel * kernel)
        if macs / stride**2 < _MOST_MACS and side * side * max(inputs, outputs) < _MOST_VALUES:
            break
    x = net.input(side, inputs)
    return net.finish(net.depthwise(x, stride) if depthwise else net.conv(x, outputs, (kernel, kernel), stride))


def _models(shapes: int) -> Iterator[bytes]:
    """One op each."""
    rng = np.random.default_rng(0)
    for number in range(8 * shapes):
        yield _convolution(rng, depthwise=number % 2 == 1)
        yield _convolution(rng, depthwise=False)
    for opcode in OPCODES:
        for seed in range(shapes if opcode not in _OWN_SHAPES else 0):
            yield _LargeMaker(opcode, seed, 1).case().content


@dataclass
class _Case:
    """A model's op in both forms, with the nanoseconds of each run."""

    ops: list[RegionOp]
    program: RegionProgram
    samples: list[np.ndarray]
    interpreter: Any
    traced: list[np.ndarray] = field(default_factory=list)
    original: list[float] = field(default_factory=list)

    def take_turn(self) -> None:
        self.program.run(self.samples)
        self.traced.append(self.program.trace(self.samples).nanoseconds)
        self.interpreter.invoke()
        self.original.append(_nanoseconds(self.interpreter.invoke))


def _nanoseconds(call: Callable[[], object]) -> float:
    start = time.thread_time_ns()
    call()
    return time.thread_time_ns() - start


def _open(content: bytes, samples_of: np.random.Generator) -> _Case | None:
    """None where regions do not compute the op, or the runtime refuses it."""
    model = load_model(content)
    try:
        group = whole_group(model.subgraphs[0], op_builder(KernelSet("xnnpack")))
        if group is None or group.region.inputs == ():
            return None
        interpreter = load_interpreter(model_content=content, num_threads=1, attach_delegate=False)
        interpreter.allocate_tensors()
    except (OpRefusedError, RuntimeError):
        return None
    plan = plan_region(group.region)
    program = RegionProgram(write_program(plan, 0).content)
    samples = [samples_of.integers(0, 100, (1, *t.shape)).astype(t.dtype) for t in program.inputs]
    names = {t.name: sample for t, sample in zip(group.inputs, samples, strict=True)}
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], names[detail["name"]].reshape(detail["shape"]))
    return _Case([op for stage in plan.stages for op in stage.ops], program, samples, interpreter)


def _least_squares(terms: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Costs none of which is negative, of the least sum of squared relative errors: the best of all subsets."""
    relative = terms / times[:, None]
    best, least = np.zeros(terms.shape[1]), float(len(times))
    for count in range(1, terms.shape[1] + 1):
        for chosen in map(list, combinations(range(terms.shape[1]), count)):
            costs = np.linalg.lstsq(relative[:, chosen], np.ones(len(times)), rcond=None)[0]
            error = float(np.sum((relative[:, chosen] @ costs - 1) ** 2))
            if (costs >= 0).all() and error < least * 0.999:
                best, least = np.zeros(terms.shape[1]), error
                best[chosen] = costs
    return best


def _fit(what: str, measured: dict[str, list[tuple[Terms, float]]]) -> _Table:
    table: _Table = {}
    for kind, pairs in sorted(measured.items()):
        terms, times = np.array([t for t, _ in pairs], float), np.array([ns for _, ns in pairs])
        costs = _least_squares(terms, times)
        errors = np.abs(terms @ costs / times - 1)
        middle, high = np.quantile(errors, [0.5, 0.9])
        table[kind] = tuple(costs.tolist())
        common.show(f"{what:8} {kind:28} {len(pairs):4} shapes, errors {middle:4.0%} {high:4.0%}")
    return table


def _tables(cases: list[_Case], call: float) -> tuple[_Table, _Table]:
    """Of what is inside a region, and of the original; what the clock takes in a traced step is taken off.

    Args:
      call: nanoseconds of an interpreter's call, which are taken off, too.
    """
    clock = _clock()
    common.show(f"a traced step {clock:.0f} ns more than one that is not, a call of an interpreter {call:.0f} ns")
    region, original = defaultdict(list), defaultdict(list)
    for case in cases:
        for op, ns in zip(case.ops, _least(case.traced), strict=True):
            region[op.cost_kind].append((row_terms(op, op.step_columns), max(ns / op.steps - clock, clock / 2)))
        own = [op for op in case.ops if op.source is not None]
        original[original_kind(own[0].source)].append((original_terms(own), max(_least(case.original) - call, 1.0)))
    return _fit("region", region), _fit("original", original)


def _factors(tables: tuple[_Table, _Table], call: float) -> tuple[float, float]:
    """Whole networks' times to the sums of their ops' alone, whose weights and maps are at hand in a cache."""
    costs, factors = CpuCosts("", *tables), []
    for content in _NETWORKS:
        case = _open(content, np.random.default_rng(0))
        assert case is not None
        samples, runs, calls = [np.repeat(sample, 4, axis=0) for sample in case.samples], [], []
        for _ in range(_RUNS):
            runs.append(_nanoseconds(partial(case.program.run, samples)) / 4)
            calls.append(_nanoseconds(case.interpreter.invoke) - call)
        region = sum(map(costs.region_ns, case.ops))
        original = sum(map(costs.original_ns, by_source(case.ops)))
        factors.append((_least(runs) / region, _least(calls) / original))
        common.show("network: {:.2f} and {:.2f} of the sums of its ops".format(*factors[-1]))
    region, original = np.exp(np.mean(np.log(factors), axis=0))
    return float(region), float(original)


def _clock() -> float:
    """Nanoseconds that looking at the clock takes in a traced step."""
    net = Network("INT8")
    case = _open(net.finish(net.depthwise(net.input(64, 8))), np.random.default_rng(0))
    assert case is not None
    samples = [np.repeat(sample, _BATCH, axis=0) for sample in case.samples]
    traced = [float(np.sum(case.program.trace(samples).nanoseconds)) for _ in range(_RUNS)]
    run = [_nanoseconds(partial(case.program.run, samples)) for _ in range(_RUNS)]
    return float(_least(traced) - _least(run)) / (_BATCH * sum(op.steps for op in case.ops))


def _least(times: list[Any]) -> Any:
    return np.min(times, axis=0)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    own = dict(line.split(":", 1) for line in lines if ":" in line)
    names = {key.strip(): value.strip() for key, value in own.items()}
    return f"{names['model name']}, family {names['cpu family']}, model {names['model']}"


def main(_arguments: list[str]) -> None:
    """Runs the tool."""
    if FLAGS.cpu_level is not None:
        os.environ["FMTC_CPU_LEVEL"] = FLAGS.cpu_level
    rng, level = np.random.default_rng(1), runtime_info()["cpu_level"]
    cases = [case for content in _models(FLAGS.shapes) if (case := _open(content, rng)) is not None]
    for _ in range(_RUNS):
        for case in cases:
            case.take_turn()
    call = 0.9 * min(float(_least(case.original)) for case in cases)
    tables = _tables(cases, call)
    document: dict[str, Any] = {"measured_on": _processor(), "unit": "nanoseconds of each term, see time_costs.py"}
    for name, table, factor in zip(("region", "original"), tables, _factors(tables, call), strict=True):
        document[name] = {kind: [float(f"{factor * cost:.4g}") for cost in costs] for kind, costs in table.items()}
    output = Path(FLAGS.output or _ROOT / "fmtc_tflite" / "regions" / "cpus" / f"{level}.json")
    write_all([(output, json.dumps(document, indent=1).encode() + b"\n")], True)


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])

"""The program that `robustness.Driver` starts: it loads the package once, and forks for every job read from stdin."""

from __future__ import annotations

import importlib
import json
import os
import select
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import fmtc_tflite
from fmtc_tflite import api
from fmtc_tflite.cli import common
from fmtc_tflite.data.opening import input_specs_from_model
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.errors import FmtcError
from fmtc_tflite.graph.coded_maps import is_converted
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.profiling.options import ProfileOptions
from fmtc_tflite.profiling.outputs import ProfileOutputs
from fmtc_tflite.supervision import supervised
from fmtc_tflite.types import CalibrationOptions, ConvertOptions, EvaluateOptions
from robustness import Job, Outcome

TIMEOUT_SECONDS = 120
_LATE = (
    *(f"fmtc_tflite.conversion.{name}" for name in ("emit_c", "presets")),
    *(f"fmtc_tflite.evaluation.{name}" for name in ("document", "evaluation", "measurement", "signatures")),
    *(f"fmtc_tflite.profiling.{name}" for name in ("html", "model_explorer", "session", "tensor_dumps", "text_report")),
    "fmtc_tflite.regions.restoration",
    "ai_edge_litert.interpreter",
)


def _outputs_of(content: bytes, samples: list[dict[str, Any]]) -> list[bytes]:
    model = load_model(content)
    runner, found = ModelRunner(ModelFile(model, content), num_threads=1), []
    for sample in samples:
        runner.run(sample)
        found += [runner.read(tensor).tobytes() for tensor in model.subgraphs[0].outputs]
    return found


def _lossless(job: Job, execution: Any = "ops", **options: Any) -> None:
    target = Path(job.folder, "converted.tflite")
    options["execution"] = execution
    result = api.convert(job.model, target, options=ConvertOptions(num_threads=1, **options))
    assert result.report["fidelity"]["bit_exact"]
    contents = [api.read_model_file(Path(path)) for path in (job.model, target)]
    samples = list(SyntheticDataset(input_specs_from_model(load_model(contents[0])), 2, job.seed))
    before, after = (_outputs_of(content, samples) for content in contents)
    assert before == after, "the converted model computes something else"


def _calibration(job: Job) -> CalibrationOptions:
    return CalibrationOptions(data=Path(job.data or ""), preprocessing="raw", num_samples=40)


def _convert_data(job: Job) -> None:
    target = Path(job.folder, "converted.tflite")
    options = ConvertOptions(num_threads=1, calibration=_calibration(job), execution="ops")
    api.convert(job.model, target, options=options)


def _restore(job: Job) -> None:
    load_model(api.restore(job.model, Path(job.folder, "restored.tflite")))


def _profile(job: Job, compare: str | None = None, **options: Any) -> None:
    names = {kind: Path(job.folder, f"profile.{kind}") for kind in ("json", "csv", "html")}
    outputs = ProfileOutputs(**names)
    models = (job.model,) if compare is None else (compare, job.model)
    api.profile(*models, options=ProfileOptions(num_threads=1, **options), outputs=outputs)


def _evaluate(job: Job) -> None:
    options = EvaluateOptions(data=Path(job.data or ""), preprocessing="raw", num_samples=3, num_threads=1)
    api.evaluate(job.model, job.original, options=options, json_file=Path(job.folder, "result.json"))


def _delegate(job: Job) -> None:
    """Runs the model as an application would, and with other batches; the runtime may refuse it at any point."""
    rng = np.random.default_rng(job.seed)
    for builtin in (True, False):
        try:
            interpreter = fmtc_tflite.load_interpreter(
                job.model, builtin_kernels_only=builtin, num_threads=int(rng.choice([1, 2, 4]))
            )
            interpreter.allocate_tensors()
            for batch in (None, None, 2, 0, 3, 1):
                if batch is not None:
                    first = interpreter.get_input_details()[0]
                    interpreter.resize_tensor_input(first["index"], [batch, *first["shape"][1:]])
                    interpreter.allocate_tensors()
                for details in interpreter.get_input_details():
                    size = int(np.prod(details["shape"])) * np.dtype(details["dtype"]).itemsize
                    value = np.frombuffer(rng.bytes(size), details["dtype"]).reshape(details["shape"])
                    interpreter.set_tensor(details["index"], value)
                interpreter.invoke()
        except (RuntimeError, ValueError):  # refused; no more is asked than that the process lives
            continue


def _runtime_alone(job: Job) -> None:
    """What the tools run, without them: to tell their crashes from those of the runtime."""
    content = api.read_model_file(Path(job.model))  # repaired, as the tools run it
    model = load_model(content)
    for default_kernels in (False, True):
        try:
            specs = input_specs_from_model(model)
            runner = ModelRunner(ModelFile(model, content), num_threads=1, default_kernels=default_kernels)
            for sample in SyntheticDataset(specs, 24, 0):
                runner.run(sample)
        except FmtcError:
            continue
    assert not is_converted(model), "runs with this package's ops; nothing is told from it"


TOOLS: dict[str, Callable[[Job], object]] = {
    "convert": _lossless,
    "convert_data": _convert_data,
    "convert_lossless_data": lambda job: _lossless(job, lossless=True, calibration=_calibration(job)),
    "convert_regions": lambda job: _lossless(job, "regions", kernels="builtin"),
    "dry_run": lambda job: api.convert(job.model, dry_run=True),
    "restore": _restore,
    "profile": _profile,
    "profile_compare": lambda job: _profile(job, job.original),
    "profile_data": lambda job: _profile(job, data=job.data, preprocessing="raw", num_samples=2),
    "eval": _evaluate,
    "delegate": _delegate,
    "runtime_alone": _runtime_alone,
}


def _work(tool: Callable[[Job], object], job: Job) -> int:
    try:
        tool(job)
    except FmtcError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return common.exit_code(error)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _run(tool: Callable[[Job], object], job: Job) -> Outcome:
    """Runs a job in a child, and there as the command-line tools do."""
    before = set(os.listdir(job.folder))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        code = 1
        try:
            code = supervised(lambda: _work(tool, job))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    os.close(writer)
    output, hung = _read_all(reader)
    if hung:
        os.kill(child, 9)
    status = os.waitpid(child, 0)[1]
    text = output.decode(errors="replace")
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    written = sorted(set(os.listdir(job.folder)) - before)
    return Outcome(None if hung else os.waitstatus_to_exitcode(status), errors, text[-4000:], written)


def _read_all(reader: int) -> tuple[bytes, bool]:
    parts, deadline = [], time.monotonic() + TIMEOUT_SECONDS
    while select.select([reader], [], [], max(deadline - time.monotonic(), 0))[0]:
        part = os.read(reader, 1 << 16)
        if not part:
            os.close(reader)
            return b"".join(parts), False
        parts.append(part)
    return b"".join(parts), True


def _load_package() -> None:
    """Imports here what the tools would, as late as they can, in each child again."""
    for module in _LATE:
        importlib.import_module(module)


def main() -> None:
    _load_package()
    for line in sys.stdin:
        job = Job(**json.loads(line))
        print(json.dumps(asdict(_run(TOOLS[job.tool], job))), flush=True)


if __name__ == "__main__":
    main()

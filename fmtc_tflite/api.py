"""What the command-line tools call: from files to files.

Models run in the process that calls: a TensorFlow Lite runtime that crashes on a damaged model ends it. For files that
nobody vouches for, call these functions in a process of its own, as the command-line tools do.

Each function imports what it alone needs, so that no tool waits for what another one stands on.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmtc_tflite.blas import one_blas_thread
from fmtc_tflite.errors import ModelFormatError, UsageError
from fmtc_tflite.files import beside, check_writable, in_folder, write_all
from fmtc_tflite.graph.model_io import load_model, read_content
from fmtc_tflite.graph.repair import repaired
from fmtc_tflite.runtime.extensions import attached
from fmtc_tflite.supervision import note_model
from fmtc_tflite.types import ConvertOptions, EvaluateOptions

if TYPE_CHECKING:
    from fmtc_tflite.comparison.options import ComparisonOptions
    from fmtc_tflite.conversion.result import ConversionResult
    from fmtc_tflite.profiling.options import ProfileOptions
    from fmtc_tflite.profiling.outputs import ProfileOutputs

_logger = logging.getLogger(__name__)


def default_output(model: Path) -> Path:
    """Where the converted model goes if nothing else is said."""
    return beside(model, f"{model.stem}_fmtc.tflite")


def converted_file(model: str | Path, output: str | Path | None) -> Path:
    """Where the converted model goes: `output`, or into it if it names a folder."""
    default = default_output(Path(model))
    return default if output is None else in_folder(output, default.name)


def convert(
    model: str | Path,
    output: str | Path | None = None,
    report: str | Path | None = None,
    *,
    options: ConvertOptions | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    emit_c: str | Path | None = None,
) -> ConversionResult:
    """Converts a quantized `.tflite` file.

    Args:
      model: the file to convert.
      output: the converted file, or the folder for it; None = `<model>_fmtc.tflite` beside the model.
      report: the JSON report; None = the output's name with `.json`.
      options: what may be done; None = regions for the least memory, bit-exact.
      overwrite: replace existing outputs.
      dry_run: do everything but write.
      emit_c: for the target micro: a folder for the whole model as C source, which runs without an interpreter.

    Returns:
      The converted model's bytes, the report and warnings.

    Raises:
      FmtcError: see fmtc_tflite.errors; nothing has been written then.
    """
    source = Path(model)
    content = read_model_file(source)
    target = converted_file(source, output)
    report_path = Path(report) if report is not None else beside(target, f"{target.stem}.json")
    options = options or ConvertOptions()
    if emit_c is not None and options.target != "micro":
        raise UsageError("--emit_c is for microcontrollers; pass --target micro, too")
    # Once there is a model, for which they are worth their time.
    from fmtc_tflite.conversion.emit_c import bare_program, source_files
    from fmtc_tflite.conversion.presets import convert_content

    bare = None if emit_c is None else bare_program(content, source.stem)
    sources = {} if bare is None or emit_c is None else {Path(emit_c, k): v for k, v in source_files(bare).items()}
    if not dry_run:
        inputs = [source, options.calibration.data, options.calibration.store, options.recipe]
        check_writable([target, report_path, *sources], overwrite, _paths(inputs))
    with attached(options.extensions):
        result = convert_content(content, options)
    document = {**result.report, "model": {"path": str(source), **result.report["model"]}}
    if bare is not None:
        document["micro"] = {**document["micro"], "c_source": bare.report()}
    if not dry_run:
        outputs = [(target, result.content), (report_path, json.dumps(document, indent=1).encode() + b"\n")]
        write_all([*outputs, *sources.items()], overwrite)
    return replace(result, report=document)


def convert_demo(options: ConvertOptions | None = None) -> ConversionResult:
    """Converts the bundled CNN with the bundled calibration samples; writes nothing."""
    from fmtc_tflite.conversion.presets import convert_content

    options = options or ConvertOptions()
    with resources.as_file(resources.files("fmtc_tflite") / "demo") as folder:
        samples = replace(options.calibration, data=folder / "demo_samples.npz")
        return convert_content((folder / "demo_int8.tflite").read_bytes(), replace(options, calibration=samples))


def restore(model: str | Path, output: str | Path | None = None, *, overwrite: bool = False) -> Path:
    """Takes the ops of this package out of a converted model and writes the original graph.

    Args:
      model: the converted file.
      output: a file, or the folder for it; None = `<model>_restored.tflite` beside the model.
      overwrite: replace an existing output.

    Raises:
      UnsupportedModelError: the model is not converted, its transforms are folded into the weights, or it keeps no
        data to restore its regions from.
    """
    from fmtc_tflite.regions.restoration import without_our_ops

    source = Path(model)
    content = read_model_file(source)
    default = beside(source, f"{source.stem}_restored.tflite")
    target = default if output is None else in_folder(output, default.name)
    check_writable([target], overwrite, [source])
    restored = without_our_ops(load_model(content))
    write_all([(target, restored.to_bytes())], overwrite)
    return target


@one_blas_thread()
def evaluate(
    model: str | Path,
    reference: str | Path | None = None,
    *,
    options: EvaluateOptions,
    json_file: str | Path | None = None,
    predictions_file: str | Path | None = None,
    resume_dir: str | Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Measures a model on data, side by side with a reference if there is one.

    Args:
      model: a `.tflite` file, converted or not.
      reference: the model to compare with, usually the one before conversion.
      options: the data, and how to run.
      json_file: where the result is written as JSON; None writes none.
      predictions_file: CSV with a line for each sample; None writes none.
      resume_dir: folder for partial results, from which the same call goes on after an interruption and which is gone
        in the end; None = `<json_file>.partial`, or none kept without `json_file`.
      overwrite: replace existing outputs.

    Returns:
      The result, as in evaluation_schema.json.

    Raises:
      FmtcError: see fmtc_tflite.errors; no output has been written then.
    """
    from fmtc_tflite.evaluation.document import evaluation_report, predictions_csv
    from fmtc_tflite.evaluation.evaluation import Evaluation
    from fmtc_tflite.evaluation.signatures import other_signatures

    if options.beam is not None and resume_dir is not None:
        raise UsageError("--beam has its runner repeat what failed; drop --resume_dir")
    sources = _paths([model, reference])
    contents = [read_model_file(source) for source in sources]
    check_writable(_paths([json_file, predictions_file]), overwrite, [*sources, Path(options.data)])
    with ExitStack() as stack:
        stack.enter_context(attached(options.extensions))
        evaluation = Evaluation(contents[0], contents[1] if reference is not None else None, options)
        partial = None
        if options.beam is not None:
            timing = importlib.import_module("fmtc_tflite.beam").evaluate(evaluation)  # of an extra
        else:
            evaluation.shard_work().try_models()  # before anything is kept of a model that cannot run
            folder = partial_results_folder(json_file, resume_dir)
            partial = stack.enter_context(evaluation.partial_results(folder))
            timing = evaluation.run(partial)
        document = evaluation_report(evaluation, timing, [str(source) for source in sources])
        document |= other_signatures(contents, options)
        outputs = [(json_file, json.dumps(document, indent=1).encode() + b"\n")]
        if predictions_file is not None:
            outputs.append((predictions_file, predictions_csv(evaluation)))
        write_all([(Path(path), content) for path, content in outputs if path is not None], overwrite)
        if partial is not None:
            partial.remove()
    return document


def partial_results_folder(json_file: str | Path | None, resume_dir: str | Path | None) -> Path | None:
    """Where `evaluate` keeps partial results; None if nowhere."""
    if resume_dir is not None:
        return Path(resume_dir)
    return None if json_file is None else beside(Path(json_file), f"{Path(json_file).name}.partial")


@one_blas_thread()
def profile(
    model: str | Path,
    compare: str | Path | None = None,
    *,
    options: ProfileOptions | None = None,
    outputs: ProfileOutputs | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Shows a model's memory traffic, arena and memory energy.

    Args:
      model: a `.tflite` file, quantized or not, converted or not.
      compare: the converted model that was made from `model`; the two are shown side by side.
      options: data, memory system and traffic model; None = no data, and the defaults of ProfileOptions.
      outputs: which files to write; None writes none.
      overwrite: replace existing outputs.

    Returns:
      The profile, as in profile_schema.json.

    Raises:
      FmtcError: see fmtc_tflite.errors; no output has been written then.
    """
    from fmtc_tflite.profiling.options import ProfileOptions
    from fmtc_tflite.profiling.outputs import ProfileOutputs
    from fmtc_tflite.profiling.session import run_profile
    from fmtc_tflite.profiling.tensor_dumps import TensorDumper

    outputs = outputs or ProfileOutputs()
    outputs.check()
    options = options or ProfileOptions()
    sources = _paths([model, compare])
    contents = [(str(source), read_model_file(source)) for source in sources]
    dumper = TensorDumper([content for _, content in contents], options)
    dumped = [outputs.tensor_folder / name for name in dumper.file_names]
    check_writable([*outputs.paths, *dumped], overwrite, [*sources, *_paths([options.data, options.memory_system])])
    with attached(options.extensions):
        document = run_profile(contents, options)
        dumps = dumper.run()
    if dumps:
        document["dumps"] = [dump.to_dict() for dump in dumps]
    values = [(outputs.tensor_folder / name, content) for dump in dumps for name, content in dump.files]
    write_all([*outputs.render(document), *values], overwrite)
    return document


def compare_profiles(
    before: str | Path, after: str | Path, *, json_file: str | Path | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Compares two profiles that `profile` wrote as JSON, figure by figure.

    Args:
      json_file: where the changes are written as JSON; None writes none.
      overwrite: replace an existing output.

    Returns:
      See fmtc_tflite.profiling.changes.profile_changes.

    Raises:
      UsageError: a file is no profile, or the two do not compare.
    """
    from fmtc_tflite.profiling.changes import profile_changes

    outputs = _paths([json_file])
    check_writable(outputs, overwrite, [Path(before), Path(after)])
    document = profile_changes(Path(before), Path(after))
    write_all([(path, json.dumps(document, indent=1).encode() + b"\n") for path in outputs], overwrite)
    return document


@one_blas_thread()
def compare_codecs(
    model: str | Path, output: str | Path, *, options: ComparisonOptions, overwrite: bool = False
) -> tuple[dict[str, Any], list[Path]]:
    """Compares this codec, the paper's scheme and lossless peers on one model.

    Args:
      model: a quantized `.tflite` file.
      output: name of the outputs without .json, .csv and .png. Finished points are kept in `<output>.partial` until all
        is written, and the same call goes on from there after an interruption.
      options: the data, and what to run.
      overwrite: replace existing outputs.

    Returns:
      The comparison, and the files that were written.

    Raises:
      FmtcError: see fmtc_tflite.errors; no output has been written then.
    """
    from fmtc_tflite.comparison.outputs import comparison_csv, draw_comparison
    from fmtc_tflite.comparison.sweep import remove_kept, run_comparison
    from fmtc_tflite.rendering import check_available

    check_available()
    source = Path(model)
    json_file, csv_file, picture = (Path(f"{output}.{kind}") for kind in ("json", "csv", "png"))
    content = read_model_file(source)
    inputs = [source, *_paths([options.calibration.data, options.evaluation.data])]
    check_writable([json_file, csv_file, picture], overwrite, inputs)
    keep = comparison_folder(output)
    document = run_comparison(content, str(source), options, keep)
    outputs = [
        (json_file, json.dumps(document, indent=1).encode() + b"\n"),
        (csv_file, comparison_csv(document)),
        (picture, draw_comparison(document)),
    ]
    write_all(outputs, overwrite)
    remove_kept(keep)
    return document, [path for path, _ in outputs]


def comparison_folder(output: str | Path) -> Path:
    """Where `compare_codecs` keeps finished points."""
    return Path(f"{output}.partial")


def read_model_file(path: Path) -> bytes:
    """The bytes of a model file, with fields put right that are wrong without a meaning; a warning says so.

    Raises:
      ModelFormatError: missing, a folder, unreadable, or no TFLite model.
    """
    note_model(str(path))
    try:
        content, repairs = repaired(read_content(path))
    except ModelFormatError as e:
        raise ModelFormatError(f"{path}: {e}") from e
    except OSError as e:
        raise ModelFormatError(f"cannot read the model {path}: {e.strerror}; check the path") from e
    for line in repairs:
        _logger.warning("%s: %s; repaired, here and in what is written", path, line)
    return content


def _paths(values: Iterable[str | Path | None]) -> list[Path]:
    return [Path(value) for value in values if value is not None]

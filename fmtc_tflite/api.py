"""What the command-line tools call: conversions from file to file."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

from fmtc_tflite.conversion.pipeline import Conversion, ConversionResult
from fmtc_tflite.errors import ModelFormatError, UsageError
from fmtc_tflite.files import check_writable, write_all
from fmtc_tflite.graph import rewrite
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.types import ConvertOptions


def default_output(model: Path) -> Path:
    """Where the converted model goes if nothing else is said."""
    return model.with_name(f"{model.stem}_fmtc.tflite")


def convert(
    model: str | Path,
    output: str | Path | None = None,
    report: str | Path | None = None,
    *,
    options: ConvertOptions | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> ConversionResult:
    """Converts a quantized `.tflite` file.

    Args:
      model: the file to convert.
      output: the converted file; None = `<model>_fmtc.tflite` beside the model.
      report: the JSON report; None = the output's name with `.json`.
      options: what may be done; None = lossless, with built-in synthetic calibration inputs.
      overwrite: replace existing outputs.
      dry_run: do everything but write.

    Returns:
      The converted model's bytes, the report and warnings.

    Raises:
      FmtcError: see fmtc_tflite.errors; nothing has been written then.
    """
    source = Path(model)
    target = Path(output) if output is not None else default_output(source)
    report_path = Path(report) if report is not None else target.with_suffix(".json")
    if not dry_run:
        _check_targets(source, [target, report_path], overwrite)
    result = Conversion(read_model_file(source), options or ConvertOptions()).run()
    document = {**result.report, "model": {"path": str(source), **result.report["model"]}}
    if not dry_run:
        write_all([(target, result.content), (report_path, json.dumps(document, indent=1).encode() + b"\n")])
    return replace(result, report=document)


def convert_demo(options: ConvertOptions | None = None) -> ConversionResult:
    """Converts the bundled CNN with the bundled calibration samples; writes nothing."""
    options = options or ConvertOptions()
    with resources.as_file(resources.files("fmtc_tflite") / "demo") as folder:
        samples = replace(options.calibration, data=folder / "demo_samples.npz")
        return Conversion((folder / "demo_int8.tflite").read_bytes(), replace(options, calibration=samples)).run()


def restore(model: str | Path, output: str | Path | None = None, *, overwrite: bool = False) -> Path:
    """Takes encode and decode ops out of a converted model and writes the original graph.

    Args:
      model: the converted file.
      output: None = `<model>_restored.tflite` beside it.
      overwrite: replace an existing output.

    Raises:
      UnsupportedModelError: the model is not converted, or its transforms are folded into the weights.
    """
    source = Path(model)
    target = Path(output) if output is not None else source.with_name(f"{source.stem}_restored.tflite")
    _check_targets(source, [target], overwrite)
    restored = load_model(read_model_file(source))
    rewrite.restore(restored)
    write_all([(target, restored.to_bytes())])
    return target


def read_model_file(path: Path) -> bytes:
    """The bytes of a model file.

    Raises:
      ModelFormatError: missing, a folder, or unreadable.
    """
    try:
        return path.read_bytes()
    except OSError as e:
        raise ModelFormatError(f"cannot read the model {path}: {e.strerror}; check the path") from e


def _check_targets(source: Path, targets: list[Path], overwrite: bool) -> None:
    if source.resolve() in [t.resolve() for t in targets]:
        raise UsageError(f"the output would replace the model {source} itself; choose another --output or --report")
    check_writable(targets, overwrite)

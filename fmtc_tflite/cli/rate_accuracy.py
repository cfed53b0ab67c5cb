"""Compares codecs on one model: bits per value against accuracy and against the divergence of the output.

Usage:
  python tools/rate_accuracy.py M.tflite --calibration_data DATA --data LABELLED_DATA --output RESULT

Converts the model losslessly, for each bound of --max_kl, and with the paper's scheme (arXiv 1905.10830) for each of
--paper_bits; evaluates every conversion on --data, beside the original; and codes the same raw feature maps with zstd
-19 (where the package zstandard is installed), zero-value compression and zero run-length coding. Writes RESULT.json,
RESULT.csv and RESULT.png, and prints the tables. Conversions build on --calibration_data alone; what is reported was
measured on --data. At equal loss, the paper's curve is interpolated linearly in the loss's logarithm, never
extrapolated. --ablation adds conversions without one part each: prediction, contexts, steps per channel, KLT, folding,
allocation, copies that are stored nowhere.

An interrupted run goes on where it was when the same command is given again: finished points are kept in
RESULT.partial. Exit codes: 0 done, 1 internal or I/O error, 2 usage or bad input, 4 values that are not finite, 5
native library or runtime missing, 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from absl import flags

from fmtc_tflite import api
from fmtc_tflite.cli import common, data_flags
from fmtc_tflite.comparison.options import ComparisonOptions
from fmtc_tflite.comparison.outputs import format_comparison
from fmtc_tflite.errors import UsageError
from fmtc_tflite.types import DEFAULT_MAX_KL, CalibrationOptions, EvaluateOptions

FLAGS = flags.FLAGS

flags.DEFINE_string("model_file", None, "The quantized .tflite file, if it is not the positional argument.")
flags.DEFINE_string("calibration_data", None, "What conversions build on: folder of images, CSV, .npz or .npy.")
flags.DEFINE_string("data", None, "What everything is measured on: folder of images, CSV 'file,label', .npz, ...")
flags.DEFINE_string("output", None, "Name of the outputs, without .json, .csv and .png.", short_name="o")
data_flags.define()
flags.DEFINE_list("max_kl", ["0.005", "0.02", "0.05"], "Bounds for this codec's conversions.")
flags.DEFINE_list("paper_bits", ["5", "6", "7", "8", "9", "10"], "Bits of the main component for the paper's scheme.")
flags.DEFINE_bool("ablation", False, "Also convert with single features switched off, at --ablation_max_kl.")
flags.DEFINE_float("ablation_max_kl", DEFAULT_MAX_KL, "Bound for --ablation.")
flags.DEFINE_integer(
    "num_samples", 0, "Measure on this many samples: the first, or with --seed random ones; 0 for all."
)
flags.DEFINE_integer("seed", None, "Choose the --num_samples samples at random with this seed.", lower_bound=0)
flags.DEFINE_integer(
    "num_calibration_samples", 512, "Use at most this many calibration samples, chosen at random; 0 for all."
)
flags.DEFINE_integer("peer_samples", 16, "Samples whose raw feature maps the peers code.", lower_bound=1)
flags.DEFINE_integer("label_offset", None, "Added to each label (default 0).")
flags.DEFINE_enum(
    "output_kind", "auto", ["auto", "logits", "probabilities"], "What the output is, if not reached from a SOFTMAX."
)
flags.DEFINE_integer("num_workers", 1, "Processes that share the points.", lower_bound=1)
flags.DEFINE_integer("num_threads", None, "Threads of each process's interpreters.", lower_bound=1)
flags.DEFINE_bool("overwrite", False, "Replace existing outputs.")


def _numbers(name: str) -> tuple[float, ...]:
    try:
        return tuple(float(text) for text in FLAGS[name].value)
    except ValueError as e:
        raise UsageError(f"--{name} {','.join(FLAGS[name].value)}: expected numbers separated by commas") from e


def _options() -> ComparisonOptions:
    shared: dict[str, Any] = data_flags.values()
    calibration = {**shared, "num_samples": FLAGS.num_calibration_samples or None, "seed": 0}
    return ComparisonOptions(
        CalibrationOptions(data=Path(FLAGS.calibration_data), **calibration),
        EvaluateOptions(
            data=FLAGS.data,
            **shared,
            label_offset=FLAGS.label_offset,
            output_kind=FLAGS.output_kind,
            num_workers=FLAGS.num_workers,
            num_threads=FLAGS.num_threads,
        ),
        max_kl=_numbers("max_kl"),
        paper_bits=_numbers("paper_bits"),
        ablation=FLAGS.ablation,
        ablation_max_kl=FLAGS.ablation_max_kl,
        peer_samples=FLAGS.peer_samples,
    )


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    models = [*([FLAGS.model_file] if FLAGS.model_file else []), *arguments]
    missing = [f"--{name}" for name in ("calibration_data", "data", "output") if not FLAGS[name].value]
    if missing or len(models) != 1:
        got = f"models: {', '.join(models) or 'none'}" + (f"; {' and '.join(missing)} not given" if missing else "")
        raise UsageError(f"expected one MODEL.tflite, --calibration_data, --data and --output, got {got}; see --help")
    document, paths = api.compare_codecs(models[0], FLAGS.output, options=_options(), overwrite=FLAGS.overwrite)
    common.show(format_comparison(document))
    for path in paths:
        common.show(f"written         {path}")


def console_main() -> None:
    """Entry point of the tool."""
    common.run(main, sys.modules[__name__])


if __name__ == "__main__":
    console_main()

"""Compresses the feature maps inside a quantized TensorFlow Lite model.

Usage:
  fmtc-convert MODEL.tflite                                    regions: the least memory, bit-exact
  fmtc-convert MODEL.tflite --execution ops                    codes feature maps, lossless
  fmtc-convert MODEL.tflite --max_kl 0.02 --calibration_data FOLDER
                                                               codes them lossy, within that of the original's output
  fmtc-convert MODEL.tflite --execution regions --objective traffic --max_kl 0.02 --calibration_data FOLDER
                                                               regions whose stored tensors are coded so
  fmtc-convert --restore CONVERTED.tflite                      the original graph again
  fmtc-convert --demo                                          a small bundled network

Writes MODEL_fmtc.tflite and the report MODEL_fmtc.json beside the model, and a table to stdout. Exit codes: 0 done,
1 internal or I/O error, 2 usage or bad input, 3 nothing to do, constraint unreachable or a figure that --fail_if
forbids, 4 verification failed, 5 native library or runtime missing, 130 interrupted. An error's line says what was
written, if anything was.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from fmtc_tflite import api
from fmtc_tflite.cli import common, data_flags, fail_if
from fmtc_tflite.conversion.execution import with_execution
from fmtc_tflite.errors import UsageError
from fmtc_tflite.regions.time_costs import known_cpus
from fmtc_tflite.types import (
    DEFAULT_CPU,
    DEFAULT_MAX_ARENA,
    DEFAULT_MAX_EXTRA_MACS,
    DEFAULT_MAX_EXTRA_TIME,
    DEFAULT_MAX_KL,
    DEFAULT_PAPER_BITS,
    DISABLED_PARTS,
    CalibrationOptions,
    ConvertOptions,
)

if TYPE_CHECKING:
    from fmtc_tflite.conversion.result import ConversionResult

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "calibration_data",
    None,
    "Real inputs: a folder of images, a CSV 'file,label', or .npz or .npy arrays. --data is the same.",
)
flags.DEFINE_alias("data", "calibration_data")
data_flags.define()
data_flags.define_model()
data_flags.define_beam()
flags.DEFINE_integer(
    "num_samples", 512, "Use at most this many calibration samples, chosen at random; 0 for all.", lower_bound=0
)
flags.DEFINE_integer("seed", 0, "Seed of all random choices.")
flags.DEFINE_string(
    "calibration_store",
    None,
    "File (.npz) that keeps what is measured on the calibration samples: what is in it is not measured again, by "
    "another conversion of the model with these data or after an interruption.",
)
flags.DEFINE_bool("lossless", False, "Keep every bit of every output (always so without --calibration_data).")
flags.DEFINE_float(
    "max_kl",
    None,
    f"Largest mean KL divergence in nats between original and converted output on held-back samples ({DEFAULT_MAX_KL} "
    "if nothing else is asked for); for outputs that are no class scores, the measure that the report names.",
)
flags.DEFINE_float("max_bits_per_value", None, "Largest mean coded size in bits per value, instead of --max_kl.")
flags.DEFINE_float(
    "max_accuracy_drop",
    None,
    "Largest fall of top-1 (0.01 is one point) on labelled held-back samples, its standard error included, instead of "
    "--max_kl. Needs labels in --calibration_data.",
)
flags.DEFINE_integer("label_offset", None, "Added to each label (1 for models with a background class 0; default: 0).")
flags.DEFINE_float(
    "capacity_percentile",
    None,
    "Make the coded tensors of lossy maps as large as this percentile (0 to 100] of the sizes on the samples, times "
    "the margin; what does not fit is coded coarser. Default: as large as is always enough.",
)
flags.DEFINE_float("capacity_margin", None, "Margin for --capacity_percentile (default: 1.1; percentile 100).")
flags.DEFINE_bool(
    "refit",
    False,
    "Fit int8 weights of convolutions anew to the lossy maps that they read, where cross-validation shows that outputs "
    "come nearer to the original's. Changes weights: --restore does not give the original back.",
)
flags.DEFINE_enum(
    "objective",
    None,
    ["traffic", "arena"],
    "traffic codes every feature map that gets smaller, with --execution regions those between stages, so that the "
    "fewest bytes are stored; arena lowers the planned peak memory, with regions or, where maps are coded, with those "
    "maps that lower it (default: arena for regions, traffic for ops).",
)
flags.DEFINE_enum(
    "execution",
    "auto",
    ["auto", "ops", "regions"],
    "regions puts one op in the place of a group of ops, for the least peak memory, bit-exact unless --objective "
    "traffic and a bound let what it stores lose something (a CPU then needs no "
    "more than a few rows of most maps); ops puts FMTC_ENCODE and FMTC_DECODE around feature maps, for the least "
    "traffic; auto is regions without ops that would make them clearly slower, unless an option asks for traffic or "
    "loss.",
)
flags.DEFINE_enum(
    "target",
    "tflite",
    ["tflite", "micro"],
    "For regions: whose interpreter runs the model. micro is TensorFlow Lite Micro (docs/microcontrollers.md): planned "
    "for its arena, with its rounding, and with nothing in the file that --restore would need.",
)
flags.DEFINE_enum(
    "kernels",
    "auto",
    ["auto", "xnnpack", "builtin", "reference"],
    "For regions and folded maps: whose results to equal; auto is what the runtime uses by default.",
)
flags.DEFINE_string(
    "runtime",
    None,
    "For regions: ai_edge_litert, tflite_runtime or tensorflow, whose kernels are meant (default: the "
    "first of them that is installed).",
)
flags.DEFINE_float(
    "max_extra_macs",
    None,
    "For regions: the share of the network's multiply-adds that may be computed twice, in column strips, "
    f"where that saves memory (0 to 1; default: {DEFAULT_MAX_EXTRA_MACS:g}).",
)
flags.DEFINE_float(
    "max_extra_time",
    None,
    "For regions: the share of their time that column strips may add, as it is predicted for --cpu (0 to 1; "
    f"default: {DEFAULT_MAX_EXTRA_TIME:g}, or 1 where --max_extra_macs is given).",
)
flags.DEFINE_float(
    "max_arena",
    None,
    "For regions with --objective traffic: how many times the arena of --objective arena they may need (at least 1; "
    f"default: {DEFAULT_MAX_ARENA:g}).",
)
flags.DEFINE_enum(
    "cpu",
    None,
    known_cpus(),
    "For regions: the instructions for which times are predicted; nothing is timed, and the machine at hand does not "
    f"matter (default: {DEFAULT_CPU}).",
)
flags.DEFINE_enum(
    "preset",
    "default",
    ["default", "paper"],
    "paper is the scheme of arXiv 1905.10830 (one KLT, step and table per feature map), to compare with, not to use.",
)
flags.DEFINE_float(
    "paper_bits",
    None,
    f"With --preset paper: bits for the range of a map's main component (default: {DEFAULT_PAPER_BITS:g}).",
)
flags.DEFINE_string(
    "include",
    None,
    "Code only these feature maps (for regions: fuse only these ops): op:17,20-25, type:CONV_2D, "
    "shape:112x112x* or a regular expression on tensor names; several, with spaces between, must all be true.",
)
flags.DEFINE_string("exclude", None, "Leave these feature maps or ops alone; in the form of --include.")
flags.DEFINE_string(
    "recipe",
    None,
    "JSON file that says what to do with which feature map, or for regions what is stored and what stays "
    "outside; its form: docs/recipes.md.",
)
flags.DEFINE_enum(
    "output_kind",
    "auto",
    ["auto", "logits", "probabilities", "labels", "values"],
    "What the model's output is, where it is not reached from a SOFTMAX; for the fidelity measure.",
)
flags.DEFINE_list(
    "disable",
    [],
    f"Parts of the codec to leave out, of {','.join(DISABLED_PARTS)}: for its small core on microcontrollers "
    "klt,folding,copies,contexts; others to see what they bring.",
)
flags.DEFINE_string(
    "output",
    None,
    "Converted model, or with a slash at its end the folder for it (default: MODEL_fmtc.tflite beside the model).",
    short_name="o",
)
flags.DEFINE_string("report", None, "File for the report as JSON (default: the output's name with .json).")
flags.DEFINE_bool("overwrite", False, "Replace existing outputs.")
flags.DEFINE_bool("dry_run", False, "Do everything but write; prints the table and every skipped feature map.")
flags.DEFINE_string("json", None, "The same as --report; - or nothing is stdout, in the place of the table.")
flags.DEFINE_integer(
    "num_threads",
    None,
    "How many threads run the model, where maps are coded in as many interpreters as memory allows (default: one for "
    "each processor). The results are the same.",
    lower_bound=1,
)
flags.DEFINE_string("restore", None, "Takes the ops out of this converted model again.")
flags.DEFINE_string(
    "emit_c",
    None,
    "With --target micro: folder for the whole model as C source that runs without an interpreter, its input row by "
    "row: program, executor, an example and a CMake file.",
)
flags.DEFINE_bool("demo", False, "Converts a small bundled network in all ways and measures it; writes nothing.")
fail_if.define()

FLAG_GROUPS = (
    ("Most used", ("output", "overwrite", "dry_run", "execution", "calibration_data", "max_kl", "restore", "demo")),
    (
        "Bounds on coded feature maps",
        (
            *("lossless", "max_bits_per_value", "max_accuracy_drop", "capacity_percentile", "capacity_margin"),
            *("output_kind", "refit", "preset", "paper_bits", "disable"),
        ),
    ),
    ("Regions", ("target", "emit_c", "kernels", "runtime", "cpu", "max_arena", "max_extra_macs", "max_extra_time")),
    ("What is converted", ("objective", "include", "exclude", "recipe")),
    (
        "Calibration data",
        (
            *data_flags.PREPROCESSING,
            *("num_samples", "seed", "label_offset", "calibration_store", "beam", "beam_timeout"),
        ),
    ),
    ("The model", data_flags.MODEL),
    ("Reports and limits", ("report", "json", "fail_if", "num_threads")),
)


def _options() -> ConvertOptions:
    return ConvertOptions(
        calibration=CalibrationOptions(
            data=Path(FLAGS.calibration_data) if FLAGS.calibration_data is not None else None,
            store=Path(FLAGS.calibration_store) if FLAGS.calibration_store is not None else None,
            beam=data_flags.beam_options(),
            beam_timeout=FLAGS.beam_timeout,
            **data_flags.values(),
        ),
        lossless=FLAGS.lossless,
        max_kl=FLAGS.max_kl,
        max_bits_per_value=FLAGS.max_bits_per_value,
        max_accuracy_drop=FLAGS.max_accuracy_drop,
        label_offset=FLAGS.label_offset,
        capacity_percentile=FLAGS.capacity_percentile,
        capacity_margin=FLAGS.capacity_margin,
        objective=FLAGS.objective,
        include=FLAGS.include,
        exclude=FLAGS.exclude,
        recipe=Path(FLAGS.recipe) if FLAGS.recipe is not None else None,
        output_kind=FLAGS.output_kind,
        num_threads=FLAGS.num_threads,
        disable=frozenset(FLAGS.disable),
        refit=FLAGS.refit,
        preset=FLAGS.preset,
        paper_bits=FLAGS.paper_bits,
        execution=FLAGS.execution,
        target=FLAGS.target,
        kernels=FLAGS.kernels,
        runtime=FLAGS.runtime,
        extensions=data_flags.extensions(),
        max_extra_macs=FLAGS.max_extra_macs,
        max_extra_time=FLAGS.max_extra_time,
        cpu=FLAGS.cpu,
        max_arena=FLAGS.max_arena,
        input_shapes=data_flags.input_shapes(),
    )


def _show(result: ConversionResult, options: ConvertOptions, target: str | None) -> None:
    # What a wrong command line need not wait for.
    from fmtc_tflite.conversion.region_document import format_region_report
    from fmtc_tflite.conversion.text_report import format_report

    for warning in result.warnings:
        common.warn(warning)
    if FLAGS.json == "-":
        common.show(json.dumps(result.report, indent=1))
        return
    if result.report.get("execution") == "regions":
        common.show(format_region_report(result.report))
        if result.verdict:
            common.show(f"lossy           {result.verdict}")
    else:
        common.show(format_report(result.report, result.op_labels, all_rows=FLAGS.dry_run))
        _explain(result, options)
    if target is not None:
        common.show(f"written         {target}")


def _demo(options: ConvertOptions) -> None:
    """Both kinds of conversion beside the original, unless the options ask for one of them."""
    if options.execution != "auto" or with_execution(options).execution == "ops":
        _show(api.convert_demo(options), options, None)
        return
    from fmtc_tflite.conversion.region_document import format_region_report
    from fmtc_tflite.demonstration import demonstrate, format_figures  # which needs much that conversions do not

    demonstration = demonstrate(options)
    if FLAGS.json == "-":
        common.show(json.dumps(demonstration.document(), indent=1))
        return
    regions = demonstration.conversions["regions"].report
    common.show(f"{format_region_report(regions)}\n\n{format_figures(demonstration)}")


def _explain(result: ConversionResult, options: ConvertOptions) -> None:
    if result.report["data"] == "synthetic":
        common.show("tables          from synthetic inputs; --calibration_data with real inputs brings a better rate")
    elif options.preset == "paper":
        common.show("preset          paper: to compare with; the loss is measured, not bounded")
    elif result.verdict:
        common.show(f"lossy           {result.verdict}")


def _check_mode(arguments: list[str]) -> None:
    modes = {"MODEL.tflite": bool(arguments), "--restore": FLAGS.restore is not None, "--demo": FLAGS.demo}
    given = [name for name, present in modes.items() if present]
    if len(given) != 1 or len(arguments) > 1:
        raise UsageError(
            f"expected exactly one of {', '.join(modes)}, got {', '.join([*given, *arguments]) or 'none'}; see --help"
        )
    if FLAGS.report and common.json_file():
        raise UsageError("--report and --json name the report both; drop one")
    if FLAGS.demo and (FLAGS.calibration_data or FLAGS.output or FLAGS.report or common.json_file()):
        raise UsageError(
            "--demo brings its own samples and writes nothing; drop --calibration_data, --output and --report"
        )


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    _check_mode(arguments)
    fail_if.parse()
    if FLAGS.restore is not None:
        restored = api.restore(FLAGS.restore, FLAGS.output, overwrite=FLAGS.overwrite)
        common.show(f"written         {restored}")
        return
    options = _options()
    if FLAGS.demo:
        _demo(options)
        return
    result = api.convert(
        arguments[0],
        FLAGS.output,
        FLAGS.report or common.json_file(),
        options=options,
        overwrite=FLAGS.overwrite,
        dry_run=FLAGS.dry_run,
        emit_c=FLAGS.emit_c,
    )
    _show(result, options, None if FLAGS.dry_run else str(api.converted_file(arguments[0], FLAGS.output)))
    fail_if.check(result.report)


def console_main() -> None:
    """Entry point of the installed script."""
    common.run(main, sys.modules[__name__])


if __name__ == "__main__":
    console_main()

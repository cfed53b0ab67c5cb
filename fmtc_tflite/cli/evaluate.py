"""Measures the accuracy of a TensorFlow Lite model, converted or not, beside a reference model if one is given.

Usage:
  fmtc-eval M_fmtc.tflite --reference M.tflite --data DATA [--json RESULT.json]
  fmtc-eval M.tflite --data DATA

DATA is a folder of images (with a subfolder for each class: labels are the subfolders' places in sorted order), a CSV
'file,label' (a label is a number, or for segmentation an image file of class numbers), an .npz with x and labels y, an
.npy, or tfds:NAME[SPLIT] with TensorFlow Datasets installed. One pass over it gives top-1 and top-5 or mean IoU of both
models, their paired difference with its standard error and McNemar's exact p-value, KL divergence, agreement, SQNR of
the outputs, coded bits per value, and the latency of both. Models run with the runtime's default kernels.

With --json, an interrupted run goes on where it was when the same command is given again. Exit codes: 0 done, 1
internal or I/O error (also a worker that died twice), 2 usage or bad input, 3 a figure that --fail_if forbids, 4 values
that are not finite, 5 native library or runtime missing, 130 interrupted.
"""

from __future__ import annotations

import sys

from absl import flags

from fmtc_tflite import api
from fmtc_tflite.cli import common, data_flags, fail_if
from fmtc_tflite.errors import UsageError
from fmtc_tflite.evaluation.text_report import format_evaluation
from fmtc_tflite.types import EvaluateOptions

FLAGS = flags.FLAGS

flags.DEFINE_string("model_file", None, "The .tflite file to measure, if it is not the positional argument.")
flags.DEFINE_string(
    "reference",
    None,
    "A .tflite file to compare with, usually the one before conversion. --reference_model_file is the same.",
)
flags.DEFINE_alias("reference_model_file", "reference")
flags.DEFINE_string(
    "data", None, "Folder of images, CSV 'file,label', tar, TFRecord, Parquet, .npz, .npy or tfds:NAME[SPLIT]."
)
data_flags.define()
data_flags.define_model()
data_flags.define_beam()
flags.DEFINE_integer(
    "label_offset",
    None,
    "Added to each label (default 0): 1 for an ImageNet model whose class 0 is the background.",
)
flags.DEFINE_enum(
    "output_kind",
    "auto",
    ["auto", "logits", "probabilities"],
    "What the models' output is, where it is not reached from a SOFTMAX; for KL and agreement.",
)
flags.DEFINE_integer(
    "num_samples", 0, "Use this many samples: the first, or with --seed random ones; 0 for all.", lower_bound=0
)
flags.DEFINE_integer("seed", None, "Choose the --num_samples samples at random with this seed.", lower_bound=0)
flags.DEFINE_integer("num_workers", 1, "Processes that share the samples; results do not depend on it.", lower_bound=1)
flags.DEFINE_integer(
    "num_threads", None, "Threads of each process's interpreters (default: the runtime's own choice).", lower_bound=1
)
flags.DEFINE_string(
    "runtime", None, "ai_edge_litert, tflite_runtime or tensorflow (default: the first of them that is installed)."
)
flags.DEFINE_string(
    "json", None, "File for the result as JSON; - is stdout, in the place of the table.", short_name="o"
)
flags.DEFINE_string("predictions_csv", None, "File for a table with a line for each sample.")
flags.DEFINE_string(
    "resume_dir",
    None,
    "Folder for partial results until the run is finished (default: the --json file's name.partial).",
)
flags.DEFINE_bool("overwrite", False, "Replace existing outputs.")
fail_if.define()

FLAG_GROUPS = (
    ("Most used", ("reference", "data", "json", "predictions_csv", "overwrite")),
    ("Data", (*data_flags.PREPROCESSING, "label_offset", "num_samples", "seed")),
    ("How it runs", ("num_workers", "num_threads", "runtime", "resume_dir", "beam", "beam_timeout")),
    ("The model", ("model_file", *data_flags.MODEL, "output_kind")),
    ("Limits", ("fail_if",)),
)


def _options() -> EvaluateOptions:
    return EvaluateOptions(
        data=FLAGS.data,
        **data_flags.values(),
        beam=data_flags.beam_options(),
        beam_timeout=FLAGS.beam_timeout,
        label_offset=FLAGS.label_offset,
        output_kind=FLAGS.output_kind,
        num_workers=FLAGS.num_workers,
        num_threads=FLAGS.num_threads,
        runtime=FLAGS.runtime,
        extensions=data_flags.extensions(),
        input_shapes=data_flags.input_shapes(),
    )


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    models = [*([FLAGS.model_file] if FLAGS.model_file else []), *arguments]
    if len(models) != 1 or not FLAGS.data:
        got = f"models: {', '.join(models) or 'none'}" + ("" if FLAGS.data else "; --data not given")
        raise UsageError(f"expected one MODEL.tflite and --data, got {got}; see --help")
    fail_if.parse()
    document = api.evaluate(
        models[0],
        FLAGS.reference,
        options=_options(),
        json_file=common.json_file(),
        predictions_file=FLAGS.predictions_csv,
        resume_dir=FLAGS.resume_dir,
        overwrite=FLAGS.overwrite,
    )
    common.show_document(document, format_evaluation, [common.json_file(), FLAGS.predictions_csv])
    fail_if.check(document)


def console_main() -> None:
    """Entry point of the installed script."""
    common.run(main, sys.modules[__name__])


if __name__ == "__main__":
    console_main()

"""Shows where a TensorFlow Lite model's memory traffic, its arena and its memory energy go.

Usage:
  fmtc-profile MODEL.tflite                                     from the file alone
  fmtc-profile MODEL.tflite --compare MODEL_fmtc.tflite         original and converted model side by side
  fmtc-profile MODEL_fmtc.tflite --data FOLDER                  coded sizes measured on data, with baselines
  fmtc-profile MODEL.tflite --html REPORT.html --json PROFILE.json
  fmtc-profile BEFORE.json --compare AFTER.json                 two profiles that --json wrote, figure by figure
  fmtc-profile MODEL.tflite --compare MODEL_fmtc.tflite --tensor NAME     values of a tensor in both, as .npy

Any .tflite works, quantized or not, converted or not. Without --data, coded sizes come from the model's metadata.
Energies are estimates: traffic times the energy per bit that --memory_system names. as_executed is the traffic of the
graph as TFLite runs it, where inserted ops cost extra; fused_codec is that of hardware or kernels with the codec at
the memory port. docs/profiler.md says what each number counts. Exit codes: 0 done, 1 internal or I/O error, 2 usage or
bad input, 3 a figure that --fail_if forbids, 5 native library or runtime missing, 130 interrupted. An error's line says
what was written, if anything was.
"""

from __future__ import annotations

import sys

from absl import flags

from fmtc_tflite import api
from fmtc_tflite.cli import common, data_flags, fail_if
from fmtc_tflite.errors import UsageError
from fmtc_tflite.memory.memory_system import DEFAULT_MEMORY_SYSTEM, known_memory_systems
from fmtc_tflite.memory.traffic import TRAFFIC_MODELS
from fmtc_tflite.profiling.changes import format_changes, is_profile_name
from fmtc_tflite.profiling.options import DEFAULT_SAMPLES, ProfileOptions
from fmtc_tflite.profiling.outputs import ProfileOutputs
from fmtc_tflite.profiling.rates import DEFAULT_MACS_PER_CYCLE
from fmtc_tflite.types import DEFAULT_PAPER_BITS

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "compare", None, "The converted model that was made from MODEL.tflite; or a profile as JSON beside another."
)
flags.DEFINE_string("data", None, "Folder of images, CSV, .npz or .npy to measure coded sizes and baselines on.")
data_flags.define()
data_flags.define_model()
flags.DEFINE_integer(
    "num_samples",
    DEFAULT_SAMPLES,
    "Use this many samples: the first, or with --seed random ones; 0 for all.",
    lower_bound=0,
)
flags.DEFINE_integer("seed", None, "Choose the --num_samples samples at random with this seed.", lower_bound=0)
flags.DEFINE_string(
    "memory_system", DEFAULT_MEMORY_SYSTEM, f"{', '.join(known_memory_systems())}, or the path of a .toml file."
)
flags.DEFINE_integer(
    "on_chip_bytes", None, "Size of the on-chip memory of npu_sram_dram, in bytes (default: 524288).", lower_bound=0
)
flags.DEFINE_enum(
    "traffic_model",
    None,
    TRAFFIC_MODELS,
    "What tables and pictures show: the graph as TFLite runs it, with the codec at the memory port, or with regions "
    "whose rings are on chip (default: fused_regions for models with regions, fused_codec for others).",
)
flags.DEFINE_bool("codec_cost", True, "Count the codec's own energy in the totals.")
flags.DEFINE_float(
    "paper_bits", DEFAULT_PAPER_BITS, "Bits for the main component under the paper's scheme, one of the baselines."
)
flags.DEFINE_string("json", None, "File for the whole profile as JSON; - is stdout, in the place of the tables.")
flags.DEFINE_string("csv", None, "File for a table with a line for each op.")
flags.DEFINE_string("html", None, "File for a report with pictures; works offline.", short_name="o")
flags.DEFINE_string("plots", None, "Folder for PNG pictures; needs matplotlib (pip install matplotlib).")
flags.DEFINE_multi_string(
    "tensor",
    [],
    "Name of a tensor of the original, or op:17 for what op 17 writes: its values in the original and in the converted "
    "model, on the first sample of --data or a synthetic one, are compared and written as .npy; may be repeated.",
)
flags.DEFINE_string("tensor_folder", None, "Folder for these files (default: that of the report, else this one).")
flags.DEFINE_string("model_explorer", None, "File for the memory energy of each op as Model Explorer's node data.")
flags.DEFINE_integer(
    "num_threads", None, "Threads of the interpreter (default: the runtime's own choice).", lower_bound=1
)
flags.DEFINE_bool("overwrite", False, "Replace existing outputs.")
flags.DEFINE_float("fps", None, "Inferences a second: turns traffic into GB/s, MACs/s, bytes a MAC and watts.")
flags.DEFINE_float(
    "clock_hz",
    None,
    "In the place of --fps: the clock of an accelerator whose multipliers never wait: they say how many inferences a "
    "second there are, and traffic what its memory then has to move.",
)
flags.DEFINE_integer(
    "macs_per_cycle",
    None,
    f"With --clock_hz: multiply-adds a cycle (default: {DEFAULT_MACS_PER_CYCLE}).",
    lower_bound=1,
)
fail_if.define()

FLAG_GROUPS = (
    ("Most used", ("compare", "html", "json", "data", "memory_system", "traffic_model", "overwrite")),
    ("More outputs", ("csv", "plots", "model_explorer", "tensor", "tensor_folder", "fail_if")),
    ("Energy, rates and baselines", ("on_chip_bytes", "codec_cost", "fps", "clock_hz", "macs_per_cycle", "paper_bits")),
    ("Data", (*data_flags.PREPROCESSING, "num_samples", "seed")),
    ("The model", (*data_flags.MODEL, "num_threads")),
)


def _options() -> ProfileOptions:
    return ProfileOptions(
        data=FLAGS.data,
        **data_flags.values(),
        memory_system=FLAGS.memory_system,
        on_chip_bytes=FLAGS.on_chip_bytes,
        traffic_model=FLAGS.traffic_model,
        codec_cost=FLAGS.codec_cost,
        num_threads=FLAGS.num_threads,
        fps=FLAGS.fps,
        clock_hz=FLAGS.clock_hz,
        macs_per_cycle=FLAGS.macs_per_cycle,
        paper_bits=FLAGS.paper_bits,
        tensors=tuple(FLAGS.tensor),
        extensions=data_flags.extensions(),
        input_shapes=data_flags.input_shapes(),
    )


def _show_changes(before: str) -> None:
    if FLAGS.compare is None:
        raise UsageError(f"{before} is a profile; name another one with --compare")
    file = common.json_file()
    document = api.compare_profiles(before, FLAGS.compare, json_file=file, overwrite=FLAGS.overwrite)
    common.show_document(document, format_changes, [file])
    fail_if.check(document)


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    if len(arguments) != 1:
        raise UsageError(f"expected one MODEL.tflite, got {' '.join(arguments) or 'none'}; see --help")
    fail_if.parse()
    if is_profile_name(arguments[0]):
        _show_changes(arguments[0])
        return
    outputs = ProfileOutputs(
        common.json_file(), FLAGS.csv, FLAGS.html, FLAGS.plots, FLAGS.model_explorer, FLAGS.tensor_folder
    )
    from fmtc_tflite.profiling.text_report import format_profile  # what a wrong command line need not wait for

    document = api.profile(arguments[0], FLAGS.compare, options=_options(), outputs=outputs, overwrite=FLAGS.overwrite)
    values = [outputs.tensor_folder / name for dump in document.get("dumps", []) for name in dump["files"]]
    common.show_document(document, format_profile, [*outputs.paths, *values])
    fail_if.check(document)


def console_main() -> None:
    """Entry point of the installed script."""
    common.run(main, sys.modules[__name__])


if __name__ == "__main__":
    console_main()

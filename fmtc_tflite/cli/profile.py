"""Shows where a TensorFlow Lite model's memory traffic, its arena and its memory energy go.

Usage:
  fmtc-profile MODEL.tflite                                     from the file alone
  fmtc-profile MODEL.tflite --compare MODEL_fmtc.tflite         original and converted model side by side
  fmtc-profile MODEL_fmtc.tflite --data FOLDER                  coded sizes measured on data, with baselines
  fmtc-profile MODEL.tflite --html REPORT.html --json PROFILE.json
  fmtc-profile MODEL.tflite --compare MODEL_fmtc.tflite --tensor NAME     values of a tensor in both, as .npy

Any .tflite works, quantized or not, converted or not. Without --data, coded sizes come from the model's metadata.
Energies are estimates: traffic times the energy per bit that --memory_system names. as_executed is the traffic of the
graph as TFLite runs it, where inserted ops cost extra; fused_codec is that of hardware or kernels with the codec at
the memory port. docs/profiler.md says what each number counts. Exit codes: 0 done, 1 internal or I/O error, 2 usage or
bad input, 5 native library or runtime missing, 130 interrupted. An error's line says what was written, if anything was.
"""

from __future__ import annotations

import sys

from absl import flags

from fmtc_tflite import api
from fmtc_tflite.cli import common, data_flags
from fmtc_tflite.errors import UsageError
from fmtc_tflite.memory.memory_system import DEFAULT_MEMORY_SYSTEM, known_memory_systems
from fmtc_tflite.memory.traffic import TRAFFIC_MODELS
from fmtc_tflite.profiling.options import DEFAULT_SAMPLES, ProfileOptions
from fmtc_tflite.profiling.outputs import ProfileOutputs
from fmtc_tflite.profiling.text_report import format_profile
from fmtc_tflite.types import DEFAULT_PAPER_BITS

FLAGS = flags.FLAGS

flags.DEFINE_string("compare", None, "The converted model that was made from MODEL.tflite.")
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
flags.DEFINE_string("json", None, "File for the whole profile as JSON.")
flags.DEFINE_string("csv", None, "File for a table with a line for each op.")
flags.DEFINE_string("html", None, "File for a report with pictures; works offline.")
flags.DEFINE_string("plots", None, "Folder for PNG pictures; needs matplotlib (pip install 'fmtc-tflite[plots]').")
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


def _options() -> ProfileOptions:
    return ProfileOptions(
        data=FLAGS.data,
        **data_flags.values(),
        memory_system=FLAGS.memory_system,
        on_chip_bytes=FLAGS.on_chip_bytes,
        traffic_model=FLAGS.traffic_model,
        codec_cost=FLAGS.codec_cost,
        num_threads=FLAGS.num_threads,
        paper_bits=FLAGS.paper_bits,
        tensors=tuple(FLAGS.tensor),
        extensions=data_flags.extensions(),
        input_shapes=data_flags.input_shapes(),
    )


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    if len(arguments) != 1:
        raise UsageError(f"expected one MODEL.tflite, got {' '.join(arguments) or 'none'}; see --help")
    outputs = ProfileOutputs(FLAGS.json, FLAGS.csv, FLAGS.html, FLAGS.plots, FLAGS.model_explorer, FLAGS.tensor_folder)
    document = api.profile(arguments[0], FLAGS.compare, options=_options(), outputs=outputs, overwrite=FLAGS.overwrite)
    common.show(format_profile(document))
    values = [outputs.tensor_folder / name for dump in document.get("dumps", []) for name in dump["files"]]
    for path in [*outputs.paths, *values]:
        common.show(f"written         {path}")


def console_main() -> None:
    """Entry point of the installed script."""
    common.run(main, sys.modules[__name__])


if __name__ == "__main__":
    console_main()

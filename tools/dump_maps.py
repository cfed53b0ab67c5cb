"""Writes a model's feature maps, for codec_bench to code: what one sample makes of them.

Usage:
  python tools/dump_maps.py MODEL.tflite --calibration_data FOLDER --output MAPS

Runs one sample and writes every feature map that can be coded to the folder MAPS, which must not exist: as int8
values NHWC, a file for each, and their list `maps.txt` with a line `FILE HxWxC` for each. A batch counts as height.
`codec_bench --network MAPS/maps.txt` reads it. Exit codes as those of fmtc-convert.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from absl import flags

from fmtc_tflite.api import read_model_file
from fmtc_tflite.cli import common, data_flags
from fmtc_tflite.data.opening import input_specs_from_model, open_dataset
from fmtc_tflite.data.preprocess import Preprocessing
from fmtc_tflite.errors import FmtcError, UsageError
from fmtc_tflite.files import check_writable, write_all
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.inference.model_runner import ModelRunner, signed

FLAGS = flags.FLAGS
flags.DEFINE_string("calibration_data", None, "Real inputs, as of fmtc-convert.", required=True)
flags.DEFINE_alias("data", "calibration_data")
flags.DEFINE_string("output", None, "Folder to write.", required=True, short_name="o")
data_flags.define()
flags.DEFINE_integer("seed", 0, "Which sample, of those that are there.")


def dump_maps(model_file: Path, folder: Path) -> int:
    """Writes the maps of a sample that the flags say; returns how many.

    Raises:
      FmtcError: the model or the data cannot be read, the model has no map to code, or the folder cannot be written.
    """
    content = read_model_file(model_file)
    model = load_model(content)
    sites = [site for site in find_sites(model) if site.skipped_reason is None and site.subgraph.index == 0]
    if not sites:
        raise UsageError(f"{model_file}: no feature map that can be coded")
    dataset = open_dataset(
        Path(FLAGS.calibration_data),
        input_specs=input_specs_from_model(model),
        preprocessing=Preprocessing(FLAGS.preprocessing, data_flags.parse_resize(FLAGS.resize), FLAGS.central_crop),
        num_samples=1,
        seed=FLAGS.seed,
        skip_unreadable=FLAGS.skip_unreadable,
    )
    runner = ModelRunner(ModelFile(model, content))
    runner.run(next(iter(dataset)))
    files, lines = [], []
    for number, site in enumerate(sites):
        values = signed(runner.read(site.tensor))
        batch, height, width, channels = values.shape
        name = f"{number:03d}.raw"
        files.append((folder / name, values.tobytes()))
        lines.append(f"{name} {batch * height}x{width}x{channels}\n")
    files.append((folder / "maps.txt", "".join(lines).encode()))
    folder.mkdir()
    try:
        write_all(files, overwrite=False)
    except FmtcError:
        with suppress(OSError):  # some were written
            folder.rmdir()
        raise
    return len(lines)


def main(arguments: list[str]) -> None:
    """Runs the tool; `arguments` are the positional ones."""
    if len(arguments) != 1:
        raise UsageError(f"expected one model, got {', '.join(arguments) or 'none'}; see --help")
    folder = Path(FLAGS.output)
    if os.path.lexists(folder):
        raise UsageError(f"{folder}: exists; name a new folder as --output")
    check_writable([folder], overwrite=False)
    common.show(f"{folder}: {dump_maps(Path(arguments[0]), folder)} maps")


if __name__ == "__main__":
    common.run(main, sys.modules[__name__])

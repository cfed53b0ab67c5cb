"""Flags that several tools have, about data: one name, one meaning, one place."""

from __future__ import annotations

import shlex
from typing import Any

from absl import flags

from fmtc_tflite.errors import UsageError

flags.disclaim_key_flags()  # they belong to the tool that calls define()


def define() -> None:
    """Defines the flags of how images become a model's input."""
    flags.DEFINE_enum(
        "preprocessing",
        None,
        ["raw", "tf", "torch"],
        "How a pixel x becomes a real input value: raw x, tf x/127.5 - 1, torch (x/255 - mean)/std.",
    )
    flags.DEFINE_list("resize", None, "Height,width in pixels that images are resized to (default: the model's input).")
    flags.DEFINE_float("central_crop", None, "Fraction (0 to 1] of an image's shorter side that is kept, centred.")
    flags.DEFINE_bool("skip_unreadable", False, "Leave unreadable images out instead of stopping.")


def define_beam() -> None:
    """Defines the flag that has an Apache Beam pipeline run the samples."""
    flags.DEFINE_string(
        "beam",
        None,
        "Runs the samples on the workers of an Apache Beam pipeline with these options, such as "
        "--beam='--runner=FlinkRunner --flink_master=HOST:8081 --temp_location=FOLDER'; --beam='' is a local one.",
    )


def beam_options() -> tuple[str, ...] | None:
    """The options of --beam; None without the flag.

    Raises:
      UsageError: quotes that do not match.
    """
    value = flags.FLAGS.beam
    try:
        return None if value is None else tuple(shlex.split(value))
    except ValueError as e:
        raise UsageError(f"--beam {value}: {e}; give Beam's options as one quoted text") from e


def values() -> dict[str, Any]:
    """What the data flags say, under the names that all options classes have for it (num_samples and seed included).

    Raises:
      UsageError: --resize is not two integers.
    """
    FLAGS = flags.FLAGS
    return {
        "preprocessing": FLAGS.preprocessing,
        "resize": parse_resize(FLAGS.resize),
        "central_crop": FLAGS.central_crop,
        "num_samples": FLAGS.num_samples or None,
        "seed": FLAGS.seed,
        "skip_unreadable": FLAGS.skip_unreadable,
    }


def parse_resize(value: list[str] | None) -> tuple[int, int] | None:
    """(height, width) of --resize.

    Raises:
      UsageError: not two integers.
    """
    if value is None:
        return None
    try:
        height, width = map(int, value)
    except ValueError as e:
        raise UsageError(f"--resize {','.join(value)}: expected height,width in pixels, such as 224,224") from e
    return height, width

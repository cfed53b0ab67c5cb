"""Flags that several tools have, about data: one name, one meaning, one place."""

from __future__ import annotations

import re
import shlex
from typing import Any

from absl import flags

from fmtc_tflite.errors import UsageError
from fmtc_tflite.types import Extensions, parse_input_shape

flags.disclaim_key_flags()  # they belong to the tool that calls define()

# Names of the flags that `define` and `define_model` define, as help shows them.
PREPROCESSING = ("preprocessing", "central_crop", "resize", "skip_unreadable", "max_unreadable")
MODEL = ("input_shape", "op_library", "delegate")


def define() -> None:
    """Defines the flags of how images become a model's input."""
    flags.DEFINE_enum(
        "preprocessing",
        None,
        ["raw", "tf", "torch"],
        "How a pixel x becomes a real input value: raw x, tf x/127.5 - 1, torch (x/255 - mean)/std.",
    )
    flags.DEFINE_string(
        "resize", None, "Pixels that images are resized to: 224, or height and width as 224,192 (default: the model's)."
    )
    flags.DEFINE_float("central_crop", None, "Fraction (0 to 1] of an image's shorter side that is kept, centred.")
    flags.DEFINE_bool("skip_unreadable", False, "Leave unreadable images out instead of stopping.")
    flags.DEFINE_integer(
        "max_unreadable", None, "Leave out so many unreadable images at most, and stop at more.", lower_bound=0
    )


def define_model() -> None:
    """Defines the flags of how a model is opened: open shapes, and ops that the runtime lacks."""
    flags.DEFINE_multi_string(
        "input_shape",
        [],
        "NAME:1,224,224,3 gives an input this shape, where the file leaves it open or has another one; repeatable.",
    )
    flags.DEFINE_multi_string(
        "op_library",
        [],
        "Shared library or Python extension module with custom ops of the model: FILE, or FILE:FUNCTION, which takes a "
        "tflite::MutableOpResolver* (default: RegisterSelectedOps); may be repeated.",
    )
    flags.DEFINE_multi_string(
        "delegate", [], "Shared library of an external delegate that runs ops of the model; may be repeated."
    )


def input_shapes() -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The shapes of --input_shape, by input.

    Raises:
      UsageError: one is not of the form NAME:1,224,224,3.
    """
    return tuple(parse_input_shape(text) for text in flags.FLAGS.input_shape)


def extensions() -> Extensions:
    """What --op_library and --delegate name."""
    return Extensions(tuple(flags.FLAGS.op_library), tuple(flags.FLAGS.delegate))


def define_beam() -> None:
    """Defines the flags that have an Apache Beam pipeline run the samples."""
    flags.DEFINE_string(
        "beam",
        None,
        "Runs the samples on the workers of an Apache Beam pipeline with these options, such as "
        "--beam='--runner=DaskRunner --dask_client_address=HOST:8786 --temp_location=FOLDER'; --beam='' is one worker "
        "in this process.",
    )
    flags.DEFINE_float(
        "beam_timeout", None, "Seconds that the pipeline of --beam may take (default: any time).", lower_bound=0.0
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
      UsageError: --resize is neither one nor two integers.
    """
    FLAGS = flags.FLAGS
    return {
        "preprocessing": FLAGS.preprocessing,
        "resize": parse_resize(FLAGS.resize),
        "central_crop": FLAGS.central_crop,
        "num_samples": FLAGS.num_samples or None,
        "seed": FLAGS.seed,
        "skip_unreadable": FLAGS.skip_unreadable or FLAGS.max_unreadable is not None,
        "max_unreadable": FLAGS.max_unreadable,
    }


def parse_resize(value: str | None) -> tuple[int, int] | None:
    """(height, width) of --resize, which is one number or two with a comma or an x between.

    Raises:
      UsageError: it is none of these.
    """
    if value is None:
        return None
    found = re.fullmatch(r" *(\d+) *(?:[,xX] *(\d+) *)?", value)
    if found is None:
        raise UsageError(f"--resize {value}: expected pixels, such as 224, or height,width, such as 224,192")
    return int(found[1]), int(found[2] or found[1])

"""Whether a conversion puts regions in the place of ops or codes feature maps, where the user leaves it open."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from fmtc_tflite.files import read_small
from fmtc_tflite.types import ConvertOptions


def with_execution(options: ConvertOptions) -> ConvertOptions:
    """The same options with an execution that is not auto: ops for who asks for traffic or loss, else regions.

    A target other than tflite has regions only.
    """
    if options.execution != "auto":
        return options
    codes = options.target == "tflite" and (_asks_for_coding(options) or _is_codec_recipe(options.recipe))
    return replace(options, execution="ops" if codes else "regions")


def _asks_for_coding(options: ConvertOptions) -> bool:
    """Whether an option is given that only means something where feature maps are coded."""
    given = (
        options.max_kl,
        options.max_bits_per_value,
        options.max_accuracy_drop,
        options.capacity_percentile,
        options.capacity_margin,
        options.paper_bits,
        options.calibration.store,
        options.calibration.beam,
    )
    wanted = options.preset != "default" or options.objective == "traffic" or options.refit or bool(options.disable)
    return wanted or any(value is not None for value in given)


def _is_codec_recipe(path: Path | None) -> bool:
    """Whether a recipe has the codec's form. What is unreadable is refused by who reads it in earnest."""
    if path is None:
        return False
    try:
        if path.exists() and not path.is_file():
            return True  # a pipe gives its content only once; one with a recipe for regions needs their flag
        document: Any = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "sites" in document

"""The conversion that the options name."""

from __future__ import annotations

from fmtc_tflite.blas import one_blas_thread
from fmtc_tflite.conversion.execution import with_execution
from fmtc_tflite.conversion.micro_conversion import convert_to_micro
from fmtc_tflite.conversion.paper_preset import convert_paper
from fmtc_tflite.conversion.pipeline import convert_default
from fmtc_tflite.conversion.region_conversion import convert_to_regions
from fmtc_tflite.conversion.result import ConversionResult, convert_parts
from fmtc_tflite.conversion.source import open_model
from fmtc_tflite.inference.input_shapes import fix_input_shapes
from fmtc_tflite.types import ConvertOptions


@one_blas_thread()
def convert_content(content: bytes, options: ConvertOptions) -> ConversionResult:
    """Converts a model's bytes as the options say.

    Raises:
      FmtcError: see fmtc_tflite.errors.
    """
    is_auto = options.execution == "auto"
    options = with_execution(options)
    content = fix_input_shapes(content, options.input_shapes)
    if options.target == "micro":
        return convert_to_micro(content, options)
    if options.execution == "regions":
        return convert_to_regions(content, options, leaves_slower=is_auto and options.recipe is None)
    convert = convert_paper if options.preset == "paper" else convert_default
    return convert_parts(open_model(content, options), convert)

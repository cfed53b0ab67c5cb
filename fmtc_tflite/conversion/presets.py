"""The conversion that the options name."""

from fmtc_tflite.conversion.paper_preset import PaperConversion
from fmtc_tflite.conversion.pipeline import Conversion, ConversionResult
from fmtc_tflite.conversion.region_conversion import convert_to_regions
from fmtc_tflite.inference.input_shapes import fix_input_shapes
from fmtc_tflite.types import ConvertOptions


def convert_content(content: bytes, options: ConvertOptions) -> ConversionResult:
    """Converts a model's bytes as the options say.

    Raises:
      FmtcError: see fmtc_tflite.errors.
    """
    content = fix_input_shapes(content, options.input_shapes)
    if options.execution == "regions":
        return convert_to_regions(content, options)
    conversion = PaperConversion if options.preset == "paper" else Conversion
    return conversion(content, options).run()

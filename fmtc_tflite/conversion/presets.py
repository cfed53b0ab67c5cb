"""The conversion that the options name."""

from fmtc_tflite.conversion.paper_preset import PaperConversion
from fmtc_tflite.conversion.pipeline import Conversion, ConversionResult
from fmtc_tflite.types import ConvertOptions


def convert_content(content: bytes, options: ConvertOptions) -> ConversionResult:
    """Converts a model's bytes under the preset of the options.

    Raises:
      FmtcError: see fmtc_tflite.errors.
    """
    conversion = PaperConversion if options.preset == "paper" else Conversion
    return conversion(content, options).run()

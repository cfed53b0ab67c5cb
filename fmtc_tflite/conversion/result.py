"""The end of a conversion, whatever its preset: the report, the file, and one run of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fmtc_tflite.conversion.build import build_converted
from fmtc_tflite.conversion.document import conversion_report, without_paths
from fmtc_tflite.conversion.map_coding import MapCoding
from fmtc_tflite.conversion.source import Source
from fmtc_tflite.conversion.treatment import place_sites
from fmtc_tflite.fidelity.judgement import change_warning
from fmtc_tflite.fidelity.verify import Comparison
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.names import METADATA_NAME
from fmtc_tflite.inference.model_runner import ModelRunner


@dataclass(frozen=True)
class ConversionResult:
    """A converted model.

    Attributes:
      content: the `.tflite` file.
      report: as in report_schema.json, without the model's path.
      warnings: lines that a user should see.
      op_labels: what selects the op that writes each of the report's sites (`op:17`), in their order.
      verdict: what became of the outputs of a lossy conversion within or above its bound; empty for others.
    """

    content: bytes
    report: dict[str, Any]
    warnings: tuple[str, ...]
    op_labels: tuple[str, ...] = ()
    verdict: str = ""


def finish(
    source: Source, codings: Sequence[MapCoding], comparison: Comparison, warnings: Sequence[str], verdict: str = ""
) -> ConversionResult:
    """The converted model with its report; the very bytes that will be written are parsed and run once."""
    converted = build_converted(source.file.content, codings)
    document = conversion_report(source.file, converted, codings, comparison, source.samples.kind, source.options)
    converted.metadata[METADATA_NAME] = json.dumps(without_paths(document), separators=(",", ":")).encode()
    file = ModelFile.parse(converted.to_bytes())
    ModelRunner(file, num_threads=source.options.num_threads).run(next(iter(source.samples.held_back)))
    document["model"]["converted_size_bytes"] = len(file.content)
    labels = tuple(place.label for place in place_sites([c.site for c in codings]))
    change = change_warning(comparison.measure, comparison.fidelity, comparison.top1_agreement)
    lines = (*source.warnings, *warnings, *([] if change is None else [change]))
    return ConversionResult(file.content, document, lines, labels, verdict)

"""The end of a conversion, whatever its preset: the report, the file, and one run of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fmtc_tflite.conversion.build import finished_file, insert_into, refit_into
from fmtc_tflite.conversion.document import conversion_report, without_paths
from fmtc_tflite.conversion.map_coding import MapCoding
from fmtc_tflite.conversion.refit import Refitting
from fmtc_tflite.conversion.source import OpenedModel, Source
from fmtc_tflite.conversion.treatment import place_sites
from fmtc_tflite.errors import FmtcError, NothingToDoError, UnsupportedModelError
from fmtc_tflite.fidelity.judgement import change_warning
from fmtc_tflite.fidelity.verify import Comparison
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.graph.names import METADATA_NAME
from fmtc_tflite.graph.sites import entry_name
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


@dataclass(frozen=True)
class Part:
    """What the conversion of one source came to.

    Attributes:
      codings: one for each of the source's maps, in their order.
      comparison: its run on all held-back samples, beside the original.
      warnings: lines that a user should see.
      verdict: see ConversionResult.
      refitting: what --refit came to; None without it.
    """

    source: Source
    codings: Sequence[MapCoding]
    comparison: Comparison
    warnings: Sequence[str] = ()
    verdict: str = ""
    refitting: Refitting | None = None


def convert_parts(opened: OpenedModel, convert: Callable[[Source], Part]) -> ConversionResult:
    """Converts each source and puts the parts together.

    Raises:
      NothingToDoError: no source has anything to code. Of several one may have none: its maps are left alone then.
      UnsupportedModelError: the runtime refuses the first source, or the only one; the maps of others are left alone.
    """
    parts, failures = list[Part](), list[FmtcError]()
    for source in opened.sources:
        try:
            parts.append(convert(source))
        except (NothingToDoError, UnsupportedModelError) as error:
            failures.append(error)
            name = entry_name(opened.file.model, source.subgraph_index)
            line = f"signature '{name}': {error}; its feature maps are left alone"
            maps = opened.without(source.subgraph_index, f"signature '{name}' is left as it is")
            opened = replace(opened, maps=maps, warnings=(*opened.warnings, line))
    if not parts:
        raise failures[0]
    return finish(opened, parts)


def finish(opened: OpenedModel, parts: Sequence[Part]) -> ConversionResult:
    """The converted model with its report; the very bytes that will be written are parsed, and each part run once."""
    model = opened.file.model
    codings = _codings(opened, parts)
    converted = load_model(opened.file.content)
    buffers = list(converted.buffers)
    refittings = {part.source.subgraph_index: part.refitting for part in parts if part.refitting is not None}
    for index, refitting in refittings.items():
        refit_into(converted.subgraphs[index], refitting.refits)
    insert_into(converted, codings)
    comparisons = {part.source.subgraph_index: part.comparison for part in parts}
    kind = parts[0].source.samples.kind
    document = conversion_report(opened.file, converted, codings, comparisons, kind, opened.options)
    if refittings:
        document["refit"] = [{"subgraph": index, **own.to_dict()} for index, own in refittings.items()]
    converted.metadata[METADATA_NAME] = json.dumps(without_paths(document), separators=(",", ":")).encode()
    refits = [refit for own in refittings.values() for refit in own.refits]
    file = ModelFile.parse(finished_file(opened.file.content, converted, buffers, codings, refits))
    for part in parts:
        index = part.source.subgraph_index
        runner = ModelRunner(file, index, opened.options.num_threads, default_kernels=index > 0)
        runner.run(next(iter(part.source.samples.held_back)))
    document["model"]["converted_size_bytes"] = len(file.content)
    labels = tuple(place.label for place in place_sites([c.site for c in codings]))
    lines, verdicts = list(opened.warnings), list[str]()
    for part in parts:
        name = f"signature '{entry_name(model, part.source.subgraph_index)}': " if len(parts) > 1 else ""
        result = part.comparison
        change = change_warning(result.measure, result.fidelity, result.top1_agreement)
        lines += [name + line for line in (*part.warnings, *([] if change is None else [change]))]
        verdicts += [name + part.verdict] if part.verdict else []
    return ConversionResult(file.content, document, tuple(lines), labels, "; ".join(verdicts))


def _codings(opened: OpenedModel, parts: Sequence[Part]) -> list[MapCoding]:
    """One for each candidate of the model as the user has it."""
    found = {part.source.subgraph_index: iter(part.codings) for part in parts}
    codings = []
    for treated in opened.maps:
        own = found.get(treated.site.subgraph.index)
        coding = MapCoding(treated) if own is None else next(own)
        codings.append(replace(coding, treated=replace(coding.treated, site=treated.site, copy=treated.copy)))
    return codings

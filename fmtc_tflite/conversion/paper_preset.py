"""The preset `paper`: the scheme of Chmiel et al., arXiv 1905.10830, as a conversion, to compare with.

See fmtc_tflite.coding.paper for the scheme. Where a CONV_2D writes a map, the transform is folded into its int8 weights
and the activation moves behind the synthesis; other maps are transformed as they are stored. The authors reset the
mean of what they decode to that of the original; here, the synthesis bias does that with the calibration means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fmtc_tflite.calibration import passes
from fmtc_tflite.calibration.projection import Components, Read, before_activation, convolve, measure_components
from fmtc_tflite.calibration.statistics import ValueStatistics
from fmtc_tflite.coding import entropy_model, paper
from fmtc_tflite.coding.code_lengths import huffman_lengths, shannon_bits
from fmtc_tflite.coding.side_info import AffineTransform, SideInformation
from fmtc_tflite.coding.transform import fixed_point
from fmtc_tflite.conversion.build import build_converted
from fmtc_tflite.conversion.map_coding import MapCoding, raw_capacity
from fmtc_tflite.conversion.result import Part
from fmtc_tflite.conversion.rotation import rotate
from fmtc_tflite.conversion.search import compare_converted
from fmtc_tflite.conversion.source import Source
from fmtc_tflite.conversion.treatment import TreatedMap
from fmtc_tflite.fidelity.meters import fidelity_sources
from fmtc_tflite.graph.coded_maps import coded_maps
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.progress import progress, stage, stages
from fmtc_tflite.types import DEFAULT_PAPER_BITS


@dataclass(frozen=True)
class _Layer:
    """A map under the scheme: its components, and how the coefficients are stored."""

    treated: TreatedMap
    components: Components
    rows: paper.Rows
    step: float

    @property
    def is_folded(self) -> bool:
        return self.components.producer is not None

    @property
    def synthesis_matrix(self) -> np.ndarray:
        """float64 [C, rows]: the map's values from what the rows store, less its value at rest."""
        return self.components.basis[self.rows.component].T * self.step

    def synthesis(self, stored_means: np.ndarray) -> AffineTransform:
        """The decoder's matrix; decoded maps have the right mean if the rows have these means, float64 [rows]."""
        matrix, mean = self.synthesis_matrix, self.components.mean
        indices = stored_means - self.rows.rest if self.is_folded else stored_means
        return fixed_point(matrix, mean - matrix @ indices, 255, 0, f"{self.treated.site.name}: synthesis")

    def analysis(self) -> AffineTransform:
        """The encoder's matrix, for maps that are transformed as they are stored."""
        basis = self.components.basis[self.rows.component] / self.step
        bias = self.rows.offset - basis @ self.components.mean
        return fixed_point(basis, bias, 128, 0, f"{self.treated.site.name}: analysis")

    def stored(self, coding: MapCoding, read: Read) -> np.ndarray:
        """What the rows store for the map of a runner's last run of the original model, int8 [pixels, rows]."""
        producer, rotated, info = self.components.producer, coding.rotated, coding.info
        if producer is not None and rotated is not None:
            # The kernel's requantization factor is the product of the scales.
            factors = rotated.weight_scales * np.float32((producer.source.scale or 0.0) / rotated.scale)
            sums = convolve(producer, rotated.weights.astype(np.float32), read, self.treated.site.tensor.shape)
            values = np.rint((sums + rotated.bias) * factors)
        else:
            assert info is not None
            assert info.analysis is not None
            stored_map = before_activation(self.treated.site, None, read).astype(np.float64)
            sums = stored_map @ info.analysis.matrix.T.astype(np.float64) + info.analysis.bias
            values = np.floor(sums / (1 << info.analysis.shift) + 0.5)
        return np.clip(values, -128, 127).astype(np.int8)

    def classes(self) -> np.ndarray:
        """The table of each row: one for the coefficients, others where 8 bits hold them in pieces, uint8 [rows].

        What exceeds 8 bits rests most of the time, and costs next to nothing there in a table of its own. Coefficients
        that lie off the middle of the 8-bit range are centred by the step quantizer, which does not go with an analysis
        matrix: there they have their own table too.
        """
        rows = self.rows
        rest = np.zeros_like(rows.rest) if self.is_folded else rows.rest
        kind = np.where(rows.window != 0, 2 + (rest < 0), (rest != 0).astype(np.int64))
        return np.unique(kind, return_inverse=True)[1].astype(np.uint8)

    def index_counts(self, stored: np.ndarray) -> np.ndarray:
        """Counts of the bytes that are coded, [rows, 256], from those of stored values plus 128."""
        return np.take_along_axis(stored, (np.arange(256)[None] + self._centre + 128) % 256, 1)

    def stored_counts(self, index: np.ndarray) -> np.ndarray:
        """The inverse of `index_counts`."""
        return np.take_along_axis(index, (np.arange(256)[None] - self._centre - 128) % 256, 1)

    @property
    def _centre(self) -> np.ndarray:
        """Of the step quantizer behind a folded transform, [rows, 1]; an analysis matrix allows none."""
        return (self.rows.rest if self.is_folded else np.zeros_like(self.rows.rest))[:, None]


def convert_paper(source: Source) -> Part:
    """Converts a model under the scheme.

    Raises:
      NothingToDoError: nothing can be coded.
    """
    options, build = source.options, source.samples.build
    maps = [m for m in source.maps if m.coded]
    bits = DEFAULT_PAPER_BITS if options.paper_bits is None else options.paper_bits
    with stages(("bases and ranges", 2), ("coefficients", 1), ("verification", 2), ("rates", 1)):
        stage("bases and ranges")
        components = measure_components(source.file, [m.site for m in maps], build, options.num_threads)
        layers = [_layer(m, own, bits) for m, own in zip(maps, components, strict=True)]
        codings = [_quantized(layer) for layer in layers]
        stage("coefficients")
        stored = _stored_values(source, layers, codings)
        codings = [_with_tables(*known) for known in zip(layers, codings, stored, strict=True)]
        stage("verification")
        comparison = compare_converted(source, _with_skipped(source, codings))
        stage("rates")
        histograms, count = _index_histograms(source, codings)
    codings = [_with_figures(*known, count) for known in zip(layers, codings, histograms, strict=True)]
    notes = [s.note for s in fidelity_sources(source.file.model, options.output_kind) if s.note]
    return Part(source, _with_skipped(source, codings), comparison, notes)  # fidelity is measured, not bounded


def _layer(treated: TreatedMap, components: Components, bits: float) -> _Layer:
    step = paper.uniform_step(components.low, components.high, bits)
    channels = treated.site.tensor.shape[3]
    rows, step = paper.arrange(components.low, components.high, components.deviation, step, channels)
    return _Layer(treated, components, rows, step)


def _with_skipped(source: Source, codings: Sequence[MapCoding]) -> list[MapCoding]:
    """One coding per candidate."""
    coded = {c.site: c for c in codings}
    return [coded.get(m.site, MapCoding(m)) for m in source.maps]


def _stored_values(source: Source, layers: Sequence[_Layer], codings: Sequence[MapCoding]) -> list[ValueStatistics]:
    """What the rows store if a map is transformed alone, on the samples that build tables."""
    found = [ValueStatistics(len(layer.rows.component)) for layer in layers]
    runner = ModelRunner(source.file, num_threads=source.options.num_threads)
    for sample in progress(source.samples.build, "coefficients"):
        runner.run(sample)
        for layer, coding, statistics in zip(layers, codings, found, strict=True):
            statistics.add(layer.stored(coding, runner.read))
    return found


def _index_histograms(source: Source, codings: Sequence[MapCoding]) -> tuple[list[np.ndarray], int]:
    """Of what the encoders see in the converted model, on the samples that are held back."""
    converted = ModelFile.parse(build_converted(source.file.content, _with_skipped(source, codings)).to_bytes())
    sources = [m.source for m in coded_maps(converted.model.subgraphs[0])]
    infos = [c.info for c in codings if c.info is not None]
    return passes.residual_histograms(converted, sources, infos, source.samples.held_back, source.options.num_threads)


def _quantized(layer: _Layer) -> MapCoding:
    """Quantization and flat placeholder tables."""
    site, rows, components = layer.treated.site, layer.rows, layer.components
    lo, hi = site.activation_range
    classes = layer.classes()
    tables, _ = entropy_model.fit_classes(np.ones((int(classes.max()) + 1, 256)))
    info = SideInformation(
        channels=site.tensor.shape[3],
        component_class=classes,
        predictor=np.zeros_like(classes),
        classes=tuple(tables),
        centre=rows.rest.astype(np.int8) if layer.is_folded and rows.rest.any() else 0,
        lo=lo,
        hi=hi,
        analysis=None if layer.is_folded else layer.analysis(),
        synthesis=layer.synthesis(rows.rest.astype(np.float64)),
    )
    return MapCoding(
        layer.treated,
        info,
        raw_capacity(site, info),
        rotated=rotate(components, rows, layer.step) if layer.is_folded else None,
        paper=paper.PaperFigures(
            layer.step,
            paper.bits_of_step(components.low, components.high, layer.step),
            layer.is_folded,
            components.reason,
        ),
    )


def _with_tables(layer: _Layer, coding: MapCoding, statistics: ValueStatistics) -> MapCoding:
    """Tables, and a synthesis that gives decoded maps the right mean, from what the rows store."""
    assert coding.info is not None
    per_class = np.zeros((len(coding.info.classes), 256))
    np.add.at(per_class, layer.classes(), layer.index_counts(statistics.histogram))
    tables, _ = entropy_model.fit_classes(per_class)
    info = replace(coding.info, classes=tuple(tables), synthesis=layer.synthesis(statistics.means))
    return replace(coding, info=info)


def _with_figures(layer: _Layer, coding: MapCoding, histogram: np.ndarray, num_samples: int) -> MapCoding:
    """The paper's own measures, from the indices of the samples that are held back."""
    assert coding.paper is not None
    counts = paper.joint_counts(layer.rows, layer.stored_counts(histogram[:, 0].astype(np.int64)))
    values = num_samples * coding.values
    figures = replace(
        coding.paper,
        shannon_bits_per_value=shannon_bits(counts) / values,
        huffman_bits_per_value=float(huffman_lengths(counts) @ counts) / values,
    )
    return replace(coding, paper=figures)

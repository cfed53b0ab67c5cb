"""The preset `paper`: the scheme of Chmiel et al., arXiv 1905.10830, as a conversion, to compare with.

See fmtc_tflite.coding.paper for the scheme. Where a CONV_2D writes a map, the transform is folded into its int8 weights
and the activation moves behind the synthesis; other maps are transformed as they are stored. The authors reset the
mean of what they decode to that of the original; here, the synthesis bias does that with the calibration means.
"""

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
from fmtc_tflite.conversion.pipeline import Conversion, ConversionResult
from fmtc_tflite.conversion.rotation import rotate
from fmtc_tflite.conversion.treatment import SitePlan, raw_capacity
from fmtc_tflite.fidelity.meters import fidelity_sources
from fmtc_tflite.fidelity.verify import Comparison, compare
from fmtc_tflite.graph.coded_maps import coded_maps
from fmtc_tflite.graph.model_io import load_model
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.progress import progress
from fmtc_tflite.types import DEFAULT_PAPER_BITS


@dataclass(frozen=True)
class _Layer:
    """A map under the scheme: its plan, its components, and how the coefficients are stored."""

    plan: SitePlan
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
        return fixed_point(matrix, mean - matrix @ indices, 255, 0, f"{self.plan.site.name}: synthesis")

    def analysis(self) -> AffineTransform:
        """The encoder's matrix, for maps that are transformed as they are stored."""
        basis = self.components.basis[self.rows.component] / self.step
        bias = self.rows.offset - basis @ self.components.mean
        return fixed_point(basis, bias, 128, 0, f"{self.plan.site.name}: analysis")

    def stored(self, read: Read) -> np.ndarray:
        """What the rows store for the map of a runner's last run of the original model, int8 [pixels, rows]."""
        producer, rotated, info = self.components.producer, self.plan.rotated, self.plan.info
        if producer is not None and rotated is not None:
            # The kernel's requantization factor is the product of the scales.
            factors = rotated.weight_scales * np.float32((producer.source.scale or 0.0) / rotated.scale)
            sums = convolve(producer, rotated.weights.astype(np.float32), read, self.plan.site.tensor.shape)
            values = np.rint((sums + rotated.bias) * factors)
        else:
            assert info is not None
            assert info.analysis is not None
            stored_map = before_activation(self.plan.site, None, read).astype(np.float64)
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


class PaperConversion(Conversion):
    """One conversion under the preset `paper`."""

    def run(self) -> ConversionResult:
        """Converts the model.

        Raises:
          NothingToDoError: nothing can be coded.
        """
        layers = [self._layer(components, plan) for components, plan in self._components()]
        for layer in layers:
            _set_quantization(layer)
        for layer, statistics in zip(layers, self._stored_values(layers), strict=True):
            _fit(layer, statistics)
        comparison = compare(
            (self.model, self.content),
            build_converted(self.content, self.plans).to_bytes(),
            self.samples.held_back,
            self.options.output_kind,
            self.options.num_threads,
        )
        histograms, count = self._index_histograms(layers)
        for layer, histogram in zip(layers, histograms, strict=True):
            _count_bits(layer, histogram, count)
        return self._finish(comparison)

    def _judge(self, comparison: Comparison) -> None:
        """Fidelity is measured, not bounded."""
        self.warnings += [s.note for s in fidelity_sources(self.model, self.options.output_kind) if s.note]

    def _components(self) -> list[tuple[Components, SitePlan]]:
        found = measure_components(
            self.model, self.content, [p.site for p in self._coded], self.samples.build, self.options.num_threads
        )
        return list(zip(found, self._coded, strict=True))

    def _layer(self, components: Components, plan: SitePlan) -> _Layer:
        bits = DEFAULT_PAPER_BITS if self.options.paper_bits is None else self.options.paper_bits
        step = paper.uniform_step(components.low, components.high, bits)
        rows, step = paper.arrange(
            components.low, components.high, components.deviation, step, plan.site.tensor.shape[3]
        )
        plan.paper = paper.PaperFigures(
            step,
            paper.bits_of_step(components.low, components.high, step),
            components.producer is not None,
            components.reason,
        )
        return _Layer(plan, components, rows, step)

    def _stored_values(self, layers: Sequence[_Layer]) -> list[ValueStatistics]:
        """What the rows store if a map is transformed alone, on the samples that build tables."""
        found = [ValueStatistics(len(layer.rows.component)) for layer in layers]
        runner = ModelRunner(self.model, self.content, num_threads=self.options.num_threads)
        for sample in progress(self.samples.build, "coefficients"):
            runner.run(sample)
            for layer, statistics in zip(layers, found, strict=True):
                statistics.add(layer.stored(runner.read))
        return found

    def _index_histograms(self, layers: Sequence[_Layer]) -> tuple[list[np.ndarray], int]:
        """Of what the encoders see in the converted model, on the samples that are held back."""
        content = build_converted(self.content, self.plans).to_bytes()
        model = load_model(content)
        infos = [layer.plan.info for layer in layers if layer.plan.info is not None]
        sources = [m.source for m in coded_maps(model.subgraphs[0])]
        return passes.residual_histograms(
            model, content, sources, infos, self.samples.held_back, self.options.num_threads
        )


def _set_quantization(layer: _Layer) -> None:
    """Quantization and flat placeholder tables."""
    plan, rows = layer.plan, layer.rows
    lo, hi = plan.site.activation_range
    classes = layer.classes()
    tables, _ = entropy_model.fit_classes(np.ones((int(classes.max()) + 1, 256)))
    plan.rotated = rotate(layer.components, rows, layer.step) if layer.is_folded else None
    plan.info = SideInformation(
        channels=plan.site.tensor.shape[3],
        component_class=classes,
        predictor=np.zeros_like(classes),
        classes=tuple(tables),
        centre=rows.rest.astype(np.int8) if layer.is_folded and rows.rest.any() else 0,
        lo=lo,
        hi=hi,
        analysis=None if layer.is_folded else layer.analysis(),
        synthesis=layer.synthesis(rows.rest.astype(np.float64)),
    )
    plan.item_capacity = raw_capacity(plan)


def _fit(layer: _Layer, statistics: ValueStatistics) -> None:
    """Tables, and a synthesis that gives decoded maps the right mean, from what the rows store."""
    plan, classes = layer.plan, layer.classes()
    assert plan.info is not None
    per_class = np.zeros((len(plan.info.classes), 256))
    np.add.at(per_class, classes, layer.index_counts(statistics.histogram))
    tables, _ = entropy_model.fit_classes(per_class)
    plan.info = replace(plan.info, classes=tuple(tables), synthesis=layer.synthesis(statistics.means))


def _count_bits(layer: _Layer, histogram: np.ndarray, num_samples: int) -> None:
    """The paper's own measures, from the indices of the samples that are held back."""
    plan = layer.plan
    assert plan.paper is not None
    counts = paper.joint_counts(layer.rows, layer.stored_counts(histogram[:, 0].astype(np.int64)))
    values = num_samples * plan.values
    huffman = float(huffman_lengths(counts) @ counts)
    plan.paper = replace(
        plan.paper, shannon_bits_per_value=shannon_bits(counts) / values, huffman_bits_per_value=huffman / values
    )

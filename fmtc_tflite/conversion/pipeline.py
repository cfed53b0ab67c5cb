"""From a model and samples to a converted model: the stages of `fmtc-convert`, in order.

candidate sites -> treatments -> statistics and sensitivities -> choices -> search over one Lagrangian weight ->
residual histograms -> tables -> inserted ops -> verification. Samples that build steps or tables never count for
sizes or fidelity.
"""

import importlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fmtc_tflite.calibration import passes, stages
from fmtc_tflite.calibration.stages import Statistics
from fmtc_tflite.calibration.store import CalibrationStore, calibration_identity
from fmtc_tflite.coding import allocation, entropy_model
from fmtc_tflite.coding.geometry import geometry
from fmtc_tflite.conversion import arena_objective
from fmtc_tflite.conversion.bounds import (
    AccuracyBound,
    Constraint,
    FidelityBound,
    RateBound,
    fidelity_trial,
    find_labels,
)
from fmtc_tflite.conversion.budgets import set_budget
from fmtc_tflite.conversion.build import build_converted
from fmtc_tflite.conversion.document import conversion_report, totals, without_paths
from fmtc_tflite.conversion.levels import correct_levels, sensitivity_choices
from fmtc_tflite.conversion.treatment import (
    SitePlan,
    choose_treatments,
    follow_source,
    raw_capacity,
    set_quantization,
)
from fmtc_tflite.data.opening import Dataset, input_specs_from_model, open_calibration_data
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.errors import NothingToDoError, VerificationError
from fmtc_tflite.fidelity.meters import fidelity_sources
from fmtc_tflite.fidelity.verify import AccuracyTrial, Comparison, Labels, compare, uncertainty_warning
from fmtc_tflite.graph.convertible import check_convertible
from fmtc_tflite.graph.model_io import Model, load_model
from fmtc_tflite.graph.names import METADATA_NAME
from fmtc_tflite.graph.sites import find_sites
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.types import ConvertOptions, Treatment

_RATE_SAMPLES = 16  # for each step of a search by rate
_SYNTHETIC_SAMPLES = 24
_MOST_SAMPLES = 4096  # for tables, and to measure on: time must not grow with millions of samples
_CORRECTIONS = 6


@dataclass(frozen=True)
class Samples:
    """Calibration samples: those of `build` and `tables` make steps and tables, those of `held_back` measure.

    Statistics of the original model are taken of all of `build`, by many machines if need be; passes that depend on the
    search run here and take a part of it, `tables`.
    """

    build: Dataset
    tables: Dataset
    held_back: Dataset
    kind: str  # "synthetic" or "calibration"


@dataclass(frozen=True)
class ConversionResult:
    """A converted model.

    Attributes:
      content: the `.tflite` file.
      report: as in report_schema.json, without the model's path.
      warnings: lines that a user should see.
    """

    content: bytes
    report: dict
    warnings: tuple[str, ...]


class Conversion:
    """One conversion of one model. `run` does everything; the other methods are its stages."""

    def __init__(self, content: bytes, options: ConvertOptions) -> None:
        options.check()
        self.content, self.options = content, options
        self.model = load_model(content)
        check_convertible(self.model)
        self.plans = choose_treatments(find_sites(self.model), options)
        self._require_coded()
        self.samples = _open_samples(self.model, options)
        identity = calibration_identity(content, options.calibration, self.samples.build)
        self.store = CalibrationStore(options.calibration.store, identity)
        self.warnings: list[str] = []
        self._statistics: dict[int, Statistics] = {}
        self._coarseness: float | None = None

    def run(self) -> ConversionResult:
        """Converts the model.

        Raises:
          NothingToDoError: nothing can be coded, or a constraint cannot be met.
          VerificationError: a lossless conversion changed an output.
        """
        with self.store:
            self._collect_statistics()
            self._collect_choices()
        if self.options.objective == "arena":
            self._restrict_to_arena()
        self._coarseness = self._search()
        self._build_side_information()
        return self._finish(self._meet_constraint())

    @cached_property
    def labels(self) -> Labels | None:
        """Labels of the held-back samples, where the constraint is on accuracy."""
        if self.options.max_accuracy_drop is None:
            return None
        return find_labels(self.model, self.samples.held_back, self.options)

    @cached_property
    def _constraint(self) -> Constraint:
        options, model = self.options, (self.model, self.content)
        if options.max_bits_per_value is not None:
            return RateBound(options.constraint, options.max_bits_per_value, self._expected_bits)
        if options.max_accuracy_drop is not None:
            labels, samples = find_labels(self.model, self.samples.held_back, options), self.samples.held_back
            return AccuracyBound(
                options.constraint,
                options.max_accuracy_drop,
                lambda: AccuracyTrial(*model, list(samples), labels, options.num_threads),
                self._converted_at,
            )
        sources, values = (self.samples.held_back, self.samples.tables), sum(p.values for p in self.plans)
        return FidelityBound(
            options.constraint,
            options.effective_max_kl,
            lambda: fidelity_trial(*model, sources, values, options),
            self._converted_at,
        )

    # --- which maps, how coarse ---------------------------------------------------------------------------------------

    @property
    def _coded(self) -> list[SitePlan]:
        return [p for p in self.plans if p.coded]

    @property
    def _searched(self) -> list[SitePlan]:
        return [p for p in self.plans if p.is_searched]

    def _require_coded(self) -> None:
        if not self._coded:
            reasons = sorted({p.reason for p in self.plans if p.reason})
            raise NothingToDoError(f"no feature map is left to code: {'; '.join(reasons)}")

    def _collect_statistics(self) -> None:
        lossy = [p for p in self._coded if p.is_lossy]
        if lossy:
            sites, covariances = [p.site for p in lossy], [p.needs_covariance(self.options) for p in lossy]
            original = (self.store, self.model, self.content, sites, self.samples.build, covariances)
            if self.options.calibration.beam is not None:
                importlib.import_module("fmtc_tflite.beam").calibrate(*original, self.options)  # of an extra
            found = stages.value_statistics(*original, self.options.num_threads)
            self._statistics = {id(p.site.tensor): s for p, s in zip(lossy, found, strict=True)}
            self._drop_unfounded_klts()

    def _drop_unfounded_klts(self) -> None:
        """Codes maps that a recipe wants a KLT for without one where the samples do not tell their covariance."""
        for plan in self._coded:
            _, covariance = self._statistics.get(id(plan.site.tensor), (None, None))
            if plan.treatment.transform == "klt" and covariance is not None and not covariance.is_sufficient:
                plan.treatment = Treatment("step", plan.treatment.step)
                self.warnings.append(
                    f"{plan.site.name}: {covariance.count} pixels are too few for a KLT of {covariance.channels} "
                    "channels, so it is coded with its step alone; give more calibration samples"
                )

    def _collect_choices(self) -> None:
        if self._searched:
            choices = sensitivity_choices(
                self.model,
                self.content,
                self._searched,
                self._statistics,
                self.samples.build,
                self.options,
                self.store,
            )
            for plan, found in zip(self._searched, choices, strict=True):
                plan.choices = found
            if "allocation" not in self.options.disable:
                correct_levels(
                    self.model,
                    self.content,
                    self.plans,
                    self._statistics,
                    self.samples.tables,
                    self.options,
                    self.store,
                )

    def _quantize(self) -> None:
        """Gives every coded map side information with its final quantization and placeholder tables."""
        weight = 8 * sum(p.values for p in self.plans) / (self._coarseness or 1.0)
        for plan in self._coded:
            set_quantization(plan, self._statistics, weight)
            if plan.stored:
                plan.item_capacity = raw_capacity(plan)

    def _search(self) -> float | None:
        """The coarseness that just meets the constraint; None if no map takes its step from a search."""
        if not self._searched:
            return None
        coarseness = self._constraint.search()
        if coarseness is None and self.options.max_bits_per_value is not None:
            least = self._expected_bits(2.0**allocation.COARSEST_LOG2)
            raise NothingToDoError(
                f"{self._constraint.text} cannot be met: the coarsest coding still takes about {least:.3g} bits/value, "
                "side information apart; relax it"
            )
        if coarseness is None and self._drop_folding():
            coarseness = self._constraint.search()
        if coarseness is None:
            self._become_lossless()
        return coarseness

    def _drop_folding(self) -> bool:
        """Leaves folded maps out of the choice: they round a little differently however fine the steps are."""
        plans = [p for p in self._searched if p.fold_source is not None]
        for plan in plans:
            plan.fold_source = None
        return bool(plans)

    def _become_lossless(self) -> None:
        """What no step at all can break: the last resort where few samples leave the bound in doubt."""
        self.warnings.append(
            f"no lossy coding keeps {self.options.constraint} with certainty on these samples, so maps are coded "
            "losslessly; more calibration samples may allow more"
        )
        for plan in self._searched:
            plan.treatment = Treatment("lossless")

    def _converted_at(self, coarseness: float) -> Model:
        """The converted model at a coarseness, with placeholder tables: what it computes does not depend on them."""
        self._coarseness = coarseness
        self._quantize()
        return build_converted(self.content, self.plans)

    def _expected_bits(self, coarseness: float) -> float:
        """About the bits per value at a coarseness."""
        self._coarseness = coarseness
        self._quantize()
        coded_bits = sum(self._fit_tables(list(self.samples.tables.evenly(_RATE_SAMPLES))).values())
        skipped_bits = 8 * sum(p.values for p in self.plans if not p.coded)
        return (coded_bits + skipped_bits) / sum(p.values for p in self.plans)

    # --- tables -------------------------------------------------------------------------------------------------------

    def _build_side_information(self) -> None:
        self._quantize()
        expected_bits = self._fit_tables(self.samples.tables)
        needed = {id(p.fold_source) for p in self._coded if p.folded}
        for plan in self._coded:
            assert plan.info is not None
            spent = expected_bits.get(id(plan), 0.0) / 8 + len(plan.info.to_bytes())
            wanted = plan.asked_for or id(plan) in needed
            if self.options.objective == "traffic" and spent >= plan.values and not wanted:
                plan.skip("coding would not make it smaller, side information included")
        if self.options.has_budgets:
            self._set_budgets()
        self._require_coded()

    def _fit_tables(self, samples: Dataset | Sequence[passes.Sample]) -> dict[int, float]:
        """Fits the entropy tables of all stored maps; returns the expected coded bits of each, headers included."""
        expected: dict[int, float] = {}
        for index, group in self._by_subgraph().items():
            own = samples if index == 0 else _synthetic(self.model, index, self.options)
            infos = [p.info for p in group if p.info is not None]
            histograms, count = passes.residual_histograms(
                self.model, self.content, [p.site.tensor for p in group], infos, own, self.options.num_threads, index
            )
            for plan, info, histogram in zip(group, infos, histograms, strict=True):
                model = entropy_model.fit(histogram, count, predictors="prediction" not in self.options.disable)
                plan.info = replace(
                    info, classes=model.classes, component_class=model.component_class, predictor=model.predictor
                )
                cut = geometry(*plan.site.grid[1:], info.components)
                expected[id(plan)] = model.bits / count + 8 * cut.overhead_bytes * plan.site.tensor.shape[0]
        for plan in self._coded:
            if plan.folded:
                follow_source(plan)
        return expected

    def _by_subgraph(self) -> dict[int, list[SitePlan]]:
        groups: dict[int, list[SitePlan]] = {}
        for plan in self._coded:
            if not plan.stored:
                continue
            groups.setdefault(self.model.subgraphs.index(plan.site.subgraph), []).append(plan)
        return groups

    # --- arena --------------------------------------------------------------------------------------------------------

    def _restrict_to_arena(self) -> None:
        """Keeps only the maps whose coded form lowers the planned peak, judged at a middling coarseness."""
        self._coarseness = arena_objective.PLANNING_COARSENESS
        self._quantize()
        self._fit_tables(self.samples.tables)
        self._set_budgets()
        arena_objective.restrict(self.content, self.plans)

    def _set_budgets(self) -> None:
        """Makes the coded tensors of lossy maps as small as the samples and the options allow."""
        lossy = [p for p in self._coded if p.stored and p.info is not None and p.info.is_lossy]
        sizes = passes.coded_sizes(
            self.model,
            self.content,
            [p.site.tensor for p in lossy],
            [p.info for p in lossy if p.info is not None],
            self.samples.tables,
            self.options.num_threads,
        )
        for plan, own in zip(lossy, sizes, strict=True):
            set_budget(plan, own, self.options)
        for plan in self._coded:
            if plan.folded:
                follow_source(plan)

    # --- verification -------------------------------------------------------------------------------------------------

    def _meet_constraint(self) -> Comparison:
        """Runs the converted model on all held-back samples and corrects the coarseness until the constraint holds."""
        for _ in range(_CORRECTIONS):
            comparison = compare(
                (self.model, self.content),
                build_converted(self.content, self.plans).to_bytes(),
                self.samples.held_back,
                self.options.output_kind,
                self.options.num_threads,
                self.labels,
            )
            bits = self._bits_per_value(comparison)
            if self._coarseness is None or self._constraint.holds(comparison, bits):
                return comparison
            self._coarseness *= self._constraint.correction(comparison, bits)
            logging.info("constraint missed on all held-back samples; coarseness now %.4f", self._coarseness)
            self._build_side_information()
        raise NothingToDoError(
            f"{self.options.constraint} is not met on the held-back samples ({comparison.measure} "
            f"{comparison.fidelity.mean:.4g}, {self._bits_per_value(comparison):.3f} bits/value); relax it"
        )

    def _bits_per_value(self, comparison: Comparison) -> float:
        return totals(self.plans, comparison)["bits_per_value"]

    def _finish(self, comparison: Comparison) -> ConversionResult:
        self._judge(comparison)
        converted = build_converted(self.content, self.plans)
        document = conversion_report(
            self.model, self.content, converted, self.plans, comparison, self.samples.kind, self.options
        )
        converted.metadata[METADATA_NAME] = json.dumps(without_paths(document), separators=(",", ":")).encode()
        content = converted.to_bytes()
        _smoke_run(content, next(iter(self.samples.held_back)), self.options.num_threads)
        document["model"]["converted_size_bytes"] = len(content)
        return ConversionResult(content, document, tuple(self.warnings))

    def _judge(self, comparison: Comparison) -> None:
        """Raises VerificationError if what should be bit-exact is not; collects what else a user should know."""
        lossless = not any(p.is_lossy for p in self._coded)
        if lossless and not comparison.bit_exact:
            raise VerificationError(
                "the losslessly converted model gave other outputs than the original; nothing was written. "
                "Please report this with the model"
            )
        if lossless:
            return
        self.warnings += [s.note for s in fidelity_sources(self.model, self.options.output_kind) if s.note]
        if not self._constraint.holds(
            comparison, self._bits_per_value(comparison)
        ):  # only where a recipe fixes all steps
            self.warnings.append(f"the recipe's steps do not meet {self.options.constraint}")
        if self.options.max_bits_per_value is None and self.options.max_accuracy_drop is None:
            warning = uncertainty_warning(comparison.fidelity, self.options.effective_max_kl)
            self.warnings += [warning] if warning else []


def _open_samples(model: Model, options: ConvertOptions) -> Samples:
    wanted = options.calibration
    if wanted.data is None:
        build, held_back = _synthetic(model, 0, options).split(minimum=_SYNTHETIC_SAMPLES // 3, seed=wanted.seed)
        return Samples(build, build, held_back, "synthetic")
    build, held_back = open_calibration_data(model, wanted)
    return Samples(build, build.evenly(_MOST_SAMPLES), held_back.evenly(_MOST_SAMPLES), "calibration")


def _synthetic(model: Model, subgraph_index: int, options: ConvertOptions) -> SyntheticDataset:
    specs = input_specs_from_model(model, subgraph_index)
    return SyntheticDataset(specs, _SYNTHETIC_SAMPLES, options.calibration.seed)


def _smoke_run(content: bytes, sample: passes.Sample, num_threads: int | None) -> None:
    """The very bytes that will be written are parsed and run once."""
    ModelRunner(load_model(content), content, num_threads=num_threads).run(sample)

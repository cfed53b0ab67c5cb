"""What is done to each feature map: from options and recipe to quantization."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from fmtc_tflite.calibration.projection import signed_zero_point
from fmtc_tflite.calibration.stages import Statistics
from fmtc_tflite.calibration.statistics import CovarianceStatistics, ValueStatistics
from fmtc_tflite.coding import entropy_model, quantizer, transform
from fmtc_tflite.coding.geometry import geometry
from fmtc_tflite.coding.paper import PaperFigures
from fmtc_tflite.coding.side_info import STEP_ONE, SideInformation, TokenClass
from fmtc_tflite.conversion import folding
from fmtc_tflite.conversion.choices import Choice, best_pick
from fmtc_tflite.conversion.recipe import Recipe
from fmtc_tflite.errors import CodingError, RecipeError
from fmtc_tflite.graph.edits.rotate import RotatedConvolution
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.types import ConvertOptions, Treatment

# Constant level (FORMAT.md section 4.3) that budgets use and that matrices leave room for.
RESERVED_LEVEL = 4
_LOSSLESS = Treatment("lossless")
_LARGEST_SEARCHED_KLT = 256  # channels


@dataclass(eq=False)
class SitePlan:
    """What becomes of one candidate feature map; filled in stage by stage.

    Attributes:
      site: the candidate in the original model.
      treatment: the transform in use; `skip` if it is left alone.
      reason: why it is skipped, None if it is coded.
      asked_for: the user named the map, so it is coded even where that makes it larger.
      choices: ways to code it and what they cost, where the search may choose; the step quantizer first.
      fold_source: the plan of the map from whose coded form the decoder could compute this one; None if it cannot.
      folded: it does so; the map is not stored.
      info: side information; its tables are placeholders until they are fitted.
      item_capacity: bytes per batch item of the coded tensor.
      rotated: constants with which the producer emits the map's coefficients; only the paper's scheme has them.
      paper: what the paper's scheme came to on the map; None under other presets.
    """

    site: Site
    treatment: Treatment
    reason: str | None = None
    asked_for: bool = False
    choices: list[Choice] = field(default_factory=list)
    fold_source: "SitePlan | None" = None
    folded: bool = False
    info: SideInformation | None = None
    item_capacity: int = 0
    rotated: RotatedConvolution | None = None
    paper: PaperFigures | None = None

    def skip(self, reason: str) -> None:
        """Leaves the map alone from now on."""
        self.treatment, self.reason, self.info, self.folded = Treatment("skip"), reason, None, False

    @property
    def coded(self) -> bool:
        return self.reason is None

    @property
    def is_lossy(self) -> bool:
        """Whether decoded values may differ."""
        return self.coded and self.treatment.transform != "lossless"

    def needs_covariance(self, options: ConvertOptions) -> bool:
        """Whether a KLT of the map may be wanted.

        The search tries one where the producer has no activation and the matrices stay small: on maps that a ReLU has
        cut it costs more than it saves.
        """
        if self.treatment.transform == "klt":
            return True
        is_linear = self.site.activation_range == (-128, 127)
        small = self.site.tensor.shape[3] <= _LARGEST_SEARCHED_KLT
        return self.is_searched and is_linear and small and "klt" not in options.disable

    @property
    def is_searched(self) -> bool:
        """Whether the map's steps follow the search."""
        return self.coded and self.treatment.transform == "step" and self.treatment.step is None

    @property
    def stored(self) -> bool:
        """Whether the map has a coded tensor of its own."""
        return self.coded and not self.folded

    @property
    def values(self) -> int:
        """Values of the map, one inference."""
        return self.site.values

    @property
    def batch(self) -> int:
        """Batch size that the model was made for."""
        return self.site.tensor.shape[0]

    @property
    def capacity_bytes(self) -> int:
        """Bytes of the coded tensor."""
        return self.item_capacity * self.batch


def choose_treatments(sites: Sequence[Site], options: ConvertOptions) -> list[SitePlan]:
    """A plan for every candidate, in the order of `sites`.

    Raises:
      RecipeError: the recipe is malformed, has an entry that matches nothing, or asks for loss where there may be none.
    """
    recipe = Recipe.load(options.recipe) if options.recipe else Recipe([])
    plans = [_plan(site, recipe, options) for site in sites]
    if options.objective == "traffic" and "klt" not in options.disable:
        by_tensor = {id(p.site.tensor): p for p in plans}
        for plan in plans:
            if folding.can_fold(plan.site):
                plan.fold_source = by_tensor.get(id(plan.site.producer.inputs[0]))
    if recipe.unused():
        raise RecipeError(
            f"recipe {options.recipe}: no feature map's name matches {', '.join(recipe.unused())}; "
            "--dry_run lists the names"
        )
    return plans


def _plan(site: Site, recipe: Recipe, options: ConvertOptions) -> SitePlan:
    name = site.name
    from_recipe = recipe.treatment(name)
    wanted = from_recipe or (_LOSSLESS if options.is_lossless else options.default_treatment)
    plan = SitePlan(site, wanted, asked_for=from_recipe is not None or options.include is not None)
    if site.skipped_reason is not None:
        plan.skip(site.skipped_reason)
    elif options.include is not None and not re.search(options.include, name):
        plan.skip("not matched by --include")
    elif options.exclude is not None and re.search(options.exclude, name):
        plan.skip("matched by --exclude")
    elif options.preset == "paper" and site.subgraph.index:
        plan.skip("the preset paper codes the main subgraph only")
    elif wanted.transform == "skip":
        plan.skip("the recipe says so")
    elif wanted.transform != "lossless":
        if isinstance(wanted.step, tuple) and len(wanted.step) != site.tensor.shape[3]:
            raise RecipeError(
                f"recipe {options.recipe}: {name!r} gets {len(wanted.step)} steps, expected one number or one for each "
                f"of its {site.tensor.shape[3]} channels"
            )
        if options.is_lossless:
            raise RecipeError(
                f"recipe {options.recipe}: {name!r} is to be coded with {wanted.transform}, which needs "
                "--calibration_data and no --lossless"
            )
        if site.subgraph.index:
            plan.treatment = _LOSSLESS  # fidelity is measured on the main subgraph's outputs only
    return plan


def raw_capacity(plan: SitePlan) -> int:
    """Bytes per batch item that always suffice for the plan's coded tensor."""
    assert plan.info is not None
    return geometry(*plan.site.grid[1:], plan.info.components).item_capacity_bytes


def map_centres(site: Site, statistics: ValueStatistics) -> int | np.ndarray:
    """Centres of the step quantizer for a map."""
    lo, _ = site.activation_range
    return quantizer.centres(statistics.means, lo, signed_zero_point(site.tensor))


def set_quantization(plan: SitePlan, statistics: Mapping[int, Statistics], weight: float) -> None:
    """Gives a coded plan side information with its quantization and one flat placeholder table.

    Args:
      plan: a coded plan.
      statistics: of the lossy maps, by id of their tensor.
      weight: Lagrangian weight of fidelity, for plans whose steps follow the search.
    """
    channels = plan.site.tensor.shape[3]
    plan.folded = False
    if plan.is_searched and _folding_pays(plan, weight):
        try:
            plan.folded = True
            follow_source(plan)
            return
        except CodingError:  # weights so uneven that no matrix of 16 bits holds them
            plan.folded, plan.fold_source = False, None
    if plan.treatment.transform == "lossless":
        plan.info = _with_flat_table(channels, channels)
        return
    values, covariance = statistics[id(plan.site.tensor)]
    lo, hi = plan.site.activation_range
    if plan.treatment.transform == "klt":
        r = min(plan.treatment.components or channels, channels)
        assert not isinstance(plan.treatment.step, tuple)  # a recipe's KLT has one step
        plan.info = _klt(plan.site, covariance, r, plan.treatment.step or 1.0)
        return
    centres = map_centres(plan.site, values)
    if plan.treatment.step is not None:
        codes = quantizer.step_codes(plan.treatment.step, channels)
    else:
        pick = best_pick(plan.choices, weight)
        codes = pick.steps
        if pick.transform == "klt":
            plan.info = _klt(plan.site, covariance, pick.components, int(codes[0]) / STEP_ONE)
            return
    if (codes == STEP_ONE).all():
        plan.info = _with_flat_table(channels, channels)
    else:
        plan.info = _with_flat_table(channels, channels, centre=centres, step=_compact(codes), lo=lo, hi=hi)


def _folding_pays(plan: SitePlan, weight: float) -> bool:
    """Whether computing the map in the decoder costs clearly less than storing it, at a Lagrangian weight.

    The map then is as good as its source's coded form, as it is if the source is decoded for its producer. The matrix
    has to save twice what it takes, since it takes room in the model as well.
    """
    source = plan.fold_source
    if source is None or not plan.choices or not source.stored or source.info is None:
        return False
    stored = best_pick(plan.choices, weight).total
    return source.info.synthesis is None and 2 * folding.side_information_bits(plan.site) < stored


def follow_source(plan: SitePlan) -> None:
    """Gives a folded plan its source's quantization and tables, with the producer as the decoder's synthesis."""
    source = plan.fold_source
    assert source is not None
    assert source.info is not None
    lo, hi = plan.site.activation_range
    synthesis, compact = folding.synthesis(plan.site, source.info.centres, source.info.steps, RESERVED_LEVEL)
    channels = plan.site.tensor.shape[3]
    plan.info = replace(source.info, channels=channels, lo=lo, hi=hi, synthesis=synthesis, compact=compact)
    plan.item_capacity = 0


def _klt(site: Site, statistics: CovarianceStatistics | None, components: int, step: float) -> SideInformation:
    assert statistics is not None
    lo, hi = site.activation_range
    analysis, synthesis = transform.klt(statistics.means, statistics.covariance, components, step, RESERVED_LEVEL)
    channels = site.tensor.shape[3]
    return _with_flat_table(channels, components, lo=lo, hi=hi, analysis=analysis, synthesis=synthesis)


def _compact(codes: np.ndarray) -> int | np.ndarray:
    """One step for all components where they agree."""
    return int(codes[0]) if (codes == codes[0]).all() else codes.astype(np.uint16)


def _with_flat_table(channels: int, components: int, **quantization: object) -> SideInformation:
    zeros = np.zeros(components, np.uint8)
    return SideInformation(channels, zeros, zeros, _flat_table(), **quantization)  # type: ignore[arg-type]


@cache
def _flat_table() -> tuple[TokenClass, ...]:
    classes, _ = entropy_model.fit_classes(np.ones((1, 256)))
    return tuple(classes)

"""What is done to each feature map: from options and recipe to quantization."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fmtc_tflite.calibration.statistics import CovarianceStatistics, ValueStatistics
from fmtc_tflite.coding import entropy_model, quantizer, transform
from fmtc_tflite.coding.geometry import geometry
from fmtc_tflite.coding.side_info import STEP_ONE, SideInformation
from fmtc_tflite.conversion import folding
from fmtc_tflite.conversion.choices import Choice, best_choice
from fmtc_tflite.conversion.recipe import Recipe
from fmtc_tflite.errors import RecipeError
from fmtc_tflite.graph.model_io import Tensor
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.types import ConvertOptions, Treatment

# Constant level (FORMAT.md section 4.3) that budgets use and that matrices leave room for.
RESERVED_LEVEL = 4
_LOSSLESS = Treatment("lossless")
Statistics = tuple[ValueStatistics, CovarianceStatistics | None]


@dataclass(eq=False)
class SitePlan:
    """What becomes of one candidate feature map; filled in stage by stage.

    Attributes:
      site: the candidate in the original model.
      treatment: the transform in use; `skip` if it is left alone.
      reason: why it is skipped, None if it is coded.
      asked_for: the user named the map, so it is coded even where that makes it larger.
      choices: ways to code it, where the search may choose; empty otherwise.
      folded: the producer's input is coded in the map's place.
      info: side information; its tables are placeholders until they are fitted.
      item_capacity: bytes per batch item of the coded tensor.
    """

    site: Site
    treatment: Treatment
    reason: str | None = None
    asked_for: bool = False
    choices: list[Choice] = field(default_factory=list)
    folded: bool = False
    info: SideInformation | None = None
    item_capacity: int = 0

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

    @property
    def is_searched(self) -> bool:
        """Whether the map's steps follow the search."""
        return self.coded and self.treatment.transform == "step" and self.treatment.step is None

    @property
    def encoded(self) -> Tensor:
        """What the encoder reads."""
        tensor = self.site.producer.inputs[0] if self.folded else self.site.tensor
        assert tensor is not None
        return tensor

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
    if recipe.unused():
        raise RecipeError(
            f"recipe {options.recipe}: no feature map's name matches {', '.join(recipe.unused())}; "
            "--dry_run lists the names"
        )
    return plans


def _plan(site: Site, recipe: Recipe, options: ConvertOptions) -> SitePlan:
    name = site.name
    from_recipe = recipe.treatment(name)
    wanted = from_recipe or (_LOSSLESS if options.is_lossless else Treatment("step"))
    plan = SitePlan(site, wanted, asked_for=from_recipe is not None or options.include is not None)
    if site.skipped_reason is not None:
        plan.skip(site.skipped_reason)
    elif options.include is not None and not re.search(options.include, name):
        plan.skip("not matched by --include")
    elif options.exclude is not None and re.search(options.exclude, name):
        plan.skip("matched by --exclude")
    elif wanted.transform == "skip":
        plan.skip("the recipe says so")
    elif wanted.transform != "lossless":
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
    return quantizer.centres(statistics.means, lo, folding.signed_zero_point(site.tensor))


def set_quantization(plan: SitePlan, statistics: Mapping[int, Statistics], weight: float) -> None:
    """Gives a coded plan side information with its quantization and one flat placeholder table.

    Args:
      plan: a coded plan.
      statistics: of the lossy maps, by id of their tensor.
      weight: Lagrangian weight of fidelity, for plans whose steps follow the search.
    """
    channels = plan.site.tensor.shape[3]
    plan.folded = False
    if plan.treatment.transform == "lossless":
        plan.info = _with_flat_table(channels, channels)
        return
    values, covariance = statistics[id(plan.site.tensor)]
    lo, hi = plan.site.activation_range
    if plan.treatment.transform == "klt":
        assert covariance is not None
        r = min(plan.treatment.components or channels, channels)
        analysis, synthesis = transform.klt(
            covariance.means, covariance.covariance, r, plan.treatment.step or 1.0, RESERVED_LEVEL
        )
        plan.info = _with_flat_table(channels, r, lo=lo, hi=hi, analysis=analysis, synthesis=synthesis)
        return
    centres = map_centres(plan.site, values)
    if plan.treatment.step is not None:
        codes = np.full(channels, quantizer.step_code(plan.treatment.step))
    else:
        choice, codes = best_choice(plan.choices, weight)
        plan.folded = choice.folded
    if plan.folded:
        plan.info = _folded(plan, statistics, codes)
    elif (codes == STEP_ONE).all():
        plan.info = _with_flat_table(channels, channels)
    else:
        plan.info = _with_flat_table(channels, channels, centre=centres, step=_compact(codes), lo=lo, hi=hi)


def _folded(plan: SitePlan, statistics: Mapping[int, Statistics], codes: np.ndarray) -> SideInformation:
    source = plan.site.producer.inputs[0]
    assert source is not None
    values, _ = statistics[id(source)]
    lossless = bool((codes == STEP_ONE).all())
    centre = 0 if lossless else np.clip(np.rint(values.means), -128, 127).astype(np.int8)
    lo, hi = plan.site.activation_range
    return _with_flat_table(
        plan.site.tensor.shape[3],
        source.shape[3],
        centre=centre,
        step=_compact(codes),
        lo=lo,
        hi=hi,
        synthesis=folding.synthesis(
            plan.site, np.broadcast_to(centre, codes.shape).astype(np.int64), codes, RESERVED_LEVEL
        ),
    )


def _compact(codes: np.ndarray) -> int | np.ndarray:
    """One step for all components where they agree."""
    return int(codes[0]) if (codes == codes[0]).all() else codes.astype(np.uint16)


def _with_flat_table(channels: int, components: int, **quantization: object) -> SideInformation:
    zeros = np.zeros(components, np.uint8)
    classes, _ = entropy_model.fit_classes(np.ones((1, 256)))
    return SideInformation(channels, zeros, zeros, tuple(classes), **quantization)  # type: ignore[arg-type]

"""What is done to each feature map: from options and recipe to quantization."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fmtc_tflite.calibration.statistics import CovarianceStatistics, ValueStatistics
from fmtc_tflite.coding import entropy_model, quantizer, transform
from fmtc_tflite.coding.side_info import STEP_ONE, SideInformation
from fmtc_tflite.conversion.recipe import Recipe
from fmtc_tflite.errors import RecipeError
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.types import ConvertOptions, Treatment

_LOSSLESS = Treatment("lossless")


@dataclass(eq=False)
class SitePlan:
    """What becomes of one candidate feature map; filled in stage by stage.

    Attributes:
      site: the candidate in the original model.
      treatment: the transform in use; `skip` if it is left alone.
      reason: why it is skipped, None if it is coded.
      info: side information; its tables are placeholders until they are fitted.
      item_capacity: bytes per batch item of the coded tensor.
      asked_for: the user named the map, so it is coded even where that makes it larger.
    """

    site: Site
    treatment: Treatment
    reason: str | None = None
    info: SideInformation | None = None
    item_capacity: int = 0
    asked_for: bool = False

    def skip(self, reason: str) -> None:
        """Leaves the map alone from now on."""
        self.treatment, self.reason, self.info = Treatment("skip"), reason, None

    @property
    def coded(self) -> bool:
        return self.reason is None

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


def takes_searched_step(plan: SitePlan) -> bool:
    """Whether the map's step follows the search over the step multiplier."""
    return plan.coded and plan.treatment.transform in ("step", "klt") and plan.treatment.step is None


def flat_side_information(
    plan: SitePlan,
    statistics: tuple[ValueStatistics, CovarianceStatistics | None] | None,
    multiplier: float | None,
) -> SideInformation:
    """Side information with the map's quantization and one flat placeholder table.

    Args:
      plan: a coded plan.
      statistics: of the map; None for lossless maps.
      multiplier: of the map's RMS, for maps that take their step from the search.
    """
    channels = plan.site.tensor.shape[3]
    if plan.treatment.transform == "lossless":
        return _with_flat_table(channels, channels)
    assert statistics is not None
    values, covariance = statistics
    lo, hi = plan.site.activation_range
    centre = quantizer.centres(values.means, lo, _signed_zero_point(plan.site))
    step = plan.treatment.step if plan.treatment.step is not None else (multiplier or 0.0) * values.rms(centre)
    if plan.treatment.transform == "step":
        code = quantizer.step_code(step)
        if code == STEP_ONE:
            return _with_flat_table(channels, channels)
        return _with_flat_table(channels, channels, centre=centre, step=code, lo=lo, hi=hi)
    assert covariance is not None
    components = min(plan.treatment.components or channels, channels)
    analysis, synthesis = transform.klt(covariance.means, covariance.covariance, components, max(step, 1.0))
    return _with_flat_table(channels, components, lo=lo, hi=hi, analysis=analysis, synthesis=synthesis)


def _signed_zero_point(site: Site) -> int:
    """The tensor's zero point in the int8 domain."""
    return (site.tensor.zero_point or 0) - (128 if site.tensor.dtype == np.uint8 else 0)


def _with_flat_table(channels: int, components: int, **quantization: object) -> SideInformation:
    zeros = np.zeros(components, np.uint8)
    classes, _ = entropy_model.fit_classes(np.ones((1, 256)))
    return SideInformation(channels, zeros, zeros, tuple(classes), **quantization)  # type: ignore[arg-type]

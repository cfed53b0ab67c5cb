"""What may be done with each feature map: from options and recipe to a treatment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fmtc_tflite.coding.convolution import Convolution
from fmtc_tflite.conversion import folding
from fmtc_tflite.conversion.choices import Choice
from fmtc_tflite.conversion.copies import Copy, find_copies
from fmtc_tflite.conversion.recipe import Recipe
from fmtc_tflite.errors import NothingToDoError, RecipeError
from fmtc_tflite.graph.model import Tensor
from fmtc_tflite.graph.selection import Filter, Place, places
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.regions.kernel_sets import KernelSet
from fmtc_tflite.types import ConvertOptions, Treatment

LOSSLESS = Treatment("lossless")
_SKIP = Treatment("skip")
_LARGEST_SEARCHED_KLT = 256  # channels


@dataclass(frozen=True, eq=False)
class TreatedMap:
    """What is decided about one candidate feature map before any step is.

    Attributes:
      site: the candidate in the original model.
      treatment: the transform in use; `skip` if it is left alone.
      reason: why it is skipped, None if it is coded.
      asked_for: the user named the map, so it is coded even where that makes it larger.
      choices: ways to code it and what they cost, where the search may choose; the step quantizer first.
      fold_source: the map from whose coded form the decoder could compute this one; None if it cannot.
      copy: what the map only says again, so that it is not stored at all; None if it is a map of its own.
      convolution: how it would.
      kernels: whose results that gives.
    """

    site: Site
    treatment: Treatment
    reason: str | None = None
    asked_for: bool = False
    choices: tuple[Choice, ...] = ()
    fold_source: Site | None = None
    copy: Copy | None = None
    convolution: Convolution | None = None
    kernels: str | None = None

    def skipped(self, reason: str) -> TreatedMap:
        """The map left alone."""
        return replace(self, treatment=Treatment("skip"), reason=reason)

    @property
    def coded(self) -> bool:
        """Whether the map has a coded form of its own, stored or folded."""
        return self.reason is None and self.copy is None

    @property
    def left_alone(self) -> bool:
        """Whether the map is stored as it is."""
        return self.reason is not None and self.copy is None

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
    def is_lossless(self) -> bool:
        """Whether decoded values have to be the same."""
        return self.coded and self.treatment.transform == "lossless"

    @property
    def is_searched(self) -> bool:
        """Whether the map's steps follow the search."""
        return self.coded and self.treatment.transform == "step" and self.treatment.step is None

    @property
    def values(self) -> int:
        """Values of the map, one inference."""
        return self.site.values


def require_coded(maps: Sequence[TreatedMap]) -> None:
    """Raises NothingToDoError if all maps are skipped."""
    if all(not m.coded for m in maps):
        reasons = sorted({m.reason for m in maps if m.reason})
        reasons += sorted({f"{m.site.name!r} only says {m.copy.source.name!r} again" for m in maps if m.copy})[:1]
        raise NothingToDoError(f"no feature map is left to code: {'; '.join(reasons)}")


def choose_treatments(sites: Sequence[Site], options: ConvertOptions) -> tuple[list[TreatedMap], list[str]]:
    """A treatment for every candidate, in the order of `sites`; and warnings.

    Raises:
      RecipeError: the recipe is malformed, has an entry that matches nothing, or asks for loss where there may be none.
      UsageError: --include or --exclude is no selector.
    """
    recipe = Recipe.load(options.recipe) if options.recipe else Recipe([])
    filter_ = Filter.parse(options.include, options.exclude)
    where = place_sites(sites)
    maps = [_treated(site, place, recipe, filter_, options) for site, place in zip(sites, where, strict=True)]
    if "copies" not in options.disable:
        copies = find_copies(sites)
        maps = [replace(m, treatment=_SKIP, reason=None, copy=copies[m.site]) if m.site in copies else m for m in maps]
    if options.objective != "arena" and "folding" not in options.disable:
        maps = _with_fold_sources(maps, folding.chosen_kernels(options))
    if options.recipe:
        recipe.check_used(where, options.recipe)
    return maps, [*filter_.warnings(where), *recipe.warnings()]


def _with_fold_sources(maps: Sequence[TreatedMap], kernels: KernelSet) -> list[TreatedMap]:
    by_tensor: dict[Tensor | None, Site] = {m.site.tensor: m.site for m in maps}
    found = []
    for m in maps:
        source = by_tensor.get(m.site.producer.inputs[0]) if m.coded and m.site.producer.inputs else None
        convolution = None if source is None else folding.folded_convolution(m.site, kernels)
        found.append(
            m if convolution is None else replace(m, fold_source=source, convolution=convolution, kernels=kernels.name)
        )
    return found


def place_sites(sites: Sequence[Site]) -> list[Place]:
    """Where each feature map is written, for selectors."""
    by_op = {op: place for subgraph in {s.subgraph: None for s in sites} for op, place in places(subgraph).items()}
    return [replace(by_op[site.producer], tensors=(site.tensor,)) for site in sites]


def _treated(site: Site, place: Place, recipe: Recipe, filter_: Filter, options: ConvertOptions) -> TreatedMap:
    name = site.name
    from_recipe = recipe.treatment(place)
    wanted = from_recipe or (LOSSLESS if options.is_lossless else options.default_treatment)
    treated = TreatedMap(site, wanted, asked_for=from_recipe is not None or options.include is not None)
    if site.skipped_reason is not None:
        return treated.skipped(site.skipped_reason)
    left_out = filter_.reason(place)
    if left_out is not None:
        return treated.skipped(left_out)
    if options.preset == "paper" and site.subgraph.index:
        return treated.skipped("the preset paper codes the main subgraph only")
    if wanted.transform == "skip":
        return treated.skipped("the recipe says so")
    if wanted.transform != "lossless":
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
    return treated

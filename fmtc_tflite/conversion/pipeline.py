"""From a model and samples to a converted model: the stages of `fmtc-convert`, in order.

source -> treatments -> statistics -> choices and their costs -> search over one Lagrangian weight -> tables, capacities
and inserted ops -> verification -> new weights, where asked for. Each stage takes what the ones before it have decided
and changes none of it. Samples that build steps, tables or weights never count for sizes or fidelity.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fmtc_tflite.calibration import kept_statistics
from fmtc_tflite.calibration.kept_statistics import Statistics
from fmtc_tflite.conversion import arena_objective
from fmtc_tflite.conversion.coder import Coder
from fmtc_tflite.conversion.costs import with_choices
from fmtc_tflite.conversion.refit import refit
from fmtc_tflite.conversion.result import Part
from fmtc_tflite.conversion.search import Found, Outcome, constraint_of, meet_constraint, search
from fmtc_tflite.conversion.source import Source
from fmtc_tflite.conversion.treatment import TreatedMap
from fmtc_tflite.conversion.verdict import judge
from fmtc_tflite.errors import VerificationError
from fmtc_tflite.fidelity.meters import fidelity_sources
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.progress import Stage, stage, stages
from fmtc_tflite.types import Treatment


def convert_default(source: Source) -> Part:
    """Converts one entry point of a model within the constraint of the options.

    Raises:
      NothingToDoError: nothing can be coded, or a constraint cannot be met.
      VerificationError: a lossless conversion changed an output.
    """
    with stages(*_stages(source)):
        with source.store:
            stage("statistics")
            statistics = _statistics(source)
            maps, warnings = _without_unfounded_klts(source.maps, statistics)
            stage("sensitivities")
            maps, stops = with_choices(source, maps, statistics)
        coder = Coder(source, statistics)
        stage("search")
        if source.options.objective == "arena":
            maps = arena_objective.restrict(coder, maps)
        found = search(coder, maps)
        outcome = meet_constraint(coder, found)
        refitting = None
        if source.options.refit:
            stage("refit")
            refitting, codings, comparison = refit(source, outcome.codings, outcome.comparison)
            outcome = Outcome(codings, comparison)
    verdict, own = _judge(coder, found, outcome)
    lines = [*warnings, *stops, *found.warnings, *own]
    return Part(source, outcome.codings, outcome.comparison, lines, verdict, refitting)


def _stages(source: Source) -> list[Stage]:
    """What there is to do; a search runs about ten candidates."""
    lossy = any(m.is_lossy for m in source.maps)
    searched: list[Stage] = [("sensitivities", 2), ("search", 10)] if any(m.is_searched for m in source.maps) else []
    last: list[Stage] = [("refit", 5)] if source.options.refit else []
    return [*([("statistics", 1)] if lossy else []), *searched, ("tables", 2), ("verification", 2), *last]


def _statistics(source: Source) -> Mapping[Site, Statistics]:
    """Of the lossy maps, on the original model."""
    options = source.options
    lossy = [m for m in source.maps if m.is_lossy]
    if not lossy:
        return {}
    sites, covariances = [m.site for m in lossy], [m.needs_covariance(options) for m in lossy]
    original = (source.store, source.file, sites, source.samples.build, covariances)
    if options.calibration.beam is not None:
        importlib.import_module("fmtc_tflite.beam").calibrate(*original, options)  # of an extra
    return dict(zip(sites, kept_statistics.value_statistics(*original, options.num_threads), strict=True))


def _without_unfounded_klts(
    maps: Sequence[TreatedMap], statistics: Mapping[Site, Statistics]
) -> tuple[list[TreatedMap], list[str]]:
    """Maps that a recipe wants a KLT for, without one where the samples do not tell their covariance; warnings."""
    kept, warnings = [], []
    for treated in maps:
        _, covariance = statistics.get(treated.site, (None, None))
        if treated.treatment.transform == "klt" and covariance is not None and not covariance.is_sufficient:
            treated = replace(treated, treatment=Treatment("step", treated.treatment.step))
            warnings.append(
                f"{treated.site.name}: {covariance.count} pixels are too few for a KLT of {covariance.channels} "
                "channels, so it is coded with its step alone; give more calibration samples"
            )
        kept.append(treated)
    return kept, warnings


def _judge(coder: Coder, found: Found, outcome: Outcome) -> tuple[str, list[str]]:
    """See verdict.judge; raises VerificationError if what should be bit-exact is not."""
    source, options, comparison = coder.source, coder.source.options, outcome.comparison
    maps = [c.treated for c in outcome.codings]
    if not any(m.is_lossy for m in maps) and not comparison.bit_exact:
        raise VerificationError(
            "the losslessly converted model gave other outputs than the original; nothing was written. "
            "Please report this with the model"
        )
    if options.is_lossless:
        return "", []
    verdict, warnings = judge(options, constraint_of(coder, maps), outcome.codings, comparison, not found.gave_up)
    if any(m.is_lossy for m in maps):
        warnings = [s.note for s in fidelity_sources(source.file.model, options.output_kind) if s.note] + warnings
    return verdict, warnings

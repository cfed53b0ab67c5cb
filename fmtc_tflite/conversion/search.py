"""How coarse a conversion may be: the search for a coarseness, and its correction on all held-back samples."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fmtc_tflite.coding import allocation
from fmtc_tflite.conversion.bounds import (
    AccuracyBound,
    Constraint,
    FidelityBound,
    RateBound,
    fidelity_trial,
    find_labels,
    trial_samples,
)
from fmtc_tflite.conversion.build import Refit, build_converted
from fmtc_tflite.conversion.coder import Coder
from fmtc_tflite.conversion.document import totals
from fmtc_tflite.conversion.map_coding import MapCoding, lossy_maps
from fmtc_tflite.conversion.source import Source
from fmtc_tflite.conversion.treatment import LOSSLESS, TreatedMap
from fmtc_tflite.data.repeated import RepeatedSamples
from fmtc_tflite.errors import NothingToDoError
from fmtc_tflite.fidelity.verify import AccuracyTrial, Comparison, compare
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.progress import stage

_CORRECTIONS = 6


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
      maps: some may have become lossless, or lost their fold_source.
      coarseness: None if no map takes its step from a search.
      warnings: lines that a user should see.
      gave_up: nothing that was tried keeps the bound.
    """

    maps: Sequence[TreatedMap]
    coarseness: float | None
    warnings: tuple[str, ...] = ()
    gave_up: bool = False


@dataclass(frozen=True)
class Outcome:
    """A finished conversion, and its run on all held-back samples."""

    codings: Sequence[MapCoding]
    comparison: Comparison


def constraint_of(coder: Coder, maps: Sequence[TreatedMap]) -> Constraint:
    """What the options ask for, tried on conversions of these maps."""
    source, options = coder.source, coder.source.options
    if options.max_bits_per_value is not None:
        return RateBound(options.constraint, options.max_bits_per_value, lambda c: coder.expected_bits(maps, c))
    if options.max_accuracy_drop is not None:
        samples = source.samples.held_back
        labels = find_labels(source.file.model, samples, options)
        return AccuracyBound(
            options.constraint,
            options.max_accuracy_drop,
            lambda: AccuracyTrial(source.file, RepeatedSamples(samples), labels, options.num_threads),
            lambda c: coder.converted(maps, c),
        )
    return FidelityBound(
        options.constraint,
        options.effective_max_kl,
        lambda: fidelity_trial(source.file, (source.samples.held_back, source.samples.tables), source.values, options),
        lambda c: coder.converted(maps, c),
        trial_samples(source.values),
    )


def search(coder: Coder, maps: Sequence[TreatedMap]) -> Found:
    """The coarseness that just meets the constraint.

    Raises:
      NothingToDoError: a bound on the rate cannot be met.
    """
    options = coder.source.options
    if not any(m.is_searched for m in maps):
        return Found(maps, None)
    coarseness = constraint_of(coder, maps).search()
    if coarseness is not None:
        return Found(maps, coarseness)
    if options.max_bits_per_value is not None:
        least = coder.expected_bits(maps, 2.0**allocation.COARSEST_LOG2)
        raise NothingToDoError(
            f"{options.constraint} cannot be met: the coarsest coding still takes about {least:.3g} bits/value, "
            "side information apart; relax it"
        )
    if any(m.is_searched and m.fold_source is not None for m in maps):
        # Folded maps round a little differently however fine the steps are.
        maps = [replace(m, fold_source=None) if m.is_searched else m for m in maps]
        coarseness = constraint_of(coder, maps).search()
        if coarseness is not None:
            return Found(maps, coarseness)
    # What no step at all can break: the last resort where few samples leave the bound in doubt.
    warning = (
        f"no lossy coding keeps {options.constraint} with certainty on these samples, so maps are coded "
        "losslessly; more calibration samples may allow more"
    )
    return Found([replace(m, treatment=LOSSLESS) if m.is_searched else m for m in maps], None, (warning,), gave_up=True)


def meet_constraint(coder: Coder, found: Found) -> Outcome:
    """Runs the converted model on all held-back samples and corrects the coarseness until the constraint holds.

    Raises:
      NothingToDoError: it is still missed after several corrections, or no map is left to code.
    """
    source, options = coder.source, coder.source.options
    constraint = constraint_of(coder, found.maps)
    maps, coarseness = found.maps, _corrected(coder, constraint, found)
    for _ in range(_CORRECTIONS):
        stage("tables")
        codings = coder.finished(maps, coarseness)
        stage("verification")
        comparison = compare_converted(source, codings)
        bits = totals(codings, [comparison])["bits_per_value"]
        if coarseness is None or constraint.holds(comparison, bits):
            return Outcome(codings, comparison)
        coarseness = _after_miss(coarseness, constraint, comparison, bits)
        maps = [c.treated for c in codings]  # what was skipped remains so
    raise NothingToDoError(
        f"{options.constraint} is not met on the held-back samples ({comparison.measure} "
        f"{comparison.fidelity.mean:.4g}, {bits:.3f} bits/value); relax it"
    )


def _corrected(coder: Coder, constraint: Constraint, found: Found) -> float | None:
    """The coarseness, corrected by runs without entropy tables: they take longest to make, and change no output."""
    coarseness = found.coarseness
    if coarseness is None or constraint.is_of_rate:
        return coarseness
    for _ in range(_CORRECTIONS):
        comparison = compare_converted(coder.source, coder.quantized(found.maps, coarseness))
        if constraint.holds(comparison, math.nan):
            break
        coarseness = _after_miss(coarseness, constraint, comparison, math.nan)
    return coarseness


def _after_miss(coarseness: float, constraint: Constraint, comparison: Comparison, bits: float) -> float:
    coarseness *= constraint.correction(comparison, bits)
    logging.info("constraint missed on all held-back samples; coarseness now %.4f", coarseness)
    return coarseness


def compare_converted(source: Source, codings: Sequence[MapCoding], refits: Sequence[Refit] = ()) -> Comparison:
    """The run on all held-back samples."""
    # Without loss, folded maps are those of their kernels; with it, how kernels round is not what counts.
    kernels = None if lossy_maps(codings) else next((c.treated.kernels for c in codings if c.folded), None)
    return compare_file(source, build_converted(source.file.content, codings, refits).to_bytes(), kernels)


def compare_file(source: Source, converted: bytes, kernels: str | None = None) -> Comparison:
    """The same of a finished file.

    Args:
      kernels: to run both with, where the source names none.
    """
    options, samples = source.options, source.samples.held_back
    labels = None
    if options.max_accuracy_drop is not None:
        labels = find_labels(source.file.model, samples, options)
    runtime, own = source.where
    file, where = ModelFile.parse(converted), (runtime, own or kernels)
    return compare(source.file, file, samples, options.output_kind, options.num_threads, labels, where)

"""What coding each map with loss is expected to cost: from gradients, or from its own error where none is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fmtc_tflite.calibration import kept_statistics
from fmtc_tflite.calibration.kept_statistics import Statistics
from fmtc_tflite.calibration.sensitivity import Sensitivity, gradient_stops
from fmtc_tflite.conversion.choices import (
    Choice,
    equal_sensitivity,
    klt_choice,
    share_of_error,
    step_choice,
    unknown_sensitivity,
)
from fmtc_tflite.conversion.map_coding import map_centres
from fmtc_tflite.conversion.source import Source
from fmtc_tflite.conversion.treatment import TreatedMap
from fmtc_tflite.graph.sites import Site
from fmtc_tflite.types import ConvertOptions


def with_choices(
    source: Source, maps: Sequence[TreatedMap], statistics: Mapping[Site, Statistics]
) -> tuple[list[TreatedMap], list[str]]:
    """Maps whose steps follow the search, with what transforms and steps cost in bits and, from gradients, in fidelity.

    Args:
      maps: the ones to search are all of the main subgraph.
      statistics: of the lossy maps.

    Returns:
      The maps, and a warning where no gradient reaches some of them.
    """
    options, searched = source.options, [m.site for m in maps if m.is_searched]
    if not searched:
        return list(maps), []
    found = kept_statistics.sensitivities(
        source.store,
        source.file,
        searched,
        kept_statistics.gradient_samples(source.file.model, source.samples.build),
        options.output_kind,
        options.calibration.seed,
        options.num_threads,
    )
    known = dict(zip(searched, found, strict=True))
    complete = _complete(known, statistics, options)
    treated = [
        replace(m, choices=_choices(m.site, statistics[m.site], complete[m.site], options)) if m.site in complete else m
        for m in maps
    ]
    return treated, _missing_gradients(source, [site for site in searched if known[site] is None])


def _complete(
    known: Mapping[Site, Sensitivity | None], statistics: Mapping[Site, Statistics], options: ConvertOptions
) -> dict[Site, Sensitivity]:
    """Sensitivities of all maps: where no gradient is known, an error costs what it costs elsewhere in the median."""
    if "allocation" in options.disable:
        return {site: equal_sensitivity(site.tensor.shape[3]) for site in known}
    relative = {}
    for site in known:
        values, _ = statistics[site]
        relative[site] = unknown_sensitivity(values.histogram, map_centres(site, values))
    ratios = [share_of_error(own, relative[site]) for site, own in known.items() if own is not None]
    usual = float(np.median(ratios)) if ratios else 1.0
    return {
        site: replace(relative[site], noise=relative[site].noise * usual) if own is None else own
        for site, own in known.items()
    }


def _missing_gradients(source: Source, sites: Sequence[Site]) -> list[str]:
    """A line that says where gradients stop, and for which feature maps their own error has to do instead."""
    if not sites or "allocation" in source.options.disable:
        return []
    sample = next(iter(source.samples.build))
    ops = gradient_stops(source.file, sample, source.options.output_kind, source.options.num_threads)
    if not ops:  # what these maps lead to is not compared
        return []
    examples = {op.opcode: next((t.name for t in [*op.outputs, *op.inputs] if t is not None), "") for op in ops}
    kinds = ", ".join(f"{kind} (such as at {name!r})" for kind, name in examples.items())
    of_maps = f"{len(sites)} of the feature maps, such as {sites[-1].name!r}"
    instead = f"what loss costs in {of_maps}, is taken from their own relative error"
    return [f"no gradient is known through {kinds}: {instead}"]


def _choices(
    site: Site, statistics: Statistics, sensitivity: Sensitivity, options: ConvertOptions
) -> tuple[Choice, ...]:
    positions = int(np.prod(site.grid))
    values, covariance = statistics
    centres = map_centres(site, values)
    found = [step_choice(values.histogram, centres, site.activation_range, sensitivity, positions)]
    if not options.disable.isdisjoint({"channel_steps", "allocation"}):
        found = [replace(found[0], per_channel=False)]
    if covariance is not None and covariance.is_sufficient:
        found.append(klt_choice(covariance, sensitivity, positions))
    return tuple(found)

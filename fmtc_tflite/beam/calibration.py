"""Measures on Beam's workers what a conversion looks for in its calibration store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fmtc_tflite.beam.job_folder import State
from fmtc_tflite.beam.running import Planned, run
from fmtc_tflite.beam.shards import Shard, cut
from fmtc_tflite.calibration import kept_statistics, passes
from fmtc_tflite.calibration.kept_statistics import COVARIANCES, SENSITIVITIES, VALUES
from fmtc_tflite.calibration.sensitivity import SensitivityMeter, SensitivityStatistics
from fmtc_tflite.calibration.statistics import CovarianceStatistics, ValueStatistics
from fmtc_tflite.calibration.store import CalibrationStore, calibration_identity, tensor_key
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.sites import Site, find_sites
from fmtc_tflite.types import ConvertOptions

_GRADIENT_SAMPLES = 8  # of a shard, at least: they take long

Statistics = ValueStatistics | CovarianceStatistics | SensitivityStatistics
Key = tuple[str, str]  # what is measured, and the key of a tensor

_KINDS: dict[str, type[Statistics]] = {
    VALUES: ValueStatistics,
    COVARIANCES: CovarianceStatistics,
    SENSITIVITIES: SensitivityStatistics,
}


@dataclass(frozen=True)
class CalibrationWork:
    """Measures one shard after another.

    Attributes:
      wanted: what is measured of which tensors.
    """

    wanted: frozenset[Key]
    output_kind: str
    seed: int
    num_threads: int | None

    def open(self, contents: tuple[bytes, ...]) -> Callable[[Shard], State]:
        """See Work."""
        file = ModelFile.parse(contents[0])
        sites = {tensor_key(file.model, site.tensor): site for site in find_sites(file.model)}

        def measure(shard: Shard) -> State:
            found = (self._sensitivities if shard.stage == SENSITIVITIES else self._values)(file, sites, shard)
            return {_name(key, part): value for key, s in found.items() for part, value in s.state().items()}

        return measure

    def _values(self, file: ModelFile, sites: Mapping[str, Site], shard: Shard) -> Mapping[Key, Statistics]:
        keys = [key for key in sites if {(VALUES, key), (COVARIANCES, key)} & self.wanted]
        with_covariance = [(COVARIANCES, key) in self.wanted for key in keys]
        chosen = [sites[key] for key in keys]
        measured = passes.value_statistics(file, chosen, shard.datasets[0], with_covariance, self.num_threads)
        found: dict[Key, Statistics] = {}
        for key, (values, covariance) in zip(keys, measured, strict=True):
            found[VALUES, key] = values
            if covariance is not None:
                found[COVARIANCES, key] = covariance
        return found

    def _sensitivities(self, file: ModelFile, sites: Mapping[str, Site], shard: Shard) -> Mapping[Key, Statistics]:
        keys = [key for key in sites if (SENSITIVITIES, key) in self.wanted]
        chosen = [sites[key] for key in keys]
        meter = SensitivityMeter(file, chosen, self.output_kind, self.seed, self.num_threads)
        for position, sample in enumerate(shard.datasets[0], shard.first):
            meter.add(position, sample)
        return {(SENSITIVITIES, key): sums for key, sums in zip(keys, meter.sums, strict=True)}


def calibrate(
    store: CalibrationStore,
    file: ModelFile,
    sites: Sequence[Site],
    samples: Dataset,
    with_covariance: Sequence[bool],
    options: ConvertOptions,
) -> None:
    """Measures on Beam's workers what `kept_statistics` will look for in the store.

    Args:
      samples: those to build from.
      options: `calibration.beam` has the pipeline's options.

    Raises:
      UsageError: options that Beam does not take; workers that see something else than this machine.
      FmtcError: the pipeline failed.
    """
    chosen = kept_statistics.gradient_samples(file.model, samples)
    missing = _missing(store, file, sites, samples, chosen, with_covariance, options)
    shards = _shards({stage for stage, _ in missing}, samples, chosen)
    work = CalibrationWork(frozenset(missing), options.output_kind, options.calibration.seed, options.num_threads)
    identity = {
        "calibration": calibration_identity(file.content, options.calibration, samples),
        "wanted": sorted((*key, *parameters.values()) for key, (_, parameters) in missing.items()),
        "--num_threads": options.num_threads,
    }
    totals = {key: empty(key[0], site) for key, (site, _) in missing.items()}
    for state in run(work, (file.content,), shards, identity, options.calibration):
        add(totals, state)
    for key, (_, parameters) in missing.items():
        total = totals[key]
        if isinstance(total, SensitivityStatistics):
            store.put(key[0], parameters, kept_statistics.sensitivity_arrays(total.result()))
        else:
            store.put(key[0], parameters, total.state())


def empty(kind: str, site: Site) -> Statistics:
    """Statistics of one kind of a site's tensor, of no samples."""
    return _KINDS[kind](site.tensor.shape[3])


def add(totals: Mapping[Key, Statistics], state: State) -> None:
    """Adds what a shard came to."""
    for key, total in totals.items():
        parts = {name: state[_name(key, name)] for name in total.state() if _name(key, name) in state}
        if parts:
            total.add_state(parts)


def _missing(
    store: CalibrationStore,
    file: ModelFile,
    sites: Sequence[Site],
    samples: Dataset,
    chosen: Dataset,
    with_covariance: Sequence[bool],
    options: ConvertOptions,
) -> dict[Key, tuple[Site, dict[str, Any]]]:
    """What the store does not have, and what it will be called there."""
    missing = {}
    kind, seed = options.output_kind, options.calibration.seed
    for site, covariance in zip(sites, with_covariance, strict=True):
        of_values = kept_statistics.site_parameters(file.model, site, samples)
        of_gradients = kept_statistics.sensitivity_parameters(file.model, site, chosen, kind, seed)
        wanted = {VALUES: of_values, **({COVARIANCES: of_values} if covariance else {}), SENSITIVITIES: of_gradients}
        for stage, parameters in wanted.items():
            if store.get(stage, parameters) is None:
                missing[stage, tensor_key(file.model, site.tensor)] = (site, parameters)
    return missing


def _shards(stages: set[str], samples: Dataset, chosen: Dataset) -> list[Planned]:
    """Only of the passes that something is missing of."""
    shards: list[Planned] = []
    if stages & {VALUES, COVARIANCES}:
        shards += [(VALUES, (samples,), *ends) for ends in cut(len(samples))]
    if SENSITIVITIES in stages:
        shards += [(SENSITIVITIES, (chosen,), *ends) for ends in cut(len(chosen), _GRADIENT_SAMPLES)]
    return shards


def _name(key: Key, part: str) -> str:
    """What an array is called in a shard's result."""
    return "/".join((*key, part))

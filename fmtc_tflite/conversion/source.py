"""What a conversion starts from: the model, what may be done with its feature maps, and the samples.

A model may have several entry points, each a subgraph that a signature names. Each one with maps to code is a source of
its own, as if it were the model's only one, and they are put together in the end (`result.finish`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fmtc_tflite.calibration.store import CalibrationStore, calibration_identity
from fmtc_tflite.conversion.copies import find_copies
from fmtc_tflite.conversion.treatment import LOSSLESS, TreatedMap, choose_treatments, require_coded
from fmtc_tflite.data.opening import Dataset, input_specs_from_model, open_calibration_data
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.errors import CalibrationError, UsageError
from fmtc_tflite.graph.convertible import check_convertible
from fmtc_tflite.graph.edits.main_subgraph import with_first
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.graph.sites import Site, entry_name, entry_subgraphs, find_sites
from fmtc_tflite.graph.variables import keeps_state
from fmtc_tflite.types import ConvertOptions

_SYNTHETIC_SAMPLES = 24
_MOST_SAMPLES = 4096  # for tables, and to measure on: time must not grow with millions of samples


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
class Source:
    """All that is given of one entry point.

    Attributes:
      file: the original model, with the entry point as its main subgraph.
      maps: the main subgraph's candidate feature maps, in the order of find_sites.
      store: keeps what is measured on the original model.
      subgraph_index: the entry point's place in the model as the user has it.
      where: the runtime and the kernels that finished conversions are run with; None for the first runtime, and for
        the built-in kernels.
    """

    file: ModelFile
    maps: tuple[TreatedMap, ...]
    samples: Samples
    store: CalibrationStore
    options: ConvertOptions
    subgraph_index: int = 0
    where: tuple[str | None, str | None] = (None, None)

    @property
    def values(self) -> int:
        """Values of all candidates, one inference."""
        return sum(m.values for m in self.maps)


@dataclass(frozen=True)
class OpenedModel:
    """A model with all of its sources.

    Attributes:
      file: the model as the user has it.
      maps: its candidate feature maps, in the order of find_sites.
      sources: one for each entry point with maps to code; at least one.
      warnings: lines that a user should see.
    """

    file: ModelFile
    maps: tuple[TreatedMap, ...]
    sources: tuple[Source, ...]
    options: ConvertOptions
    warnings: tuple[str, ...] = ()

    def without(self, subgraph_index: int, reason: str) -> tuple[TreatedMap, ...]:
        """The maps, with those of one entry point left alone."""
        return _left_alone(self.maps, subgraph_index, reason)


def open_model(content: bytes, options: ConvertOptions) -> OpenedModel:
    """Opens model, recipe, data and calibration store, and checks that they fit together.

    Where the data have nothing for the inputs of an entry point beside the first, its maps are left alone.

    Raises:
      FmtcError: see fmtc_tflite.errors.
    """
    options.check()
    file = ModelFile.parse(content)
    check_convertible(file.model)
    if options.calibration.beam is not None and keeps_state(file.model):
        raise UsageError(
            "--beam spreads samples over machines, but the model keeps state from one to the next; drop it"
        )
    maps, warnings = choose_treatments(find_sites(file.model), options)
    require_coded(maps)
    sources = []
    for subgraph in entry_subgraphs(file.model):
        own = [m for m in maps if m.site.subgraph is subgraph]
        if not any(m.coded for m in own):
            continue
        try:
            sources.append(_open_source(file, subgraph.index, own, options))
        except (CalibrationError, UsageError) as error:
            if not subgraph.index:
                raise
            name = entry_name(file.model, subgraph.index)
            reason = f"there are no samples for the inputs of signature '{name}'"
            warnings.append(f"{reason}, whose feature maps are left alone: {error}")
            maps = list(_left_alone(maps, subgraph.index, reason))
    require_coded(maps)
    return OpenedModel(file, tuple(maps), tuple(sources), options, tuple(warnings))


def _left_alone(maps: Sequence[TreatedMap], subgraph_index: int, reason: str) -> tuple[TreatedMap, ...]:
    return tuple(m.skipped(reason) if m.coded and m.site.subgraph.index == subgraph_index else m for m in maps)


def _open_source(file: ModelFile, index: int, maps: Sequence[TreatedMap], options: ConvertOptions) -> Source:
    if index:
        file, options = ModelFile.parse(with_first(file.content, index)), _of_another_entry(options)
        maps = _moved(maps, file.model, options)
    samples = open_samples(file.model, options)
    identity = calibration_identity(file.content, options.calibration, samples.build)
    store = CalibrationStore(options.calibration.store, identity)
    return Source(file, tuple(maps), samples, store, options, index)


def _of_another_entry(options: ConvertOptions) -> ConvertOptions:
    """The options for an entry point that is not the model's first: labels, store and --beam are of that one."""
    calibration = replace(options.calibration, store=None, beam=None)
    lossless = options.lossless or options.max_accuracy_drop is not None
    return replace(options, calibration=calibration, lossless=lossless, max_accuracy_drop=None)


def _moved(maps: Sequence[TreatedMap], model: Model, options: ConvertOptions) -> list[TreatedMap]:
    """The maps as those of another model's main subgraph, which is the same as theirs."""
    sites = [site for site in find_sites(model) if site.subgraph is model.subgraphs[0]]
    there: dict[Site | None, Site] = {m.site: site for m, site in zip(maps, sites, strict=True)}
    copies = find_copies(sites)
    moved = [
        replace(m, site=there[m.site], fold_source=there.get(m.fold_source), copy=m.copy and copies[there[m.site]])
        for m in maps
    ]
    return [replace(m, treatment=LOSSLESS) if options.is_lossless and m.is_searched else m for m in moved]


def open_samples(model: Model, options: ConvertOptions) -> Samples:
    """The user's samples, or synthetic inputs where there are none."""
    wanted = options.calibration
    if wanted.data is None:
        specs = input_specs_from_model(model)
        data = SyntheticDataset(specs, _SYNTHETIC_SAMPLES, wanted.seed, keeps_state(model))
        build, held_back = data.split(minimum=_SYNTHETIC_SAMPLES // 3, seed=wanted.seed)
        return Samples(build, build, held_back, "synthetic")
    build, held_back = open_calibration_data(model, wanted)
    return Samples(build, build.evenly(_MOST_SAMPLES), held_back.evenly(_MOST_SAMPLES), "calibration")

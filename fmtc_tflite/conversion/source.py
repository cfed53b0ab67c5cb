"""What a conversion starts from: the model, what may be done with its feature maps, and the samples."""

from __future__ import annotations

from dataclasses import dataclass

from fmtc_tflite.calibration.store import CalibrationStore, calibration_identity
from fmtc_tflite.conversion.treatment import TreatedMap, choose_treatments, require_coded
from fmtc_tflite.data.opening import Dataset, input_specs_from_model, open_calibration_data
from fmtc_tflite.data.synthetic import SyntheticDataset
from fmtc_tflite.errors import UsageError
from fmtc_tflite.graph.convertible import check_convertible
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.model_io import Model
from fmtc_tflite.graph.sites import find_sites
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
    """All that is given.

    Attributes:
      file: the original model.
      maps: its candidate feature maps, in the order of find_sites.
      store: keeps what is measured on the original model.
      warnings: lines that a user should see.
    """

    file: ModelFile
    maps: tuple[TreatedMap, ...]
    samples: Samples
    store: CalibrationStore
    options: ConvertOptions
    warnings: tuple[str, ...] = ()

    @property
    def values(self) -> int:
        """Values of all candidates, one inference."""
        return sum(m.values for m in self.maps)


def open_source(content: bytes, options: ConvertOptions) -> Source:
    """Opens model, recipe, data and calibration store, and checks that they fit together.

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
    samples = _open_samples(file.model, options)
    identity = calibration_identity(content, options.calibration, samples.build)
    store = CalibrationStore(options.calibration.store, identity)
    return Source(file, tuple(maps), samples, store, options, tuple(warnings))


def _open_samples(model: Model, options: ConvertOptions) -> Samples:
    wanted = options.calibration
    if wanted.data is None:
        build, held_back = synthetic_samples(model, 0, options).split(minimum=_SYNTHETIC_SAMPLES // 3, seed=wanted.seed)
        return Samples(build, build, held_back, "synthetic")
    build, held_back = open_calibration_data(model, wanted)
    return Samples(build, build.evenly(_MOST_SAMPLES), held_back.evenly(_MOST_SAMPLES), "calibration")


def synthetic_samples(model: Model, subgraph_index: int, options: ConvertOptions) -> SyntheticDataset:
    """Synthetic inputs of a subgraph."""
    specs = input_specs_from_model(model, subgraph_index)
    return SyntheticDataset(specs, _SYNTHETIC_SAMPLES, options.calibration.seed, keeps_state(model))

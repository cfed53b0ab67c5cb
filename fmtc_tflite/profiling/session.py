"""One run of the profiler: models and data in, the profile document out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.data.opening import open_data
from fmtc_tflite.errors import CalibrationError, UnsupportedModelError, UsageError
from fmtc_tflite.graph.edits.main_subgraph import with_first
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.graph.sites import entry_name, entry_subgraphs
from fmtc_tflite.inference.input_shapes import with_input_shapes
from fmtc_tflite.memory.memory_system import load_memory_system
from fmtc_tflite.memory.traffic import TrafficModel
from fmtc_tflite.profiling.document import profile_document
from fmtc_tflite.profiling.measured_sizes import measure
from fmtc_tflite.profiling.options import ProfileOptions
from fmtc_tflite.profiling.profile import ModelProfile, recognise
from fmtc_tflite.profiling.rates import with_rates
from fmtc_tflite.progress import Stage, stage, stages


def run_profile(models: Sequence[tuple[str, bytes]], options: ProfileOptions) -> dict[str, Any]:
    """Profiles a model, or a converted one beside its original.

    Args:
      models: path and content of one model, or of the original and the converted one.

    Returns:
      The profile, as in profile_schema.json.

    Raises:
      FmtcError: see fmtc_tflite.errors.
    """
    options.check()
    runs: list[Stage] = [] if options.data is None else [("coded sizes", 4), ("the paper's scheme", 3)]
    with stages(*runs, ("traffic, energy and arena", 1)):
        return _profile(models, options)


def _profile(models: Sequence[tuple[str, bytes]], options: ProfileOptions) -> dict[str, Any]:
    contents = [(path, with_input_shapes(content, options.input_shapes)) for path, content in models]
    profiles = _open(contents, options)
    recognised_by = None if len(profiles) == 1 else recognise(*profiles)
    model = profiles[-1].model
    samples = None if options.data is None else open_data(model, options)
    document = _document(profiles, recognised_by, samples, options)
    others = [subgraph.index for subgraph in entry_subgraphs(model) if subgraph.index]
    if not others:
        return document
    parts = [
        {"signature": entry_name(model, index), **_other_signature(contents, index, recognised_by, options)}
        for index in others
    ]
    return document | {"first_signature": entry_name(model, 0), "other_signatures": parts}


def _open(contents: Sequence[tuple[str, bytes]], options: ProfileOptions, index: int = 0) -> list[ModelProfile]:
    system = load_memory_system(options.memory_system, options.on_chip_bytes)
    files = [(path, ModelFile.parse(with_first(content, index))) for path, content in contents]
    return [ModelProfile(file, system, path, recorded_subgraph=index) for path, file in files]


def _other_signature(
    contents: Sequence[tuple[str, bytes]], index: int, recognised_by: str | None, options: ProfileOptions
) -> dict[str, Any]:
    """The profile of another signature than the first, without data where they have nothing for its inputs.

    Where it cannot be profiled, why.
    """
    try:
        profiles = _open(contents, options, index)
    except UnsupportedModelError:  # --input_shape is for the first one's inputs
        return {"profile": None, "not_profiled": "an input has an open shape; export the model with a fixed one"}
    if options.traffic_model == "fused_regions" and not profiles[-1].has_regions:
        options = replace(options, traffic_model=None)
    samples = None
    try:
        samples = None if options.data is None else open_data(profiles[-1].model, options)
    except (CalibrationError, UsageError) as error:
        profiles[-1].notes.append(f"it was not run on the data: {error}")
    return {"profile": _document(profiles, recognised_by, samples, options), "not_profiled": None}


def _document(
    profiles: Sequence[ModelProfile], recognised_by: str | None, samples: Dataset | None, options: ProfileOptions
) -> dict[str, Any]:
    profile = profiles[-1]
    original = profiles[0] if len(profiles) > 1 else None
    data = None
    if samples is not None:
        profile.measurement = measure(
            profile.file,
            profile.coded,
            samples,
            options.num_threads,
            options.paper_bits,
            None if original is None else original.file,
        )
        data = {"source": samples.source, "num_samples": profile.measurement.num_samples}
        if not profile.candidates:
            profile.notes.append("no feature map of this model can be coded; running it on data measured nothing")
    stage("traffic, energy and arena")
    shown = _shown_model(profile, options)
    document = profile_document(profile, original, recognised_by, data, shown, options.codec_cost)
    return with_rates(document, options)


def _shown_model(profile: ModelProfile, options: ProfileOptions) -> TrafficModel:
    if options.traffic_model is None:
        return "fused_codec" if profile.inside is None else "fused_regions"
    if options.traffic_model == "fused_regions" and profile.inside is None:
        why = profile.notes[-1] if profile.has_regions else "the model has no FMTC_REGION op"
        raise UsageError(f"--traffic_model fused_regions: {why}")
    return options.traffic_model

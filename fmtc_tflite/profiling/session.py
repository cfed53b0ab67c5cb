"""One run of the profiler: models and data in, the profile document out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fmtc_tflite.data.opening import open_data
from fmtc_tflite.errors import UsageError
from fmtc_tflite.graph.model_file import ModelFile
from fmtc_tflite.inference.input_shapes import with_input_shapes
from fmtc_tflite.memory.memory_system import load_memory_system
from fmtc_tflite.memory.traffic import TrafficModel
from fmtc_tflite.profiling.document import profile_document
from fmtc_tflite.profiling.measured_sizes import measure
from fmtc_tflite.profiling.options import ProfileOptions
from fmtc_tflite.profiling.profile import ModelProfile, recognise


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
    system = load_memory_system(options.memory_system, options.on_chip_bytes)
    files = [(path, ModelFile.parse(with_input_shapes(content, options.input_shapes))) for path, content in models]
    profiles = [ModelProfile(file, system, path) for path, file in files]
    profile = profiles[-1]
    original = profiles[0] if len(profiles) > 1 else None
    recognised_by = None if original is None else recognise(original, profile)
    data = None
    if options.data is not None:
        samples = open_data(profile.model, options)
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
    shown = _shown_model(profile, options)
    return profile_document(profile, original, recognised_by, data, shown, options.codec_cost)


def _shown_model(profile: ModelProfile, options: ProfileOptions) -> TrafficModel:
    if options.traffic_model is None:
        return "fused_codec" if profile.inside is None else "fused_regions"
    if options.traffic_model == "fused_regions" and profile.inside is None:
        why = profile.notes[-1] if profile.has_regions else "the model has no FMTC_REGION op"
        raise UsageError(f"--traffic_model fused_regions: {why}")
    return options.traffic_model

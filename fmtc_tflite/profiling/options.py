"""Options of a profile."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from fmtc_tflite.errors import UsageError
from fmtc_tflite.memory.memory_system import DEFAULT_MEMORY_SYSTEM
from fmtc_tflite.memory.traffic import TRAFFIC_MODELS, TrafficModel
from fmtc_tflite.types import DEFAULT_PAPER_BITS, NO_EXTENSIONS, DataOptions, Extensions, check_paper_bits

PROFILE_VERSION = 1  # of the JSON that profiles are written as
DEFAULT_SAMPLES = 100  # the fewest that have a 99th percentile


@dataclass(frozen=True)
class ProfileOptions(DataOptions):
    """What a profile is made with; without `data`, coded sizes come from the model's metadata (see DataOptions).

    Attributes:
      memory_system: a name of known_memory_systems(), or the path of a TOML file.
      on_chip_bytes: size of the memory system's on-chip memory; None = as the system says.
      traffic_model: as_executed, fused_codec or fused_regions: what tables and pictures show; None = fused_regions for
        a model with regions, fused_codec for others.
      codec_cost: count the codec's own energy in the totals that are shown.
      num_threads: threads of the interpreter; None leaves it to the runtime.
      tensors: names of the original's tensors whose values are wanted, or op:NUMBER; see tensor_dumps.
      extensions: what runs ops that the runtime lacks.
      input_shapes: (input name, shape) of inputs whose shape the file leaves open.
      fps: inferences a second, for rates.
      clock_hz: in the place of fps, the clock of an accelerator whose multipliers never wait.
      macs_per_cycle: how many of them it has; None = 256.
      paper_bits: for the range of a map's main component under the paper's scheme, one of the baselines.
    """

    num_samples: int | None = DEFAULT_SAMPLES
    memory_system: str = DEFAULT_MEMORY_SYSTEM
    on_chip_bytes: int | None = None
    traffic_model: TrafficModel | None = None
    codec_cost: bool = True
    num_threads: int | None = None
    fps: float | None = None
    clock_hz: float | None = None
    macs_per_cycle: int | None = None
    paper_bits: float = DEFAULT_PAPER_BITS
    tensors: tuple[str, ...] = ()
    extensions: Extensions = NO_EXTENSIONS
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def check(self) -> None:
        """Raises UsageError where options are out of range."""
        if self.traffic_model is not None and self.traffic_model not in TRAFFIC_MODELS:
            raise UsageError(f"--traffic_model: got {self.traffic_model}, expected one of {', '.join(TRAFFIC_MODELS)}")
        check_paper_bits(self.paper_bits)
        if self.fps is not None and self.clock_hz is not None:
            raise UsageError("--fps and --clock_hz: both say how many inferences a second there are; give one")
        if self.macs_per_cycle is not None and self.clock_hz is None:
            raise UsageError("--macs_per_cycle needs --clock_hz")
        for name, rate in (("fps", self.fps), ("clock_hz", self.clock_hz)):
            if rate is not None and not 0 < rate < inf:
                raise UsageError(f"--{name}: got {rate:g}, expected a finite number above 0")
        for name, value, least in (
            ("num_samples", self.num_samples, 1),
            ("num_threads", self.num_threads, 1),
            ("macs_per_cycle", self.macs_per_cycle, 1),
            ("seed", self.seed, 0),
            ("on_chip_bytes", self.on_chip_bytes, 0),
        ):
            if value is not None and value < least:
                raise UsageError(f"--{name}: got {value}, expected at least {least}")

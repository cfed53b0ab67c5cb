"""Options of an evaluation."""

from dataclasses import dataclass
from pathlib import Path

from fmtc_tflite.errors import UsageError


@dataclass(frozen=True)
class EvaluateOptions:
    """What `evaluate` measures on, and how.

    Attributes:
      data: folder of images, CSV, .npz, .npy or `tfds:NAME[SPLIT]`.
      preprocessing: raw, tf or torch; None = not named (an error where it would matter).
      resize: (height, width) to resize images to; None = the model's input size.
      central_crop: fraction of the shorter side that is cropped from the middle; None = no crop.
      num_samples: this many samples; None = all.
      seed: chooses those samples at random; None = the first ones.
      skip_unreadable: leave unreadable images out instead of stopping.
      label_offset: added to each label; None = 0, unless the number of classes says otherwise.
      output_kind: auto, logits or probabilities, for models whose output is no SOFTMAX.
      num_workers: processes that share the samples.
      num_threads: threads of each process's interpreters; None leaves it to the runtime.
      runtime: see load_interpreter; None = the first that is installed.
    """

    data: str | Path
    preprocessing: str | None = None
    resize: tuple[int, int] | None = None
    central_crop: float | None = None
    num_samples: int | None = None
    seed: int | None = None
    skip_unreadable: bool = False
    label_offset: int | None = None
    output_kind: str = "auto"
    num_workers: int = 1
    num_threads: int | None = None
    runtime: str | None = None

    def check(self) -> None:
        """Raises UsageError where options are out of range."""
        for name, value in (
            ("num_samples", self.num_samples),
            ("num_workers", self.num_workers),
            ("num_threads", self.num_threads),
        ):
            if value is not None and value < 1:
                raise UsageError(f"--{name}: got {value}, expected at least 1")
        if self.seed is not None and self.seed < 0:
            raise UsageError(f"--seed: got {self.seed}, expected 0 or more")

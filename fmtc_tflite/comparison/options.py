"""What a comparison runs, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from fmtc_tflite.errors import UsageError
from fmtc_tflite.types import DEFAULT_MAX_KL, DISABLED_PARTS, CalibrationOptions, ConvertOptions, EvaluateOptions

Scheme = Literal["lossless", "fmtc", "paper", "ablation"]
_LOSSLESS_PARTS = ("prediction", "contexts", "folding", "copies")  # that conversions without loss have


@dataclass(frozen=True)
class Point:
    """One conversion and its evaluation.

    Attributes:
      name: as tables show it.
      scheme: which curve it belongs to.
      setting: what it sets of ConvertOptions, JSON-serialisable.
    """

    name: str
    scheme: Scheme
    setting: Mapping[str, Any]

    def apply(self, options: ConvertOptions) -> ConvertOptions:
        """The options of the point's conversion."""
        setting = dict(self.setting)
        if "disable" in setting:
            setting["disable"] = frozenset(setting["disable"])
        return replace(options, **setting)


@dataclass(frozen=True)
class ComparisonOptions:
    """A model's comparison.

    Attributes:
      calibration: samples that conversions build on.
      evaluation: samples that everything is measured on; `num_workers` processes share the points.
      max_kl: bounds for conversions by default.
      paper_bits: for conversions under the preset `paper`.
      ablation: also conversions with one feature each switched off, with loss and without.
      ablation_max_kl: the bound for those with loss, at which there is a conversion with all features too.
      peer_samples: so many of the evaluation samples are coded by the peers.
    """

    calibration: CalibrationOptions
    evaluation: EvaluateOptions
    max_kl: tuple[float, ...] = (0.005, DEFAULT_MAX_KL, 0.05)
    paper_bits: tuple[float, ...] = (5, 6, 7, 8, 9, 10)
    ablation: bool = False
    ablation_max_kl: float = DEFAULT_MAX_KL
    peer_samples: int = 16

    def check(self) -> None:
        """Raises UsageError where options are out of range."""
        self.evaluation.check()
        if self.peer_samples < 1:
            raise UsageError(f"--peer_samples: got {self.peer_samples}, expected at least 1")
        for point in self.points():
            point.apply(self.convert_options).check()

    @property
    def convert_options(self) -> ConvertOptions:
        """What all points have in common: codecs are compared, so feature maps are coded."""
        own = self.evaluation
        return ConvertOptions(
            self.calibration, output_kind=own.output_kind, num_threads=own.num_threads, execution="ops"
        )

    def points(self) -> list[Point]:
        """All points, each once."""
        found = [Point("lossless", "lossless", {"lossless": True})]
        bounds = [*self.max_kl, *([self.ablation_max_kl] if self.ablation else [])]
        found += [Point(f"max_kl {bound:g}", "fmtc", {"max_kl": bound}) for bound in dict.fromkeys(bounds)]
        found += [
            Point(f"paper {bits:g} bits", "paper", {"preset": "paper", "paper_bits": bits})
            for bits in dict.fromkeys(self.paper_bits)
        ]
        if self.ablation:
            found += [
                Point(f"no {name}", "ablation", {"max_kl": self.ablation_max_kl, "disable": [name]})
                for name in DISABLED_PARTS
            ]
            found += [
                Point(f"lossless, no {name}", "ablation", {"lossless": True, "disable": [name]})
                for name in _LOSSLESS_PARTS
            ]
        return found

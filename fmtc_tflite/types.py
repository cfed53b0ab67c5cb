"""Options and decisions that several modules share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fmtc_tflite.errors import UsageError

DEFAULT_MAX_KL = 0.02
DEFAULT_MAX_EXTRA_MACS = 0.02
DEFAULT_MAX_EXTRA_TIME = 0.05
DEFAULT_MAX_ARENA = 1.1
DEFAULT_CPU = "avx2"  # which most x86-64 processors have

_CAPACITY_MARGIN = 1.1
DISABLED_PARTS = ("prediction", "contexts", "channel_steps", "klt", "folding", "allocation", "copies")

DEFAULT_PAPER_BITS = 8.0
PAPER_BITS_RANGE = (2.0, 10.0)

Objective = Literal["traffic", "arena"]
Preset = Literal["default", "paper"]
Execution = Literal["auto", "ops", "regions"]
Target = Literal["tflite", "micro"]
Kernels = Literal["auto", "xnnpack", "builtin", "reference"]
TransformName = Literal["lossless", "step", "klt", "skip"]


class StreamStart(dict[str, Any]):
    """A sample (input name -> array) with which a stream begins: models that keep state start anew with it."""


@dataclass(frozen=True)
class DataOptions:
    """Which samples are taken, and how they become a model's inputs.

    Attributes:
      data: folder of images, CSV, tar, TFRecord, Parquet, .npz, .npy or `tfds:NAME[SPLIT]`; None = none, or
        synthetic inputs.
      preprocessing: raw, tf or torch; None = not named (an error where it would matter).
      resize: (height, width) to resize images to; None = the model's input size.
      central_crop: fraction of the shorter side that is cropped from the middle; None = no crop.
      num_samples: at most this many samples; None = all.
      seed: chooses those samples at random; None = the first ones.
      skip_unreadable: leave unreadable images out instead of stopping.
      max_unreadable: leave out so many at most; None = any number, if any.
    """

    data: str | Path | None = None
    preprocessing: str | None = None
    resize: tuple[int, int] | None = None
    central_crop: float | None = None
    num_samples: int | None = None
    seed: int | None = None
    skip_unreadable: bool = False
    max_unreadable: int | None = None

    def by_flag(self) -> dict[str, object]:
        """What results on these data depend on beside the data, by the flag that says it; JSON-serialisable."""
        names = ("preprocessing", "resize", "central_crop", "num_samples", "seed", "skip_unreadable")
        return {f"--{name}": getattr(self, name) for name in names}


@dataclass(frozen=True)
class CalibrationOptions(DataOptions):
    """Where samples of a calibration come from; see DataOptions.

    Attributes:
      data: None = built-in synthetic inputs.
      store: file that keeps what was measured, for other conversions with these data; None keeps nothing.
      beam: options of an Apache Beam pipeline that measures, such as --runner=DaskRunner; None measures here.
      beam_timeout: seconds that the pipeline may take; None = any time.
    """

    data: Path | None = None
    num_samples: int | None = 512
    seed: int = 0
    store: Path | None = None
    beam: tuple[str, ...] | None = None
    beam_timeout: float | None = None


@dataclass(frozen=True)
class Extensions:
    """Implementations of ops that a runtime lacks; see fmtc_tflite.runtime.extensions.

    Attributes:
      op_libraries: FILE or FILE:FUNCTION, which registers custom ops.
      delegates: FILE of an external delegate.
    """

    op_libraries: tuple[str, ...] = ()
    delegates: tuple[str, ...] = ()


NO_EXTENSIONS = Extensions()


@dataclass(frozen=True)
class ConvertOptions:
    """What `convert` may do to a model.

    Attributes:
      calibration: see CalibrationOptions.
      lossless: keep every output bit (always so without calibration data).
      max_kl: bound on the fidelity measure (KL in nats for classifiers) on held-back samples; with it, or with
        max_accuracy_drop, coded cuts of regions may lose something.
      max_bits_per_value: bound on the rate instead of max_kl.
      objective: traffic codes every map that shrinks; arena only those that lower the planned peak; None = traffic
        where maps are coded. For regions traffic stores the fewest bytes, arena (None) needs the least memory.
      max_arena: for regions with the objective traffic: how many times the arena that the objective arena would reach
        they may need; None = DEFAULT_MAX_ARENA.
      include, exclude: selectors of feature maps or ops; see fmtc_tflite.graph.selection.
      recipe: JSON file with a treatment per tensor, see fmtc_tflite.conversion.recipe; for regions with what is stored
        and what stays outside, see fmtc_tflite.conversion.region_recipe.
      output_kind: auto, logits or probabilities, for models whose output is no SOFTMAX.
      num_threads: threads that run the model, in as many interpreters as memory allows where maps are coded; None = one
        for each processor.
      max_accuracy_drop: bound on the fall of top-1 on labelled held-back samples (0.01 = one point), its standard error
        included, instead of max_kl.
      label_offset: added to each label; None = 0, unless the number of classes says otherwise.
      capacity_percentile: coded tensors of lossy maps are as large as this percentile of the coded sizes, times the
        margin; what does not fit is coded coarser. None = as large as is always enough, for the objective traffic.
      capacity_margin: that margin; 1.1 = a tenth more.
      disable: parts of the scheme to leave out, to see what they bring; of DISABLED_PARTS.
      refit: fit int8 weights of convolutions anew to the lossy maps that they read, where that lessens the outputs'
        divergence in cross-validation.
      preset: default, or paper for the scheme of Chmiel et al. (fmtc_tflite.conversion.paper_preset), to compare with.
      paper_bits: what the range of a map's main component is quantized to, for that preset; None = 8.
      execution: ops inserts FMTC_ENCODE and FMTC_DECODE; regions puts FMTC_REGION ops in the place of groups of ops,
        for the least peak arena, bit-exact unless the objective is traffic and a bound on loss is given; auto = regions
        without ops that would make them clearly slower, unless another option asks for traffic or loss.
      target: whose interpreter runs the model: tflite (LiteRT, TensorFlow) or micro (TensorFlow Lite Micro), for which
        regions are planned otherwise.
      kernels: whose results regions and folded maps give; auto = what the runtime does by default, for the target micro
        reference.
      runtime: whose kernels, and where regions are verified (see load_interpreter); None = the first that is installed.
      extensions: what runs ops that the runtime lacks.
      max_extra_macs: share of the multiply-adds that regions may compute twice, in column strips, where that saves
        memory; None = DEFAULT_MAX_EXTRA_MACS.
      max_extra_time: share of the predicted time that strips may add; None = DEFAULT_MAX_EXTRA_TIME, or as much again
        where `max_extra_macs` is given: who names one bound has that one. For the target micro times are not predicted.
      cpu: level of instructions whose measured costs predict times (fmtc_tflite.regions.time_costs), never this
        machine's own, so that the same bytes are written everywhere; None = DEFAULT_CPU.
      input_shapes: (input name, shape) of inputs whose shape the file leaves open, or that are to have another one.
    """

    calibration: CalibrationOptions = CalibrationOptions()
    lossless: bool = False
    max_kl: float | None = None
    max_bits_per_value: float | None = None
    objective: Objective | None = None
    include: str | None = None
    exclude: str | None = None
    recipe: Path | None = None
    output_kind: str = "auto"
    num_threads: int | None = None
    max_accuracy_drop: float | None = None
    label_offset: int | None = None
    capacity_percentile: float | None = None
    capacity_margin: float | None = None
    disable: frozenset[str] = frozenset()
    refit: bool = False
    preset: Preset = "default"
    paper_bits: float | None = None
    execution: Execution = "auto"
    target: Target = "tflite"
    kernels: Kernels = "auto"
    runtime: str | None = None
    max_extra_macs: float | None = None
    max_extra_time: float | None = None
    cpu: str | None = None
    max_arena: float | None = None
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    extensions: Extensions = NO_EXTENSIONS

    @property
    def is_lossless(self) -> bool:
        """Whether every output bit must stay: asked for, or no real data to bound a loss with."""
        return self.lossless or self.calibration.data is None

    @property
    def loses_in_cuts(self) -> bool:
        """Whether coded cuts of regions may lose something, which only who gives a bound allows."""
        return self.execution == "regions" and (self.max_kl, self.max_accuracy_drop) != (None, None)

    @property
    def effective_max_kl(self) -> float:
        return DEFAULT_MAX_KL if self.max_kl is None else self.max_kl

    @property
    def default_treatment(self) -> Treatment:
        """What becomes of a map that nothing else decides on, where loss is allowed."""
        return Treatment("klt" if self.preset == "paper" else "step")

    @property
    def has_budgets(self) -> bool:
        """Whether coded tensors of lossy maps get less memory than is always enough."""
        given = self.capacity_percentile is not None or self.capacity_margin is not None
        return given or self.objective == "arena"

    @property
    def effective_capacity_percentile(self) -> float:
        return 100.0 if self.capacity_percentile is None else self.capacity_percentile

    @property
    def effective_capacity_margin(self) -> float:
        return _CAPACITY_MARGIN if self.capacity_margin is None else self.capacity_margin

    @property
    def effective_max_extra_macs(self) -> float:
        return DEFAULT_MAX_EXTRA_MACS if self.max_extra_macs is None else self.max_extra_macs

    @property
    def effective_max_extra_time(self) -> float:
        if self.max_extra_time is not None:
            return self.max_extra_time
        # The costs of CPUs say nothing of microcontrollers, where time follows multiply-adds.
        is_bounded = self.max_extra_macs is None and self.target == "tflite"
        return DEFAULT_MAX_EXTRA_TIME if is_bounded else 1.0

    @property
    def effective_max_arena(self) -> float:
        return DEFAULT_MAX_ARENA if self.max_arena is None else self.max_arena

    @property
    def effective_cpu(self) -> str:
        return DEFAULT_CPU if self.cpu is None else self.cpu

    @property
    def constraint(self) -> str:
        """The constraint in force, as a user would write it."""
        if self.max_bits_per_value is not None:
            return f"--max_bits_per_value {self.max_bits_per_value:g}"
        if self.max_accuracy_drop is not None:
            return f"--max_accuracy_drop {self.max_accuracy_drop:g}"
        return f"--max_kl {self.effective_max_kl:g}"

    def check(self) -> None:
        """Raises UsageError where options contradict each other or are out of range."""
        bounds = {
            "--max_kl": self.max_kl,
            "--max_bits_per_value": self.max_bits_per_value,
            "--max_accuracy_drop": self.max_accuracy_drop,
        }
        given = [name for name, bound in bounds.items() if bound is not None]
        for name in given:
            if not 0 < (bounds[name] or 0) < math.inf:
                raise UsageError(f"{name} {bounds[name]} is not a positive number")
        self._check_execution(given)
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other; pass one of them")
        if given and self.lossless:
            raise UsageError(f"{given[0]} and --lossless exclude each other; pass one of them")
        if self.calibration.beam is not None and (self.is_lossless or self.calibration.store is None):
            raise UsageError(
                "--beam measures for lossy conversions, into a file: it needs --calibration_data and "
                "--calibration_store, and no --lossless"
            )
        if self.calibration.beam is not None and self.extensions != NO_EXTENSIONS:
            raise UsageError("--op_library and --delegate stay on this machine; drop --beam")
        if given and self.calibration.data is None:
            raise UsageError(f"{given[0]} needs --calibration_data: without data the conversion is lossless")
        self._check_capacity()
        if self.refit and self.is_lossless:
            raise UsageError(
                "--refit changes weights, to make good for loss: it needs --calibration_data and no --lossless"
            )
        unknown = self.disable - set(DISABLED_PARTS)
        if unknown:
            raise UsageError(f"--disable: got {', '.join(sorted(unknown))}, expected of {', '.join(DISABLED_PARTS)}")
        self._check_preset(given)

    def _check_capacity(self) -> None:
        percentile, margin = self.effective_capacity_percentile, self.effective_capacity_margin
        if not 0 < percentile <= 100:
            raise UsageError(f"--capacity_percentile {percentile:g}: expected above 0, up to 100")
        if not 0 < margin < math.inf:
            raise UsageError(f"--capacity_margin {margin:g}: expected a positive number, such as 1.1")
        if self.has_budgets and self.is_lossless and self.objective != "arena":
            raise UsageError(
                "--capacity_percentile and --capacity_margin need lossy maps: what is coded losslessly must always "
                "fit; pass --calibration_data and no --lossless, or drop them"
            )

    def _check_execution(self, bounds: list[str]) -> None:
        """Regions lose something in coded cuts alone, and much that belongs to the codec has no meaning for them."""
        if self.execution == "ops":
            for name, value, default in (
                ("target", self.target, "tflite"),
                ("runtime", self.runtime, None),
                ("max_extra_macs", self.max_extra_macs, None),
                ("max_extra_time", self.max_extra_time, None),
                ("cpu", self.cpu, None),
                ("max_arena", self.max_arena, None),
            ):
                if value != default:
                    raise UsageError(f"--{name} {value} belongs to --execution regions; pass both or neither")
        if self.execution != "regions":
            return
        if not 0 <= self.effective_max_extra_macs <= 1:
            raise UsageError(f"--max_extra_macs {self.max_extra_macs}: expected a share from 0 to 1, such as 0.05")
        if not 0 <= self.effective_max_extra_time <= 1:
            raise UsageError(f"--max_extra_time {self.max_extra_time}: expected a share from 0 to 1, such as 0.05")
        if self.target == "micro":
            self._check_micro()
        if bounds and self.objective != "traffic":
            raise UsageError(
                f"{bounds[0]} asks for loss, and --execution regions loses something in coded cuts alone: pass "
                f"--objective traffic, too, or drop {bounds[0]}"
            )
        others = {
            "--max_bits_per_value": self.max_bits_per_value is not None,
            "--capacity_percentile": self.capacity_percentile is not None,
            "--capacity_margin": self.capacity_margin is not None,
            "--refit": self.refit,
            "--preset paper": self.preset == "paper",
            "--calibration_store": self.calibration.store is not None,
            "--beam": self.calibration.beam is not None,
        }
        for name, given in others.items():
            if given:
                raise UsageError(f"{name} has no meaning with --execution regions; leave it out")
        if self.max_arena is not None and self.objective != "traffic":
            raise UsageError("--max_arena bounds what --objective traffic may need; pass both or neither")
        if not 1 <= self.effective_max_arena < math.inf:
            raise UsageError(f"--max_arena {self.max_arena}: expected a factor of at least 1, such as 1.1")

    def _check_micro(self) -> None:
        if self.cpu is not None or self.max_extra_time is not None:
            raise UsageError("--cpu and --max_extra_time predict CPUs' times; with --target micro use --max_extra_macs")
        if self.kernels not in ("auto", "reference"):
            raise UsageError(
                f"--kernels {self.kernels}: TensorFlow Lite Micro rounds as the reference kernels; drop it"
            )
        if self.objective == "traffic":
            raise UsageError("--objective traffic is not for --target micro, which needs the least memory; drop one")

    def _check_preset(self, bounds: list[str]) -> None:
        if self.preset == "default":
            if self.paper_bits is not None:
                raise UsageError("--paper_bits belongs to --preset paper; pass both or neither")
            return
        check_paper_bits(DEFAULT_PAPER_BITS if self.paper_bits is None else self.paper_bits)
        others = {
            "--lossless": self.lossless,
            "--recipe": self.recipe,
            "--objective arena": self.objective == "arena",
            "--refit": self.refit,
        }
        for name in [*bounds, *(name for name, present in others.items() if present)]:
            raise UsageError(f"--preset paper fixes all choices, so {name} has no meaning with it; leave it out")
        if self.calibration.data is None:
            raise UsageError("--preset paper needs --calibration_data: its transforms come from real inputs")


def check_paper_bits(bits: float) -> None:
    """Raises UsageError where --paper_bits is out of range."""
    low, high = PAPER_BITS_RANGE
    if not low <= bits <= high:
        raise UsageError(f"--paper_bits {bits:g}: expected {low:g} to {high:g}, for the range of the main component")


def parse_input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """'NAME:1,224,224,3' as a name and a shape.

    Raises:
      UsageError: it is none.
    """
    name, colon, shape = text.rpartition(":")
    try:
        sizes = tuple(int(size) for size in shape.split(","))
    except ValueError:
        sizes = ()
    if not colon or not name or not sizes or min(sizes) < 1:
        raise UsageError(f"--input_shape {text!r}: expected NAME:1,224,224,3, with positive sizes")
    return name, sizes


@dataclass(frozen=True)
class EvaluateOptions(DataOptions):
    """What `evaluate` measures on (see DataOptions), and how.

    Attributes:
      label_offset: added to each label; None = 0, unless the number of classes says otherwise.
      output_kind: auto, logits or probabilities, for models whose output is no SOFTMAX.
      num_workers: processes that share the samples.
      num_threads: threads of each process's interpreters; None leaves it to the runtime.
      runtime: see load_interpreter; None = the first that is installed.
      beam: options of an Apache Beam pipeline that runs the samples, such as --runner=DaskRunner; None runs them here.
      beam_timeout: seconds that the pipeline may take; None = any time.
      extensions: what runs ops that the runtime lacks.
      input_shapes: (input name, shape) of inputs whose shape the file leaves open.
    """

    data: str | Path = field()
    label_offset: int | None = None
    output_kind: str = "auto"
    num_workers: int = 1
    num_threads: int | None = None
    runtime: str | None = None
    beam: tuple[str, ...] | None = None
    beam_timeout: float | None = None
    extensions: Extensions = NO_EXTENSIONS
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def check(self) -> None:
        """Raises UsageError where options are out of range."""
        for name, value in (
            ("num_samples", self.num_samples),
            ("num_workers", self.num_workers),
            ("num_threads", self.num_threads),
        ):
            if value is not None and value < 1:
                raise UsageError(f"--{name}: got {value}, expected at least 1")
        if self.beam is not None and self.num_workers > 1:
            raise UsageError("--beam has workers of its own; drop --num_workers")
        if self.seed is not None and self.seed < 0:
            raise UsageError(f"--seed: got {self.seed}, expected 0 or more")


@dataclass(frozen=True)
class Treatment:
    """What to do with one feature map.

    Attributes:
      transform: lossless, step (identity with a quantization step), klt, or skip.
      step: in int8 units (multiples of 1/16), of a transform step perhaps one for each channel; None = one per channel,
        from the search.
      components: r of the KLT; None = all channels.
    """

    transform: TransformName
    step: float | tuple[float, ...] | None = None
    components: int | None = None

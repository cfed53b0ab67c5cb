"""--refit: weights of convolutions fitted anew to the coded maps that they read.

Where a convolution reads a map that is coded with loss, least squares give it int8 weights and a bias with which its
sums come nearer to those of the original; scales, and so everything else, stay. Each fit knows the loss of its own map
only: what earlier maps lose as well would pull weights towards zero, and outputs away from the original's. Folded
convolutions, whose weights lie in side information, are fitted like those in the graph.

Weights are fitted on all samples that tables are made from. What good they do is known from cross-validation: from
weights that were fitted on some of these samples, on the others. So are chosen the ridges, the convolutions whose new
weights bring the outputs nearer, and whether all of these together do, by more than chance. A bound must hold on the
held-back samples as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any

import numpy as np

from fmtc_tflite.calibration.least_squares import Change, NormalEquations
from fmtc_tflite.calibration.projection import signed_zero_point
from fmtc_tflite.coding import rounding
from fmtc_tflite.coding.side_info import SideInformation
from fmtc_tflite.conversion.bounds import fidelity_trial
from fmtc_tflite.conversion.build import Refit, build_converted
from fmtc_tflite.conversion.map_coding import MapCoding, lossy_maps
from fmtc_tflite.conversion.search import compare_converted
from fmtc_tflite.conversion.source import Source
from fmtc_tflite.data.dataset import Dataset
from fmtc_tflite.errors import ModelFormatError
from fmtc_tflite.fidelity.metrics import MeanResult, mean_with_error
from fmtc_tflite.fidelity.verify import Comparison
from fmtc_tflite.graph.model import Model, Op, Tensor
from fmtc_tflite.graph.operators.constants import constant, is_constant
from fmtc_tflite.graph.operators.window import Window, WindowAxis, op_window, operand, result_of
from fmtc_tflite.inference.model_runner import ModelRunner
from fmtc_tflite.inference.parallel import in_parallel, open_runners
from fmtc_tflite.progress import progress
from fmtc_tflite.runtime.library import NativeCodec
from fmtc_tflite.types import ConvertOptions

Sample = Mapping[str, np.ndarray]

_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_FOLDS = 4
_LEAST_SAMPLES = 8
_MOST_INPUTS = 2304  # of an output: sums of 42 MB
_MOST_BYTES = 128 << 20  # of the sums that one pass over the samples fills
_MOST_PIXELS = 1024  # of a map, evenly spread
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True)
class LeftAlone:
    """A convolution that reads a lossy map and keeps its weights: what it writes, and why."""

    tensor: str
    reason: str


@dataclass(frozen=True)
class Refitting:
    """What --refit came to on one entry point.

    Attributes:
      refits: new weights, which the converted model has; none where the outputs' divergence did not fall.
      left_alone: the other convolutions that read a lossy map.
      before: divergence on held-back samples with the original's weights.
      after: the same with the new ones; None where none were left to try.
      gain: what the outputs' divergence falls by with weights that were not fitted on the samples at hand; None where
        none were left to try.
    """

    refits: tuple[Refit, ...]
    left_alone: tuple[LeftAlone, ...]
    before: float
    after: float | None = None
    gain: MeanResult | None = None

    def to_dict(self) -> dict[str, Any]:
        """For the report."""
        return {
            "divergence_before": self.before,
            "divergence_after": self.after,
            "cross_validated_gain": None if self.gain is None else asdict(self.gain),
            "ops": [{"op": r.op, "tensor": r.tensor, "error_ratio": r.error_ratio} for r in self.refits],
            "left_alone": [asdict(each) for each in self.left_alone],
        }


@dataclass(frozen=True, eq=False)
class _Consumer:
    """A convolution that can be fitted.

    Attributes:
      number: of the op in the original's main subgraph.
      info: side information of what it reads.
    """

    number: int
    op: Op
    info: SideInformation
    window: Window
    groups: int

    @property
    def source(self) -> Tensor:
        """What it reads."""
        return operand(self.op, 0)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Batch size, height and width of that."""
        batch, height, width, _ = self.source.shape
        return batch, height, width

    @property
    def is_depthwise(self) -> bool:
        return self.op.opcode == "DEPTHWISE_CONV_2D"

    @property
    def weights(self) -> np.ndarray:
        """int8 [groups, outputs of a group, weights of an output]."""
        values = constant(operand(self.op, 1))
        if self.is_depthwise:
            return values.reshape(self.window.taps, self.groups, -1).transpose(1, 2, 0)
        return values.reshape(self.groups, len(values) // self.groups, -1)

    @property
    def sums_bytes(self) -> int:
        groups, outputs, inputs = self.weights.shape
        return (_FOLDS + 1) * 8 * groups * inputs * (inputs + outputs)

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """What outputs at some pixels read of a map [N, H, W, C]: float64 [groups, pixels, weights of an output]."""
        rows, columns = self.window.rows, self.window.columns
        skip = max(int(np.ceil(np.sqrt(rows.outputs * columns.outputs / _MOST_PIXELS))), 1)
        values = x.astype(np.int16) - np.int16(signed_zero_point(self.source))
        padded = np.pad(values, ((0, 0), (rows.before, rows.after), (columns.before, columns.after), (0, 0)))
        y, x_ = _taps(rows, skip), _taps(columns, skip)
        taken = padded[:, y[:, None, :, None], x_[None, :, None, :]]  # [N, rows, columns, kernel, kernel, C]
        taken = taken.reshape(-1, self.window.taps, self.groups, x.shape[3] // self.groups)
        return taken.transpose(2, 0, 1, 3).reshape(self.groups, len(taken), -1).astype(np.float64)

    def with_change(self, change: Change, error_ratio: float) -> Refit:
        """The op's constants after a change."""
        new = self.weights + change.weights
        weights = (new.transpose(2, 0, 1) if self.is_depthwise else new).astype(np.int8)
        limits, bias = np.iinfo(np.int32), constant(operand(self.op, 2))
        biases = np.clip(bias + change.biases.reshape(-1), limits.min, limits.max).astype(np.int32)
        return Refit(self.number, result_of(self.op).name, weights, biases, error_ratio)


def refit(
    source: Source, codings: Sequence[MapCoding], comparison: Comparison
) -> tuple[Refitting, list[MapCoding], Comparison]:
    """New weights for a finished conversion; its codings with those that are kept, and their run on held-back samples.

    Args:
      comparison: the run with the original's weights.
    """
    refits, left_alone, gain = _fitted(source, codings)
    before = comparison.fidelity.mean
    if not refits:
        return Refitting((), tuple(left_alone), before, gain=gain), list(codings), comparison
    own = with_folded_refits(codings, refits)
    with_refits = compare_converted(source, own, refits)
    after = with_refits.fidelity.mean
    if _keeps_bounds(source.options, comparison, with_refits):
        return Refitting(tuple(refits), tuple(left_alone), before, after, gain), own, with_refits
    left_alone += [LeftAlone(r.tensor, "with all new weights held-back outputs break the bound") for r in refits]
    return Refitting((), tuple(left_alone), before, after, gain), list(codings), comparison


def with_folded_refits(codings: Sequence[MapCoding], refits: Sequence[Refit]) -> list[MapCoding]:
    """The codings, new weights of folded convolutions in the decoders' side information.

    Args:
      refits: of the codings' subgraph.
    """
    found = {refit.op: refit for refit in refits}

    def changed(coding: MapCoding) -> MapCoding:
        op, info = coding.site.producer, coding.info
        refit = found.get(coding.site.subgraph.ops.index(op)) if coding.folded else None
        if refit is None or info is None or info.convolution is None:
            return coding
        old = info.convolution
        weights = refit.weights.reshape(old.weights.shape)
        change = weights.astype(np.int64) - old.weights
        added = refit.biases.astype(np.int64) - constant(operand(op, 2))
        zero = signed_zero_point(operand(op, 0)) + 128  # which biases of side information have in them
        biases = rounding.wrap(old.biases + added - zero * change.sum(1)).astype(np.int32)
        return replace(coding, info=replace(info, convolution=replace(old, weights=weights, biases=biases)))

    return [changed(coding) for coding in codings]


def _keeps_bounds(options: ConvertOptions, old: Comparison, new: Comparison) -> bool:
    """Whether bounds are as well kept as without new weights."""
    if options.max_bits_per_value is not None:
        return new.network_bytes.mean <= old.network_bytes.mean
    if old.accuracy_drop is None or new.accuracy_drop is None:
        return new.fidelity.mean <= max(old.fidelity.mean, options.effective_max_kl)
    drops = [c.mean + c.std_error for c in (old.accuracy_drop, new.accuracy_drop)]
    return drops[1] <= max(drops[0], options.max_accuracy_drop or 0.0)


def _fitted(source: Source, codings: Sequence[MapCoding]) -> tuple[list[Refit], list[LeftAlone], MeanResult | None]:
    """Weights that, on samples that they were not fitted on, do more good than harm; what has none; and that good."""
    samples = source.samples.tables
    consumers, left_alone = _consumers(source, codings)
    if not consumers or len(samples) < _LEAST_SAMPLES:
        return [], [*left_alone, *(_alone(c.op, "there are too few samples") for c in consumers)], None
    folds = samples.folds(_FOLDS, source.options.calibration.seed)
    candidates = list[_Candidate]()
    for batch in _batches(consumers):
        sums = [_sums(source, batch, fold) for fold in folds]
        for consumer, *own in zip(batch, *sums, strict=True):
            candidate = _best(consumer, own)
            if candidate is None:
                left_alone.append(_alone(consumer.op, "other weights make its own error no smaller"))
            else:
                candidates.append(candidate)
    kept, gain = _chosen(_CrossValidation(source, codings, folds), candidates)
    dropped = [candidate.refit for candidate in candidates if candidate not in kept]
    left_alone += [LeftAlone(refit.tensor, "other weights bring the outputs no nearer") for refit in dropped]
    return [candidate.refit for candidate in kept], left_alone, gain


@dataclass(frozen=True, eq=False)
class _Candidate:
    """New weights of one convolution: from all samples, and from all without those of each fold."""

    refit: Refit
    without: tuple[Refit, ...]


class _CrossValidation:
    """Divergences on samples that weights were not fitted on."""

    def __init__(self, source: Source, codings: Sequence[MapCoding], folds: Sequence[Dataset]) -> None:
        self._content, self._codings = source.file.content, codings
        values = len(folds) * source.values  # so that all trials together take about the time of one
        self._trials = [fidelity_trial(source.file, [fold], values, source.options) for fold in folds]

    def measure(self, candidates: Sequence[_Candidate]) -> np.ndarray:
        """What each sample adds to the divergence of the worst output, all samples in one order, float64 [samples]."""
        parts = []
        for fold, trial in enumerate(self._trials):
            refits = [candidate.without[fold] for candidate in candidates]
            converted = build_converted(self._content, with_folded_refits(self._codings, refits), refits)
            parts.append(trial.contributions(converted))
        return max((np.concatenate(output) for output in zip(*parts, strict=True)), key=np.mean)


def _chosen(
    validation: _CrossValidation, candidates: Sequence[_Candidate]
) -> tuple[list[_Candidate], MeanResult | None]:
    """The candidates without those whose absence lessens the outputs' divergence, one looked at after another.

    None at all where what they gain together could be chance; and that gain.
    """
    if not candidates:
        return [], None
    before = validation.measure([])
    kept, least = list(candidates), validation.measure(candidates)
    for candidate in candidates:
        others = [other for other in kept if other is not candidate]
        measured = validation.measure(others) if others else before
        if measured.mean() < least.mean():
            least, kept = measured, others
    gain = mean_with_error(before - least)
    return (kept if gain.mean > gain.std_error else []), gain


def _consumers(source: Source, codings: Sequence[MapCoding]) -> tuple[list[_Consumer], list[LeftAlone]]:
    """The convolutions that read a lossy map and can be fitted, in the order of the maps; and the others that do."""
    model = source.file.model
    uses, infos = _uses(model), {coding.site: coding.info for coding in lossy_maps(codings)}
    numbers = {op: number for number, op in enumerate(model.subgraphs[0].ops)}
    found, left_alone = list[_Consumer](), list[LeftAlone]()
    for coding in codings:
        copy = coding.treated.copy
        info = infos.get(coding.site if copy is None or copy.site is None else copy.site)
        if info is None:
            continue
        for op in coding.site.consumers:
            if op.opcode not in _CONVOLUTIONS or op.inputs[0] is not coding.site.tensor:
                continue
            if copy is not None:
                left_alone.append(_alone(op, "it reads a copy of a map"))
            elif coding.folded:
                left_alone.append(_alone(op, "it reads a folded map"))
            elif (reason := _reason(op, uses)) is not None:
                left_alone.append(_alone(op, reason))
            else:
                depth = 1 if op.opcode == "DEPTHWISE_CONV_2D" else operand(op, 1).shape[3]
                found.append(_Consumer(numbers[op], op, info, op_window(op), operand(op, 0).shape[3] // depth))
    return found, left_alone


def _uses(model: Model) -> Counter[int]:
    """How often each buffer is an input of ops or an output of graphs, by its id."""
    read = [t for subgraph in model.subgraphs for op in subgraph.ops for t in op.inputs if t is not None]
    outputs = [tensor for subgraph in model.subgraphs for tensor in subgraph.outputs]
    return Counter(id(tensor.buffer) for tensor in [*read, *outputs])


def _reason(op: Op, uses: Counter[int]) -> str | None:
    """Why an op keeps its weights whatever the samples say; None if it may get others."""
    source, weights, bias = [*op.inputs, None, None][:3]
    if source is None or weights is None or not is_constant(weights) or len(weights.shape) != 4:
        return "its weights are no constant"
    if weights.dtype != np.int8 or source.dtype != np.int8 or weights.quantization is None:
        return "its weights are not int8"
    if weights.quantization.scale is None or np.any(weights.quantization.zeroPoint):
        return "its weights have zero points"
    if bias is None or bias.dtype != np.int32 or not is_constant(bias):
        return "it has no constant bias"
    if uses[id(weights.buffer)] > 1 or uses[id(bias.buffer)] > 1:
        return "its weights or bias have another use"
    try:
        op_window(op)
    except ModelFormatError:
        return "its window is none that is known"
    _, height, width, depth = weights.shape
    is_depthwise, channels = op.opcode == "DEPTHWISE_CONV_2D", source.shape[3]
    outputs = depth if is_depthwise else weights.shape[0]
    if channels % (1 if is_depthwise else depth) or outputs % (channels if is_depthwise else channels // depth):
        return "its channels do not fit its weights"
    if len(weights.quantization.scale) not in (1, outputs) or bias.shape != (outputs,):
        return "its channels do not fit its weights"
    if height * width * (1 if is_depthwise else depth) > _MOST_INPUTS:
        return f"an output has more than {_MOST_INPUTS} weights"
    return None


def _alone(op: Op, reason: str) -> LeftAlone:
    return LeftAlone(result_of(op).name, reason)


def _batches(consumers: Sequence[_Consumer]) -> Iterator[list[_Consumer]]:
    """The consumers in parts whose sums fit into memory at once."""
    batch, size = list[_Consumer](), 0
    for consumer in consumers:
        if batch and size + consumer.sums_bytes > _MOST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(consumer)
        size += consumer.sums_bytes
    if batch:
        yield batch


def _sums(source: Source, batch: Sequence[_Consumer], samples: Dataset) -> list[NormalEquations]:
    """Of each consumer: what it reads in the original, and what is decoded of that, on all samples in their order."""
    equations, tensors = [NormalEquations(consumer.weights) for consumer in batch], [c.source for c in batch]

    def run(runner: ModelRunner, sample: Sample) -> list[np.ndarray]:
        runner.run(sample)
        return [runner.read(tensor) for tensor in tensors]

    runners = open_runners(source.file, source.options.num_threads, readable=tensors)
    with ExitStack() as stack:
        codecs = [stack.enter_context(NativeCodec(c.info.to_bytes(), c.grid, np.int8)) for c in batch]
        for maps in in_parallel(runners, progress(samples, "least squares"), run):
            for consumer, codec, own, x in zip(batch, codecs, equations, maps, strict=True):
                own.add(consumer.inputs(x), consumer.inputs(codec.decode(codec.encode(x))))
    return equations


def _best(consumer: _Consumer, folds: Sequence[NormalEquations]) -> _Candidate | None:
    """The change with the ridge that does best on folds without which it was fitted; None if none lessens the error."""
    everything = NormalEquations.total(folds)
    others = [NormalEquations.total([other for other in folds if other is not fold]) for fold in folds]
    shape = everything.weights.shape[:2]
    scales = np.asarray(operand(consumer.op, 1).quantization.scale, np.float64)
    power = np.broadcast_to(scales, shape[0] * shape[1]).reshape(shape) ** 2

    def error(changes: Sequence[Change | None]) -> float:
        pairs = zip(folds, changes, strict=True)
        return float(sum(fold.rows * (fold.errors(change) * power).sum() for fold, change in pairs))

    before, best, least = error([None] * len(folds)), None, inf
    for ridge in _RIDGES:
        final, without = everything.fitted(ridge), [other.fitted(ridge) for other in others]
        if final is None or any(change is None for change in without):
            continue
        measured = error(without)
        if measured < min(before, least):
            best, least = (final, without), measured
    if best is None:
        return None
    ratio = max(least, 0.0) / before
    final, without = best
    changes = [consumer.with_change(change, ratio) for change in without if change is not None]
    return _Candidate(consumer.with_change(final, ratio), tuple(changes))


def _taps(axis: WindowAxis, skip: int) -> np.ndarray:
    """Where each tap of some of an axis' outputs lies in the padded input, int64 [outputs, kernel]."""
    outputs = np.arange(min(skip // 2, axis.outputs - 1), axis.outputs, skip)
    return outputs[:, None] * axis.stride + np.arange(axis.kernel) * axis.dilation

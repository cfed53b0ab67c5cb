"""From residual histograms to integer tables: predictor and class of each component, tokens and state counts.

A component (channel) is described by five histograms, one per predictor. Components are clustered into at most eight
classes (Lloyd's algorithm on code lengths; each step also picks the predictor that codes a component shortest); the
256 residuals of a class are cut into at most 16 tokens by dynamic programming. Every class costs side information, so
classes are merged while that saves bytes.
"""

from dataclasses import dataclass

import numpy as np

from fmtc_tflite.coding.side_info import MAX_CLASSES, MAX_TOKENS, PREDICTORS, TokenClass
from fmtc_tflite.coding.tables import NUM_STATES

_LLOYD_ROUNDS = 8
_LOG2_WIDTHS = range(8)
# Adds this share of a wider histogram to a class's own, so that a value that calibration never saw stays affordable.
_SMOOTHING = 1e-4


@dataclass(frozen=True)
class EntropyModel:
    """How the residuals of one feature map are coded.

    Attributes:
      classes: the token classes in use.
      component_class: uint8 [r].
      predictor: uint8 [r], index into PREDICTORS.
      bits: expected bits of the histograms that the model was made from, headers excluded.
    """

    classes: tuple[TokenClass, ...]
    component_class: np.ndarray
    predictor: np.ndarray
    bits: float


def fit(histograms: np.ndarray, num_inferences: float, predictors: bool = True) -> EntropyModel:
    """Makes the tables of one feature map.

    Args:
      histograms: counts [r, 5, 256] of residual bytes for each component and predictor, from `num_inferences` runs.
      num_inferences: runs behind the histograms; weighs side information (read once a run) against coded bits.
      predictors: False to code all components without prediction.
    """
    histograms = histograms.astype(np.float64)
    if not predictors:
        histograms = histograms[:, :1]
    live, dead_value = _split_dead(histograms)
    members = np.flatnonzero(live)
    component_class = np.zeros(len(histograms), np.uint8)
    predictor = np.zeros(len(histograms), np.uint8)
    classes: list[TokenClass] = []
    bits = 0.0
    if len(members):
        slots = MAX_CLASSES - (len(members) < len(histograms))
        classes, component_class[members], predictor[members], bits = _cluster(
            histograms[members], slots, num_inferences
        )
    if len(members) < len(histograms):
        component_class[~live] = len(classes)
        classes.append(_dead_class(dead_value))
    return EntropyModel(tuple(classes), component_class, predictor, bits)


def _split_dead(histograms: np.ndarray) -> tuple[np.ndarray, int]:
    """Components that are not one and the same constant throughout calibration, bool [r], and that constant."""
    plain = histograms[:, 0]
    value = plain.argmax(1)
    constant = np.take_along_axis(plain, value[:, None], 1)[:, 0] == plain.sum(1)
    if not constant.any():
        return np.ones(len(plain), bool), 0
    common = int(np.bincount(value[constant], minlength=256).argmax())
    return ~(constant & (value == common)), common


def _dead_class(value: int) -> TokenClass:
    """A class whose segments are nearly always constant; what deviates is spread over all residuals."""
    return fit_classes(np.eye(256)[value : value + 1])[0][0]


def _cluster(
    histograms: np.ndarray, slots: int, num_inferences: float
) -> tuple[list[TokenClass], np.ndarray, np.ndarray, float]:
    r, p, _ = histograms.shape
    flat = histograms.reshape(r * p, 256)
    assignment, predictor = _first_assignment(histograms, min(slots, r))
    for _ in range(_LLOYD_ROUNDS):
        centroids = _class_histograms(histograms, assignment, predictor)
        ideal = -np.log2(_smooth(centroids) / centroids.sum(1, keepdims=True))
        new_assignment, new_predictor, _ = _assign(flat, ideal, r, p)
        if (new_assignment == assignment).all() and (new_predictor == predictor).all():
            break
        assignment, predictor = _compact(new_assignment), new_predictor
    assignment = _merge(_class_histograms(histograms, assignment, predictor), assignment, num_inferences)
    for _ in range(2):  # with the real code lengths
        _, lengths = fit_classes(_class_histograms(histograms, assignment, predictor))
        assignment, predictor, _ = _assign(flat, lengths, r, p)
        assignment = _compact(assignment)
    centroids = _class_histograms(histograms, assignment, predictor)
    classes, lengths = fit_classes(centroids)
    return classes, assignment, predictor, float((centroids * lengths).sum())


def _first_assignment(histograms: np.ndarray, slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Best predictor of each component alone, and equal slices of the components sorted by that entropy."""
    entropy = _entropy(histograms)
    predictor = entropy.argmin(1)
    order = np.argsort(entropy.min(1), kind="stable")
    assignment = np.empty(len(histograms), np.int64)
    for j, chunk in enumerate(np.array_split(order, slots)):
        assignment[chunk] = j
    return assignment, predictor


def _entropy(histograms: np.ndarray) -> np.ndarray:
    """Bits of each histogram [..., 256] under its own distribution."""
    total = np.maximum(histograms.sum(-1, keepdims=True), 1)
    return -(histograms * np.log2(np.where(histograms > 0, histograms, total) / total)).sum(-1)


def _class_histograms(histograms: np.ndarray, assignment: np.ndarray, predictor: np.ndarray) -> np.ndarray:
    chosen = histograms[np.arange(len(histograms)), predictor]
    out = np.zeros((assignment.max() + 1, 256))
    np.add.at(out, assignment, chosen)
    return out


def _smooth(histograms: np.ndarray) -> np.ndarray:
    """Adds a wide Laplacian and a uniform share; keeps each row's sum."""
    total = histograms.sum(1, keepdims=True)
    mixed = histograms * (1 - 2 * _SMOOTHING) + total * _SMOOTHING / 256
    window = np.exp(-np.abs(np.arange(-128, 128)) / 8.0)
    spread = np.fft.irfft(np.fft.rfft(histograms) * np.fft.rfft(np.roll(window / window.sum(), -128)), 256)
    return mixed + np.maximum(spread, 0) * _SMOOTHING


def _assign(flat: np.ndarray, lengths: np.ndarray, r: int, p: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class and predictor of least cost for each component; `lengths` are bits [classes, 256]."""
    cost = (flat @ lengths.T).reshape(r, p * len(lengths))
    best = cost.argmin(1)
    return best % len(lengths), best // len(lengths), cost[np.arange(r), best]


def _compact(assignment: np.ndarray) -> np.ndarray:
    """Renumbers the classes in use 0, 1, ..."""
    return np.unique(assignment, return_inverse=True)[1]


def _merge(centroids: np.ndarray, assignment: np.ndarray, num_inferences: float) -> np.ndarray:
    """Merges classes while the coded bits that this costs are fewer than the side information it saves."""
    class_bits = 8 * (3 + MAX_TOKENS // 2 + MAX_TOKENS)
    groups = [[j] for j in range(len(centroids))]
    histograms = list(centroids)
    while len(groups) > 1:
        own = _entropy(np.array(histograms))
        left, right = np.triu_indices(len(groups), 1)
        pairs = np.array([histograms[a] + histograms[b] for a, b in zip(left, right, strict=True)])
        loss = _entropy(pairs) - own[left] - own[right]
        best = int(loss.argmin())
        if loss[best] / num_inferences > class_bits:
            break
        a, b = int(left[best]), int(right[best])
        groups[a] += groups.pop(b)
        histograms[a] = histograms[a] + histograms.pop(b)
    merged = np.empty(len(centroids), np.int64)
    for j, group in enumerate(groups):
        merged[group] = j
    return merged[assignment]


def fit_classes(histograms: np.ndarray) -> tuple[list[TokenClass], np.ndarray]:
    """Tokens and state counts for class histograms.

    Args:
      histograms: counts [K, 256] of residual bytes.

    Returns:
      The K classes and the bits that each of them spends on each residual, [K, 256].
    """
    smoothed = _smooth(np.maximum(histograms, 0) + (histograms.sum(1, keepdims=True) == 0))
    smoothed /= smoothed.sum(1, keepdims=True)
    offsets = _offset_candidates(smoothed)
    rotated = np.stack([[np.roll(p, -o) for o in row] for p, row in zip(smoothed, offsets, strict=True)])
    partitions = _partition(rotated.reshape(-1, 256))
    classes, lengths = [], []
    for j, row in enumerate(offsets):
        fits = [_fit_one(smoothed[j], histograms[j], int(o), partitions[j * len(row) + i]) for i, o in enumerate(row)]
        costs = [float(smoothed[j] @ bits) for _, bits in fits]
        cls, bits = fits[int(np.argmin(costs))]
        classes.append(cls)
        lengths.append(bits)
    return classes, np.array(lengths)


def _offset_candidates(p: np.ndarray) -> np.ndarray:
    """Places where cutting the circle of 256 residuals should hurt least, [K, 4]."""
    ring = np.concatenate([p, p], 1)
    quiet = np.stack([ring[:, i : i + 256] for i in range(33)]).sum(0).argmin(1) + 16
    mode = p.argmax(1)
    fixed = np.full(len(p), 128)
    return np.stack([fixed, quiet % 256, mode, (mode + 128) % 256], 1)


def _token_cost(mass: np.ndarray, log2_width: int) -> np.ndarray:
    """Expected bits of a token: code length, raw bits, and what its least share of the states takes from others."""
    share = np.maximum(mass, 1 / NUM_STATES)
    return mass * (log2_width - np.log2(share)) + (share - mass) / np.log(2)


def _partition(p: np.ndarray) -> list[list[int]]:
    """Cuts [0, 256) into at most 16 runs of power-of-two length at least expected bits; `p` is [B, 256]."""
    batch = len(p)
    cumulative = np.concatenate([np.zeros((batch, 1)), np.cumsum(p, 1)], 1)
    costs = [_token_cost(cumulative[:, 1 << w :] - cumulative[:, : -(1 << w)], w) for w in _LOG2_WIDTHS]
    best = np.full((MAX_TOKENS + 1, batch, 257), np.inf)
    best[0, :, 0] = 0
    choice = np.zeros((MAX_TOKENS + 1, batch, 257), np.int8)
    for j in range(1, MAX_TOKENS + 1):
        for w in _LOG2_WIDTHS:
            candidate = best[j - 1, :, : -(1 << w)] + costs[w]
            current = best[j, :, 1 << w :]
            better = candidate < current
            current[better] = candidate[better]
            choice[j, :, 1 << w :][better] = w
    result = []
    for b in range(batch):
        j, end, widths = int(best[:, b, 256].argmin()), 256, []
        while end:
            widths.append(int(choice[j, b, end]))
            end -= 1 << widths[-1]
            j -= 1
        result.append(widths[::-1])
    return result


def _fit_one(p: np.ndarray, histogram: np.ndarray, offset: int, widths: list[int]) -> tuple[TokenClass, np.ndarray]:
    tokens = np.repeat(np.arange(len(widths)), [1 << w for w in widths])
    mass = np.bincount(tokens, np.roll(p, -offset))
    counts = _state_counts(mass)
    constant = int(histogram.argmax())
    cls = TokenClass(offset, constant, tuple(widths), tuple(counts.tolist()))
    bits = (np.array(widths) - np.log2(counts / NUM_STATES))[tokens]
    return cls, np.roll(bits, offset)


def _state_counts(mass: np.ndarray) -> np.ndarray:
    """Shares of 64 states, at least one each, that minimise the code length (greedy, which is optimal here)."""
    counts = np.ones(len(mass), np.int64)
    for _ in range(NUM_STATES - len(mass)):
        counts[np.argmax(mass * np.log2((counts + 1) / counts))] += 1
    return counts


def ideal_bits(histograms: np.ndarray) -> float:
    """Entropy in bits of histograms [r, 256] under one table per component: a bound for reports."""
    return float(_entropy(histograms.astype(np.float64)).sum())


__all__ = ["PREDICTORS", "EntropyModel", "fit", "fit_classes", "ideal_bits"]

"""From residual histograms to integer tables: predictor and class of each component, tokens and state counts.

A component (channel) is described by five histograms, one per predictor. Components are clustered into at most eight
classes (Lloyd's algorithm on code lengths; each step also picks the predictor that codes a component shortest); the
256 residuals of a class are cut into at most 16 tokens by dynamic programming. Every class costs side information, so
classes are merged while that saves bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmtc_tflite.coding.tables import NUM_STATES
from fmtc_tflite.coding.token_classes import MAX_CLASSES, MAX_TOKENS, TokenClass

_LLOYD_ROUNDS = 8
_LOG2_WIDTHS = range(8)
_OFFSETS_BEFORE_MODE = (0, 1, 2, 3, 4, 6, 8, 16, 32, 128)
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


@dataclass(frozen=True)
class ContextModel:
    """How the residuals of one feature map are coded by class and context.

    Attributes:
      classes: the tables in use, as token classes.
      tables: uint8 [classes of components, contexts], indices of tables.
      bits: expected bits of the histograms that the model was made from, headers excluded.
    """

    classes: tuple[TokenClass, ...]
    tables: np.ndarray
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


def fit_contexts(histograms: np.ndarray, num_inferences: float) -> ContextModel:
    """Makes tables for the classes and contexts of one feature map.

    Args:
      histograms: counts [classes, contexts, 256] of residual bytes, from `num_inferences` runs; some not 0.
      num_inferences: runs behind the histograms; weighs side information (read once a run) against coded bits.
    """
    num_classes, num_contexts, _ = histograms.shape
    cells = histograms.reshape(-1, 1, 256)
    seen = cells.any((1, 2))
    model = fit(cells[seen], num_inferences)
    tables = np.zeros(len(cells), np.uint8)
    tables[seen] = model.component_class
    nearest = _nearest_seen(seen.reshape(num_classes, num_contexts))
    return ContextModel(model.classes, np.take_along_axis(tables.reshape(nearest.shape), nearest, 1), model.bits)


def _nearest_seen(seen: np.ndarray) -> np.ndarray:
    """For each context of each class the nearest one that was seen, itself as a rule; both [classes, contexts]."""
    places = np.arange(seen.shape[1])
    distances = np.abs(places[:, None] - places) + np.where(seen, 0, 2 * len(places))[:, None, :]
    return distances.argmin(2)


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
    return np.equal.outer(np.arange(assignment.max() + 1), assignment) @ chosen  # exact: whole numbers


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
    rotated = np.stack([np.roll(p, -o) for p, row in zip(smoothed, offsets, strict=True) for o in row])
    widths = _partition(rotated)
    tokens = np.stack([np.repeat(np.arange(len(w)), [1 << x for x in w])[:256] for w in widths])
    counts = _state_counts(_token_masses(rotated, tokens))
    token_bits = np.array([[*w, *[0] * (MAX_TOKENS - len(w))] for w in widths]) - np.log2(counts / NUM_STATES)
    bits = np.take_along_axis(token_bits, tokens, 1)
    cost = (rotated * bits).sum(1).reshape(offsets.shape)
    classes, lengths = [], []
    for j, i in enumerate(cost.argmin(1)):
        row, offset = j * offsets.shape[1] + i, int(offsets[j, i])
        used = len(widths[row])
        constant = int(histograms[j].argmax())
        classes.append(TokenClass(offset, constant, tuple(widths[row]), tuple(counts[row, :used].tolist())))
        lengths.append(np.roll(bits[row], offset))
    return classes, np.array(lengths)


def _offset_candidates(p: np.ndarray) -> np.ndarray:
    """Residuals at which a class's first token may start: some way before the mode, or opposite; [K, candidates]."""
    return (p.argmax(1)[:, None] - np.array(_OFFSETS_BEFORE_MODE)) % 256


def _token_cost(mass: np.ndarray, log2_width: int) -> np.ndarray:
    """Expected bits of a token: code length, raw bits, and what its least share of the states takes from others."""
    share = np.maximum(mass, 1 / NUM_STATES)
    return mass * (log2_width - np.log2(share)) + (share - mass) / np.log(2)


def _partition(p: np.ndarray) -> list[list[int]]:
    """Cuts [0, 256) into at most 16 runs of power-of-two length at least expected bits; `p` is [B, 256].

    The last run may end beyond 256: what it covers there belongs to the first runs.
    """
    batch, end = len(p), 256
    padded = np.concatenate([p, np.zeros((batch, 128))], 1)
    cumulative = np.concatenate([np.zeros((batch, 1)), np.cumsum(padded, 1)], 1)
    costs = [_token_cost(cumulative[:, 1 << w : end + (1 << w)] - cumulative[:, :end], w) for w in _LOG2_WIDTHS]
    best = np.full((batch, end + 1), np.inf)
    best[:, 0] = 0
    rows = np.arange(batch)
    totals, choices, last_starts = [], [], []
    for _ in range(MAX_TOKENS):
        shortest, choice = np.full((batch, end + 1), np.inf), np.zeros((batch, end + 1), np.uint8)
        last_start = np.zeros(batch, np.int64)  # of the run that reaches the end
        for w, cost in zip(_LOG2_WIDTHS, costs, strict=True):
            width, total = 1 << w, best[:, :end] + cost
            inner = slice(width, end)
            _keep_less(shortest[:, inner], choice[:, inner], total[:, : end - width], w)
            closing = total[:, end - width :].argmin(1) + end - width
            last_start = np.where(total[rows, closing] < shortest[:, end], closing, last_start)
            _keep_less(shortest[:, end], choice[:, end], total[rows, closing], w)
        best = shortest
        totals.append(best[:, end])
        choices.append(choice)
        last_starts.append(last_start)
    return [_trace([t[b] for t in totals], [c[b] for c in choices], [s[b] for s in last_starts]) for b in range(batch)]


def _keep_less(least: np.ndarray, choice: np.ndarray, candidate: np.ndarray, number: int) -> None:
    """Puts a candidate's number where it is less than what there is, and its value."""
    np.copyto(choice, number, where=candidate < least)
    np.minimum(least, candidate, out=least)


def _trace(totals: list[float], choices: list[np.ndarray], last_starts: list[int]) -> list[int]:
    """The log2 widths of the best partition, first run first."""
    j = int(np.argmin(totals))
    widths, position = [int(choices[j][-1])], int(last_starts[j])
    while position:
        j -= 1
        widths.append(int(choices[j][position]))
        position -= 1 << widths[-1]
    return widths[::-1]


def _token_masses(p: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Probability of each token, [B, 16]; -1 for tokens that a class does not have."""
    batch = len(p)
    index = tokens + MAX_TOKENS * np.arange(batch)[:, None]
    masses = np.bincount(index.ravel(), p.ravel(), minlength=batch * MAX_TOKENS).reshape(batch, MAX_TOKENS)
    masses[np.arange(MAX_TOKENS) > tokens.max(1, keepdims=True)] = -1
    return masses


def _state_counts(masses: np.ndarray) -> np.ndarray:
    """Shares of 64 states that minimise the code length (greedy, which is optimal here), [B, 16].

    Every token gets at least one; entries of absent tokens (mass -1) are 1 and do not count.
    """
    counts = np.ones(masses.shape, np.int64)
    gains = masses.copy()  # of one state more, in bits
    rows = np.arange(len(masses))
    left = NUM_STATES - (masses >= 0).sum(1)
    for step in range(int(left.max())):
        active = rows[left > step]
        token = gains[active].argmax(1)
        counts[active, token] += 1
        count = counts[active, token]
        gains[active, token] = masses[active, token] * np.log2((count + 1) / count)
    return counts

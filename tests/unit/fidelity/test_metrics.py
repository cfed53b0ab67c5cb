"""Metrics against straightforward formulas; merging in any order and grouping."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from fmtc_tflite.errors import CalibrationError
from fmtc_tflite.fidelity.accuracy import LabelRanks, MeanIou, mcnemar_p_value, paired_difference
from fmtc_tflite.fidelity.metrics import (
    CodedBytes,
    Disagreement,
    KlDivergence,
    RelativeMse,
    Top1Agreement,
    dequantize,
    log_softmax,
)


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape) * 3


def test_kl_of_logits() -> None:
    a, b = random(0, 7, 5), random(1, 7, 5)
    p, q = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (a, b))
    expected = (p * np.log(p / q)).sum(axis=1)
    metric = KlDivergence()
    metric.add(a, b)
    result = metric.result()
    np.testing.assert_allclose(result.mean, expected.mean(), rtol=1e-12)
    np.testing.assert_allclose(result.std_error, expected.std(ddof=1) / math.sqrt(7), rtol=1e-12)
    assert result.num_samples == 7


def test_kl_is_exactly_zero_for_equals_and_never_negative() -> None:
    metric = KlDivergence()
    metric.add(random(0, 50, 1000), random(0, 50, 1000))
    metric.add(random(1, 50, 10), random(1, 50, 10) + 1e-9)
    assert min(metric.values) >= 0
    assert list(metric.values)[:50] == [0.0] * 50


def test_kl_of_huge_logits_does_not_overflow() -> None:
    metric = KlDivergence()
    metric.add(np.array([[1e4, 0.0]]), np.array([[0.0, 1e4]]))
    assert metric.result().mean == 1e4
    assert math.isnan(metric.result().std_error)


def test_kl_of_probabilities_adds_half_a_step() -> None:
    step = 1 / 256
    a = dequantize(np.array([[127, -128, -128]], np.int8), step, -128)
    b = dequantize(np.array([[126, -127, -128]], np.int8), step, -128)
    p, q = ((x + step / 2) / (x + step / 2).sum() for x in (a, b))
    metric = KlDivergence()
    metric.add_probabilities(a, b, step)
    np.testing.assert_allclose(metric.result().mean, (p * np.log(p / q)).sum(), rtol=1e-12)


def test_a_map_of_distributions_counts_with_its_mean() -> None:
    a, b = random(0, 2, 3, 4, 5), random(1, 2, 3, 4, 5)
    of_maps, of_rows = KlDivergence(), KlDivergence()
    of_maps.add(a, b)
    of_rows.add(a.reshape(-1, 5), b.reshape(-1, 5))
    assert of_maps.result().num_samples == 2
    np.testing.assert_allclose(of_maps.result().mean, of_rows.result().mean, rtol=1e-12)


def test_dequantize_and_log_softmax() -> None:
    values = np.array([-128, 0, 127], np.int8)
    assert dequantize(values, 0.5, -128).tolist() == [0.0, 64.0, 127.5]
    assert dequantize(np.float32([1.5]), None, None).tolist() == [1.5]
    np.testing.assert_allclose(np.exp(log_softmax(random(0, 3, 4))).sum(axis=-1), 1)


def test_disagreement_and_agreement() -> None:
    labels = np.arange(12).reshape(2, 2, 3)
    other = labels.copy()
    other[0, 0, 0] = 99
    metric = Disagreement()
    metric.add(labels, other)
    assert list(metric.values) == [1 / 6, 0]
    agreement = Top1Agreement()
    agreement.add(np.array([[1, 5, 5], [2, 1, 0]]), np.array([[0, 3, 1], [0, 1, 2]]))  # first of equals
    assert list(agreement.values) == [1, 0]


def test_relative_mse_is_a_ratio_of_sums() -> None:
    a = random(0, 40, 6)
    b = a + 0.1 * random(1, 40, 6)
    metric = RelativeMse()
    metric.add(a, b)
    result = metric.result()
    np.testing.assert_allclose(result.mean, ((a - b) ** 2).sum() / (a**2).sum(), rtol=1e-12)
    ratios = []
    rng = np.random.default_rng(2)
    for _ in range(2000):
        chosen = rng.integers(0, 40, 40)
        ratios.append(((a - b)[chosen] ** 2).sum() / (a[chosen] ** 2).sum())
    np.testing.assert_allclose(result.std_error, np.std(ratios), rtol=0.1)


def test_relative_mse_without_signal() -> None:
    metric = RelativeMse()
    assert math.isnan(metric.result().mean)
    metric.add(np.zeros((2, 3)), np.zeros((2, 3)))
    assert metric.result().mean == 0
    metric.add(np.zeros((1, 3)), np.ones((1, 3)))
    assert metric.result().mean == math.inf


def test_label_ranks_count_the_first_of_equals_as_larger() -> None:
    scores = np.array([[3, 7, 7, 1], [3, 7, 7, 1], [9, 8, 7, 6]], np.int8)
    for k, hits in ((1, 1), (2, 2), (3, 2), (4, 3)):
        metric = LabelRanks()
        metric.add(scores, np.array([1, 2, 3]))
        assert metric.hits(k).sum() == hits
    metric = LabelRanks(label_offset=1)
    metric.add(scores, np.array([0, 0, 0]))
    assert metric.result().mean == 2 / 3
    np.testing.assert_allclose(metric.result().std_error, math.sqrt(2 / 9 / 2))


@pytest.mark.parametrize(("offset", "label"), [(0, 4), (1, 3), (-1, 0)])
def test_labels_out_of_range_are_named(offset: int, label: int) -> None:
    with pytest.raises(
        CalibrationError, match=rf"got {label} with --label_offset {offset}, expected a class of 0 to 3"
    ):
        LabelRanks(offset).add(np.zeros((2, 4)), np.array([1, label]))


def test_coded_bytes_gives_p99_from_100_samples_on() -> None:
    sizes = np.random.default_rng(0).integers(1000, 9000, 150)
    metric = CodedBytes()
    for size in sizes[:99]:
        metric.add(int(size))
    assert metric.result().to_dict() == {
        "mean": sizes[:99].sum() / 99,
        "p50": float(np.median(sizes[:99])),
        "p99": None,
        "max": int(sizes[:99].max()),
        "num_samples": 99,
    }
    for size in sizes[99:]:
        metric.add(int(size))
    assert metric.result().p99 == np.percentile(sizes, 99)
    with pytest.raises(CalibrationError, match="no samples"):
        CodedBytes().result()


def fill_kl(metric: KlDivergence, seed: int) -> None:
    metric.add(random(seed, 5, 10), random(seed + 100, 5, 10))


def fill_mse(metric: RelativeMse, seed: int) -> None:
    metric.add(random(seed, 5, 10) * 10.0 ** (seed % 7), random(seed + 100, 5, 10))


def fill_ranks(metric: LabelRanks, seed: int) -> None:
    metric.add(random(seed, 5, 10), np.arange(5))


def fill_bytes(metric: CodedBytes, seed: int) -> None:
    metric.add(seed * 7919 % 1000)


@pytest.mark.parametrize(
    ("make", "fill"),
    [(KlDivergence, fill_kl), (RelativeMse, fill_mse), (LabelRanks, fill_ranks), (CodedBytes, fill_bytes)],
)
def test_merge_order_does_not_matter(make: Callable, fill: Callable) -> None:
    results = set()
    for order_seed in range(4):
        order = np.random.default_rng(order_seed).permutation(30)
        parts = np.split(order, [order_seed, 11, 11 + order_seed])
        total = make()
        for part in parts:
            metric = make()
            for seed in part:
                fill(metric, int(seed))
            total.merge(metric)
        results.add(total.result())
    assert len(results) == 1


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="expected equal"):
        KlDivergence().add(np.zeros((1, 10)), np.zeros((1, 11)))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (5, 5), (3, 9), (0, 40), (12, 30), (480, 560)])
def test_mcnemar_p_value_is_the_exact_binomial_one(first: int, second: int) -> None:
    count, fewer = first + second, min(first, second)
    exact = Fraction(2 * sum(math.comb(count, i) for i in range(fewer + 1)), 2**count)
    for pair in ((first, second), (second, first)):
        assert mcnemar_p_value(*pair) == pytest.approx(float(min(exact, Fraction(1))), rel=1e-11)


def test_mcnemar_p_value_of_many_samples() -> None:
    assert mcnemar_p_value(500_000, 500_000) == 1
    z = (2000 - 1) / math.sqrt(1_000_000)  # the normal approximation with its continuity correction
    assert mcnemar_p_value(499_000, 501_000) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-4)
    assert mcnemar_p_value(0, 100_000) == 0


def test_paired_difference() -> None:
    labels = np.zeros(6, np.int64)
    right, wrong = [1.0, 0.0], [0.0, 1.0]
    first, second = LabelRanks(), LabelRanks()
    first.add(np.array([right, right, right, wrong, wrong, right]), labels)
    second.add(np.array([right, wrong, wrong, right, wrong, right]), labels)
    found = paired_difference(first, second)
    assert (found.only_first, found.only_second, found.p_value) == (2, 1, 1.0)
    differences = np.array([0, 1, 1, -1, 0, 0])
    assert found.difference.mean == pytest.approx(differences.mean())
    assert found.difference.std_error == pytest.approx(differences.std(ddof=1) / math.sqrt(6))


def iou_by_hand(predictions: np.ndarray, labels: np.ndarray) -> float:
    """From the confusion matrix."""
    matrix = np.zeros((4, 4))
    for predicted, label in zip(predictions[labels != 255], labels[labels != 255], strict=True):
        matrix[label, predicted] += 1
    union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
    return float(np.mean([matrix[i, i] / union[i] for i in range(4) if union[i]]))


def test_mean_iou() -> None:
    rng = np.random.default_rng(0)
    predictions = rng.integers(0, 3, (5, 6, 7))
    labels = rng.choice([0, 1, 3, 255], (5, 6, 7))
    metric, other = MeanIou(), MeanIou()
    metric.add(predictions[:2], labels[:2])
    other.add(predictions[2:], labels[2:])
    metric.merge(other)
    assert metric.result() == pytest.approx(iou_by_hand(predictions, labels), rel=1e-12)
    shifted = MeanIou(label_offset=1)
    shifted.add(predictions + 1, labels.astype(np.uint8))  # 255 stays what it is
    assert shifted.result() == metric_of(predictions, labels)


def metric_of(predictions: np.ndarray, labels: np.ndarray) -> float:
    metric = MeanIou()
    metric.add(predictions, labels)
    return metric.result()


def test_mean_iou_of_nothing_and_of_bad_labels() -> None:
    assert math.isnan(metric_of(np.zeros((1, 2, 2), int), np.full((1, 2, 2), 255)))
    with pytest.raises(CalibrationError, match="got the label -1"):
        metric_of(np.zeros((1, 1, 2), int), np.array([[[0, -1]]]))
    with pytest.raises(CalibrationError, match="got the prediction 300"):
        metric_of(np.full((1, 1, 2), 300), np.array([[[0, 1]]]))
    with pytest.raises(CalibrationError, match=r"got the shape \[1, 2, 2\], expected \[1, 2, 3\]"):
        metric_of(np.zeros((1, 2, 3), int), np.zeros((1, 2, 2), int))

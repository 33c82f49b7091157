"""Intervals and paired tests: properties of any correct bootstrap and randomization test, and one closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from rrg.errors import InputError
from rrg.evaluate.significance import Measure, holm, intervals, mean_measure, paired_difference, ratio


def scores(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).beta(2, 5, size=n)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_interval_contains_the_estimate_within_the_range_of_the_data(values: list[float]) -> None:
    array = np.array(values)
    interval = intervals({"x": mean_measure(array)}, resamples=500)["x"]
    assert interval.value == pytest.approx(array.mean())
    assert array.min() - 1e-9 <= interval.low <= interval.high <= array.max() + 1e-9
    assert interval.low - 1e-9 <= interval.value <= interval.high + 1e-9


@pytest.mark.parametrize("n", [100, 1_000])
def test_width_is_that_of_the_normal_approximation(n: int) -> None:
    values = scores(0, n)
    interval = intervals({"x": mean_measure(values)})["x"]
    assert interval.low < interval.value < interval.high
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(n), rel=0.1)


def test_width_shrinks_with_more_studies() -> None:
    widths = [
        i.high - i.low
        for n in (30, 300, 3_000)
        for i in intervals({"x": mean_measure(scores(1, n))}, resamples=400).values()
    ]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_same_seed_same_interval() -> None:
    measure = mean_measure(scores(2, 50))
    assert intervals({"x": measure}, seed=3) == intervals({"x": measure}, seed=3)
    assert intervals({"x": measure}, seed=3) != intervals({"x": measure}, seed=4)


def test_a_figure_of_sums_equals_the_figure_of_the_studies() -> None:
    """Micro-F1 from per-study counts, on all studies and on a subset, against scikit-learn on the labels."""
    generator = np.random.default_rng(5)
    labels, predicted = generator.random((2, 80, 6)) < 0.3
    counts = np.stack(
        [(labels & predicted).sum(1), (~labels & predicted).sum(1), (labels & ~predicted).sum(1)], axis=1
    ).astype(float)
    measure = Measure(counts, lambda s: ratio(2 * s[..., 0], 2 * s[..., 0] + s[..., 1] + s[..., 2]))
    selected = generator.random(80) < 0.5
    assert measure.value == pytest.approx(f1_score(labels, predicted, average="micro"))
    assert measure.subset(selected).value == pytest.approx(
        f1_score(labels[selected], predicted[selected], average="micro")
    )


def test_ratio_with_denominator_zero_is_zero() -> None:
    assert ratio(np.array([1.0, 0.0]), np.array([0.0, 0.0])).tolist() == [0.0, 0.0]


def test_identical_systems_do_not_differ() -> None:
    measure = mean_measure(scores(6, 40))
    difference = paired_difference(measure, measure)
    assert (difference.value, difference.low, difference.high, difference.p) == (0, 0, 0, 1)


def test_a_constant_gain_is_significant_despite_larger_variance_between_studies() -> None:
    values = scores(7, 40)
    difference = paired_difference(mean_measure(values + 0.02), mean_measure(values))
    assert [difference.value, difference.low, difference.high] == pytest.approx([0.02] * 3)
    assert difference.p < 0.01


def test_swapping_the_systems_changes_only_the_sign() -> None:
    a, b = mean_measure(scores(8, 40)), mean_measure(scores(9, 40))
    forward, back = paired_difference(a, b), paired_difference(b, a)
    assert forward.value == -back.value
    assert forward.low == pytest.approx(-back.high)
    assert forward.p == pytest.approx(back.p)


def test_p_is_uniform_under_the_null_hypothesis() -> None:
    p = [
        paired_difference(mean_measure(scores(2 * s, 30)), mean_measure(scores(2 * s + 1, 30)), resamples=200).p
        for s in range(200)
    ]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.11
    assert 0.4 <= np.mean(p) <= 0.6


def test_different_numbers_of_studies_are_refused() -> None:
    with pytest.raises(InputError, match="different numbers of studies"):
        paired_difference(mean_measure(scores(0, 3)), mean_measure(scores(0, 4)))


def test_no_study_is_refused() -> None:
    with pytest.raises(InputError, match="no study"):
        intervals({"x": mean_measure(np.array([]))})
    assert intervals({}) == {}


def test_holm_multiplies_the_smallest_p_value_by_the_number_of_tests() -> None:
    """The worked example of Holm's step-down procedure, with ties, order and the bound 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []

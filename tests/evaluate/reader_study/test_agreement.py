"""Agreement: published examples, independent implementations, a simulated study."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from rrg.evaluate.reader_study.agreement import agreement, agreements, cohen_kappa, fleiss_kappa, krippendorff_alpha
from rrg.evaluate.reader_study.rates import REASONS
from rrg.evaluate.reader_study.readings import newest_readings
from tests.evaluate.reader_study.simulated import TRUTH, simulate

NAN = np.nan
FIGURES = (cohen_kappa, fleiss_kappa, krippendorff_alpha)


def test_fleiss_of_the_published_example() -> None:
    """Fleiss (1971), as tabulated at Wikipedia: 10 subjects, 14 raters, 5 categories, kappa .210."""
    counts = np.array(
        [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
         [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]
    )  # fmt: skip
    table = np.array([np.repeat(np.arange(5), row) for row in counts], dtype=float)
    assert fleiss_kappa(table).value == pytest.approx(0.210, abs=5e-4)


def test_krippendorff_of_the_published_example() -> None:
    """Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", example C: alpha .743 for nominal data."""
    rows = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
    assert krippendorff_alpha(np.array(rows).T).value == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_cohen_is_that_of_scikit_learn(seed: int) -> None:
    table = np.random.default_rng(seed).integers(0, 3, (40, 2)).astype(float)
    table[:20, 1] = table[:20, 0]
    assert cohen_kappa(table).value == pytest.approx(cohen_kappa_score(table[:, 0], table[:, 1]))


def test_perfect_opposite_and_undefined_agreement() -> None:
    same = np.array([[0, 0], [1, 1], [0, 0], [1, 1]], dtype=float)
    assert [figure(same).value for figure in FIGURES] == [1, 1, 1]
    opposite = np.array([[0, 1], [1, 0]] * 4, dtype=float)
    assert cohen_kappa(opposite).value == fleiss_kappa(opposite).value == -1
    constant = agreement("?", np.ones((5, 2)))
    assert (constant.same, constant.cohen, constant.fleiss, constant.krippendorff) == (1, None, None, None)
    assert agreement("?", np.array([[1.0, NAN], [NAN, 0.0]])).units == 0


def test_the_agreement_of_a_simulated_study_lies_in_its_intervals() -> None:
    """Two readers who each find an error with probability s: their kappa follows from the rate of the error."""
    pairs, probes = simulate(150)
    found = {one.question: one for one in agreements(newest_readings(pairs, probes))}
    for reason in REASONS:
        marked = TRUTH.error_rates[reason] * TRUTH.sensitivity
        both = TRUTH.error_rates[reason] * TRUTH.sensitivity**2
        chance = marked**2 + (1 - marked) ** 2
        kappa = (both + (1 - 2 * marked + both) - chance) / (1 - chance)
        measured = found[f"Error: {reason}"]
        assert measured.units == 150
        for figure in (measured.cohen, measured.fleiss, measured.krippendorff):
            assert figure and figure.low <= kappa <= figure.high, reason
            assert figure.high - figure.low < 0.5
    assert found["Sentence changed"].units == 150 * 8


def test_resamples_draw_the_sentences_of_a_report_together() -> None:
    """Copies of a report add no information, so they must not narrow the interval."""
    table = np.random.default_rng(1).integers(0, 2, (30, 2)).astype(float)
    table[:18, 1] = table[:18, 0]
    single = agreement("?", table).cohen
    copies = agreement("?", np.repeat(table, 6, axis=0), np.repeat(np.arange(30), 6)).cohen
    apart = agreement("?", np.repeat(table, 6, axis=0)).cohen
    assert single and copies and apart
    assert (copies.low, copies.high) == pytest.approx((single.low, single.high))
    assert apart.high - apart.low < 0.6 * (single.high - single.low)

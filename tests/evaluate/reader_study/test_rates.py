"""Error rates of a simulated study, and of the probes."""

from __future__ import annotations

import pytest

from rrg.evaluate.reader_study.rates import REASONS, errors_of_models, probes_found, rate
from rrg.evaluate.reader_study.readings import newest_readings
from tests.evaluate.reader_study.simulated import TRUTH, simulate


def test_the_rates_of_a_simulated_study_lie_in_their_intervals() -> None:
    """300 corrections by two readers: an error is found with its rate times the sensitivity."""
    pairs, probes = simulate(150)
    (errors,) = errors_of_models(newest_readings(pairs, probes))
    assert errors.readings == 300
    for reason in REASONS:
        true = TRUTH.error_rates[reason] * TRUTH.sensitivity
        assert errors.categories[reason].low <= true <= errors.categories[reason].high, reason
        assert errors.significant[reason].low <= true * TRUTH.significant <= errors.significant[reason].high, reason
    expected = sum(TRUTH.error_rates.values()) * TRUTH.sensitivity
    assert errors.errors_per_report.low <= expected <= errors.errors_per_report.high
    assert sum(rate.count for rate in errors.verdicts.values()) == 300


def test_three_times_the_errors_are_outside_the_intervals() -> None:
    pairs, probes = simulate(150)
    (errors,) = errors_of_models(newest_readings(pairs, probes))
    assert all(3 * TRUTH.error_rates[r] * TRUTH.sensitivity > errors.categories[r].high for r in REASONS)


def test_the_detection_of_probes_is_measured_by_reader_and_is_no_error_of_the_model() -> None:
    pairs, probes = simulate(150)
    readings = newest_readings(pairs, probes)
    found = probes_found(readings)
    assert [*found] == ["anna", "ben"] and all(one.total == 30 for one in found.values())
    assert all(one.low <= TRUTH.sensitivity <= one.high for one in found.values())
    with_probes_as_errors = newest_readings(pairs)
    more = sum(len(r.errors) for r in with_probes_as_errors) - sum(len(r.errors) for r in readings)
    assert more == sum(one.count for one in found.values()) > 0


def _alone(count: int, total: int) -> tuple[float, float]:
    found = rate([index < count for index in range(total)], [str(index) for index in range(total)])
    return found.low, found.high


def test_wilson_intervals() -> None:
    """The examples of Newcombe (1998): 81 of 263, and 0 of 20."""
    assert _alone(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert _alone(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert (rate([], []).low, rate([], []).high) == (0, 1)


def test_readings_of_the_same_report_that_agree_count_once() -> None:
    flags, cases = [True] * 30 + [False] * 70, [str(index) for index in range(100)]
    once, twice = rate(flags, cases), rate(flags * 2, cases * 2)
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high), abs=2e-3)
    assert (twice.count, twice.total) == (60, 200)

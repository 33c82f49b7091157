"""Times, editing, and support as a predictor of edits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rrg.evaluate.reader_study.effort import effort_by_model, effort_by_reader, support_predicts_edits
from rrg.evaluate.reader_study.readings import ReadSentence, newest_readings
from tests.evaluate.reader_study.simulated import simulate


def test_times_of_each_reader() -> None:
    anna, ben = effort_by_reader(newest_readings(simulate(150)[0]))
    assert anna.seconds and ben.seconds
    assert anna.seconds[1] == pytest.approx(np.exp(4), rel=0.1) and ben.seconds[1] == pytest.approx(
        np.exp(4.7), rel=0.1
    )
    assert (anna.name, anna.readings) == ("anna", 150)
    assert 0 < anna.unchanged < 0.6


def test_readings_without_a_time() -> None:
    readings = [replace(reading, seconds=None) for reading in newest_readings(simulate(3)[0])]
    (model,) = effort_by_model(readings)
    assert (model.name, model.readings, model.seconds) == ("xpronet", 6, None)


def test_support_of_wrong_sentences_is_low_in_the_simulation() -> None:
    pairs, probes = simulate(150)
    found = support_predicts_edits(newest_readings(pairs, probes))
    assert found and 0.7 < found.low < found.value < found.high < 1


def test_support_that_says_nothing_has_chance_level() -> None:
    generator = np.random.default_rng(0)
    readings = [
        replace(
            reading,
            sentences=tuple(
                ReadSentence(bool(generator.random() < 0.3), float(generator.random()), False) for _ in range(8)
            ),
        )
        for reading in newest_readings(simulate(150)[0])
    ]
    found = support_predicts_edits(readings)
    assert found and found.low < 0.5 < found.high
    assert support_predicts_edits([replace(reading, sentences=()) for reading in readings]) is None

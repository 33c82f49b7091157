"""The line of text that says how far a report is."""

from __future__ import annotations

from typing import get_args

import pytest

from rrg.decoding.progress import Progress, Step
from rrg.ui.progress import progress_text


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress("sampling", 18, 32, words=20), "32 candidates, 18 written"),
        (Progress("greedy search", 0, 1, words=7), "Writing, 7 words"),
        (Progress("encoding images", 0, 1), "Encoding the images"),
    ],
)
def test_the_line_has_the_unit_of_the_step(progress: Progress, text: str) -> None:
    assert progress_text(progress) == text


@pytest.mark.parametrize("step", get_args(Step))
def test_every_step_has_a_line(step: Step) -> None:
    assert progress_text(Progress(step, 0, 1))

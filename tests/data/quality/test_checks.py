"""The checks: which notes an image gets, and which studies are refused."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from rrg.data.phantom import make_phantom
from rrg.data.quality import ImageScores, check, refuse
from rrg.data.quality.heads import Thresholds
from rrg.data.radiographs import Provenance, Radiograph, View
from rrg.errors import InputError
from rrg.report import Note

THRESHOLDS = Thresholds(no_chest_refuse=4, no_chest_warn=2, inverted=1, rotated=1, lateral=1, frontal=-1)
FRONTAL = ImageScores(no_chest=-5, inverted=-5, rotated=-5, turn=90, lateral=-5)
LATERAL = replace(FRONTAL, lateral=5)
UNSURE = replace(FRONTAL, lateral=0)


def _radiograph(pixels: np.ndarray, view: View = "frontal", stated: View = "unknown") -> Radiograph:
    return Radiograph(pixels, view, None, Provenance("PNG", 8, stated_view=stated))


def _chest(view: View = "frontal", stated: View = "unknown", size: int = 256) -> Radiograph:
    images = make_phantom(3, size=size).study.radiographs()
    return _radiograph(images[view == "lateral"].pixels, view, stated)


def _kinds(notes: tuple[Note, ...]) -> list[tuple[str, str, int, str | None]]:
    return [(note.kind, note.severity, note.image, note.remedy) for note in notes]


def test_a_plain_study_has_no_notes() -> None:
    assert check((_chest(), _chest("lateral")), (FRONTAL, LATERAL), THRESHOLDS) == ()
    assert check((_chest(),)) == ()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [64, 160, 512])
def test_synthetic_studies_are_not_refused(seed: int, size: int) -> None:
    notes = check(make_phantom(seed, size=size).study.radiographs())
    assert {note.kind for note in notes} <= {"too_small"}
    refuse(notes)


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_an_empty_image_is_refused(grey: float) -> None:
    image = np.full((300, 200), grey, np.float32)
    assert _kinds(check((_radiograph(image),))) == [("empty", "refuse", 0, None)]
    image[0], image[-1] = 1 - grey, 1 - grey  # a frame
    assert _kinds(check((_radiograph(image),))) == [("empty", "refuse", 0, None)]


@pytest.mark.parametrize("size", [128, 500, 1500])
def test_noise_is_refused(size: int) -> None:
    noise = np.random.default_rng(size).uniform(size=(size, size)).astype(np.float32)
    assert _kinds(check((_radiograph(noise),))) == [("noise", "refuse", 0, None)]


@pytest.mark.parametrize(("size", "severity"), [(40, "refuse"), (63, "refuse"), (64, "warn"), (159, "warn")])
def test_a_small_image_is_warned_of_or_refused_and_told_the_size(size: int, severity: str) -> None:
    small = cv2.resize(_chest().pixels, (size, size), interpolation=cv2.INTER_AREA)
    (note,) = check((_radiograph(small),))
    assert (note.kind, note.severity) == ("too_small", severity)
    assert f"{size} x {size} pixels" in note.reason
    assert check((_chest(size=160),)) == ()


def test_low_contrast_is_a_warning() -> None:
    faded = _radiograph(0.4 + 0.2 * _chest().pixels)
    assert _kinds(check((faded,))) == [("low_contrast", "warn", 0, None)]


def test_each_score_gives_its_note_and_remedy() -> None:
    chest = (_chest(),)
    for scores, expected in (
        (replace(FRONTAL, no_chest=4), ("not_a_chest", "refuse", 0, None)),
        (replace(FRONTAL, no_chest=2), ("not_a_chest", "warn", 0, None)),
        (replace(FRONTAL, inverted=1), ("inverted", "warn", 0, "invert")),
        (replace(FRONTAL, rotated=1, turn=180), ("rotated", "warn", 0, "rotate_180")),
        (replace(FRONTAL, rotated=1, turn=270), ("rotated", "warn", 0, "rotate_270")),
        (LATERAL, ("wrong_view", "warn", 0, "swap_views")),
    ):
        assert _kinds(check(chest, (scores,), THRESHOLDS)) == [expected]


def test_what_is_no_chest_gets_no_other_note_of_its_content() -> None:
    scores = replace(LATERAL, no_chest=9, inverted=9, rotated=9)
    assert [note.kind for note in check((_chest(),), (scores,), THRESHOLDS)] == ["not_a_chest"]
    empty = _radiograph(np.zeros((200, 200), np.float32))
    assert [note.kind for note in check((empty,), (scores,), THRESHOLDS)] == ["empty"]


def test_views_are_compared_with_the_slots() -> None:
    pair = (_chest(), _chest("lateral"))
    swapped = check(pair, (LATERAL, FRONTAL), THRESHOLDS)
    assert _kinds(swapped) == [("wrong_view", "warn", 0, "swap_views")]
    assert _kinds(check(pair, (FRONTAL, FRONTAL), THRESHOLDS)) == [("two_frontals", "warn", 1, None)]
    assert _kinds(check(pair, (LATERAL, LATERAL), THRESHOLDS)) == [("two_laterals", "warn", 0, None)]
    assert _kinds(check((_chest("lateral"),), (FRONTAL,), THRESHOLDS)) == [("wrong_view", "warn", 0, "swap_views")]
    assert check((_chest("lateral"),), (LATERAL,), THRESHOLDS) == ()
    unstated = (_chest("unknown"), _chest("unknown"))  # read as frontal and lateral
    assert check(unstated, (FRONTAL, LATERAL), THRESHOLDS) == ()
    assert _kinds(check(unstated, (LATERAL, FRONTAL), THRESHOLDS)) == [("wrong_view", "warn", 0, "swap_views")]


def test_the_tags_decide_only_where_the_heads_are_unsure() -> None:
    tagged = (_chest(stated="lateral"),)
    assert _kinds(check(tagged, (UNSURE,), THRESHOLDS)) == [("wrong_view", "warn", 0, "swap_views")]
    assert check(tagged, (FRONTAL,), THRESHOLDS) == ()
    assert check((_chest(),), (UNSURE,), THRESHOLDS) == ()


def test_an_image_without_scores_is_checked_by_its_pixels() -> None:
    empty = _radiograph(np.ones((200, 200), np.float32), "lateral")
    assert _kinds(check((_chest(), empty), (LATERAL, None), THRESHOLDS)) == [
        ("empty", "refuse", 1, None),
        ("wrong_view", "warn", 0, "swap_views"),
    ]


def test_refusing_names_each_reason_once_and_warnings_do_not_refuse() -> None:
    empty = _radiograph(np.zeros((200, 200), np.float32))
    with pytest.raises(InputError, match="This image is empty") as refusal:
        refuse(check((empty, replace(empty, view="lateral"))))
    assert str(refusal.value).count("empty") == 1
    refuse(check((_chest(size=100),)))

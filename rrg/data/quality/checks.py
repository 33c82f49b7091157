"""The checks of a study: from its radiographs, and what the heads say about them, to the notes for the reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from rrg.data.quality import pixels
from rrg.data.quality.heads import ImageScores, Thresholds
from rrg.data.radiographs import Radiograph, View
from rrg.errors import InputError
from rrg.report import Note, Remedy

SMALLEST = 64
"""Shorter side in pixels below which an image is refused: it shows no more than the outline of a chest."""

SMALL = 160
"""Shorter side in pixels below which a warning is given. The models read 224 pixels a side."""

_EMPTY_RANGE = 0.02
"""Grey range up to which an image is empty."""

_SMALLEST_SMOOTHNESS = 0.5
"""Smoothness below which an image is noise. Radiographs have 0.65 and more, white noise 0."""

_LOWEST_CONTRAST = 0.065
"""Contrast below which a warning is given."""

_LETTERS = 6
"""Letters in a line from which it counts as text. Side markers have fewer."""


def check(
    radiographs: Sequence[Radiograph],
    scores: Sequence[ImageScores | None] = (),
    thresholds: Thresholds | None = None,
) -> tuple[Note, ...]:
    """Check the radiographs of one study.

    Without scores only the checks of the pixels are made: empty, noise, too small, low contrast, text.

    Args:
        radiographs: one or two, as `Study.radiographs` gives them.
        scores: what the heads say about each image (`QualityHeads.scores`); None for an image that no model reads.
        thresholds: those of the heads.

    Returns:
        the notes, by image; those that refuse first.
    """
    notes: list[Note] = []
    known: list[ImageScores | None] = []
    for index, radiograph in enumerate(radiographs):
        found = list(_pixel_notes(radiograph, index))
        image_scores = scores[index] if index < len(scores) and thresholds is not None else None
        if image_scores is not None and thresholds is not None and not _refused(found):
            found += _content_notes(image_scores, thresholds, index)
        # The view of what is no chest means nothing.
        known.append(None if _refused(found) else image_scores)
        notes += found
    if thresholds is not None:
        notes += _view_notes(radiographs, known, thresholds)
    return tuple(sorted(notes, key=lambda note: (note.severity != "refuse", note.image)))


def refuse(notes: Sequence[Note]) -> None:
    """Raise InputError with the reasons if a note refuses the study."""
    reasons = dict.fromkeys(note.reason for note in notes if note.severity == "refuse")
    if reasons:
        raise InputError(f"No report was written. {' '.join(reasons)}")


def _refused(notes: Sequence[Note]) -> bool:
    return any(note.severity == "refuse" for note in notes)


def _pixel_notes(radiograph: Radiograph, index: int) -> Iterator[Note]:
    height, width = radiograph.pixels.shape
    copy = pixels.measured_copy(radiograph.pixels)
    if pixels.grey_range(copy) <= _EMPTY_RANGE:
        yield Note("empty", "refuse", "This image is empty: it has one grey value only. Choose another file.", index)
        return
    if pixels.smoothness(copy) < _SMALLEST_SMOOTHNESS:
        yield Note("noise", "refuse", "This image is noise. Export it again from the X-ray system.", index)
        return
    if min(height, width) < SMALL:
        refused = min(height, width) < SMALLEST
        yield Note(
            "too_small",
            "refuse" if refused else "warn",
            f"This image is too small to be read reliably: {width} x {height} pixels. "
            f"Choose one of at least {SMALLEST if refused else SMALL} pixels a side, best the original.",
            index,
        )
    if pixels.contrast(copy) < _LOWEST_CONTRAST:
        reason = "This image has very little contrast. Check its window, or export it again with the default one."
        yield Note("low_contrast", "warn", reason, index)
    if pixels.longest_line_of_text(copy) >= _LETTERS:
        reason = "There is text in this image near an edge. If it names the patient, mask it before you go on."
        yield Note("burned_in_text", "warn", reason, index)


def _content_notes(scores: ImageScores, thresholds: Thresholds, index: int) -> list[Note]:
    if scores.no_chest >= thresholds.no_chest_refuse:
        return [Note("not_a_chest", "refuse", "This image does not show a chest radiograph. Choose another.", index)]
    notes = []
    if scores.no_chest >= thresholds.no_chest_warn:
        notes.append(Note("not_a_chest", "warn", "This image may not show a whole chest. Check it.", index))
    if scores.inverted >= thresholds.inverted:
        reason = "This image looks inverted: bone should be bright and air dark."
        notes.append(Note("inverted", "warn", reason, index, "invert"))
    if scores.rotated >= thresholds.rotated:
        remedy = next(name for name in get_args(Remedy) if name == f"rotate_{scores.turn}")
        position = {90: "lies on its side", 180: "is upside down", 270: "lies on its side"}[scores.turn]
        notes.append(Note("rotated", "warn", f"This image {position}.", index, remedy))
    return notes


def _view_notes(
    radiographs: Sequence[Radiograph], scores: Sequence[ImageScores | None], thresholds: Thresholds
) -> Iterator[Note]:
    """Notes where the views that the images show are not those as which they are read."""
    read_as: list[View] = [
        radiograph.view if radiograph.view != "unknown" else ("lateral" if index else "frontal")
        for index, radiograph in enumerate(radiographs)
    ]
    shown = [_shown_view(one, radiograph, thresholds) for one, radiograph in zip(scores, radiographs, strict=True)]
    wrong = [seen not in ("unknown", slot) for seen, slot in zip(shown, read_as, strict=True)]
    if len(radiographs) == 2 and shown[0] == shown[1] != "unknown":
        both, kind = (shown[0], "two_frontals" if shown[0] == "frontal" else "two_laterals")
        reason = f"Both images look {both}. Keep one, or replace one by the other view."
        yield Note(kind, "warn", reason, 1 if both == "frontal" else 0)
        return
    if len(radiographs) == 2 and all(wrong):
        yield Note("wrong_view", "warn", "The two views look swapped.", 0, "swap_views")
        return
    for index, (seen, slot) in enumerate(zip(shown, read_as, strict=True)):
        if wrong[index]:
            yield Note("wrong_view", "warn", f"This {slot} image looks {seen}.", index, "swap_views")


def _shown_view(scores: ImageScores | None, radiograph: Radiograph, thresholds: Thresholds) -> View:
    """The view that the heads are sure of, else that of the DICOM tags, else unknown."""
    if scores is None:
        return "unknown"
    if scores.lateral >= thresholds.lateral:
        return "lateral"
    if scores.lateral <= thresholds.frontal:
        return "frontal"
    return radiograph.provenance.stated_view

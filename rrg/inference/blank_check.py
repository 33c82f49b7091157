"""Whether the images of a study matter: its report beside the one that the model writes for blank images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Indel

from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.studies import Study
from rrg.data.transforms import ViewTransform
from rrg.inference.badges import Badge


@dataclass(frozen=True)
class BlankCheck:
    """Comparison of a report with the one on blank images of the same views."""

    same: bool
    """Whether both texts are equal."""
    blank_text: str
    """The report on blank images."""
    similarity: float
    """Word F1 of both texts, 0 to 1, where only words in the same order count."""

    def badge(self) -> Badge | None:
        """The badge of a report that is the same without the images; None for any other report."""
        text = "The image did not matter: the model writes the same report for a blank image."
        return Badge("image without effect", text) if self.same else None


def blank_study(study_id: str, radiographs: Sequence[Radiograph], transform: ViewTransform) -> Study:
    """A study with uniform images of the same views, whose grey value is the mean of the transform."""
    pixels = np.full((transform.size, transform.size), np.mean(transform.mean), np.float32)
    provenance = Provenance("blank", bits=32)
    images = tuple(Radiograph(pixels, radiograph.view, None, provenance) for radiograph in radiographs)
    return Study(study_id, images)


def compare_with_blank(text: str, blank_text: str) -> BlankCheck:
    """Compare a report with the one on blank images."""
    similarity = Indel.normalized_similarity(text.lower().split(), blank_text.lower().split())
    return BlankCheck(text == blank_text, blank_text, float(similarity))

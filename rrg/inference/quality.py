"""The checks of a study on the image features that its report needs anyway."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from rrg.data.quality import ImageScores, QualityHeads, check
from rrg.data.quality.heads import FILE
from rrg.data.radiographs import Radiograph
from rrg.data.transforms import ViewTransform
from rrg.models.outputs import StudyFeatures
from rrg.report import Note

logger = logging.getLogger(__name__)


def encoder_identity(file: Path, transform: ViewTransform) -> str:
    """Identity of the features of an image encoder: sha256 of its file, and the transform of its images."""
    digest = hashlib.sha256(file.read_bytes())
    digest.update(repr((transform.size, transform.mean, transform.std)).encode())
    return digest.hexdigest()


def heads_for(encoder_file: Path | None, transform: ViewTransform) -> QualityHeads | None:
    """The heads beside the file of an image encoder, if they belong to it; else None, and the log says why.

    Without heads only the pixels are checked. Raises InputError when the file of the heads is damaged.
    """
    file = encoder_file.with_name(FILE) if encoder_file is not None else None
    if encoder_file is None or file is None or not file.is_file():
        logger.info("No %s for this image encoder: only the pixels of images are checked.", FILE)
        return None
    heads = QualityHeads.read(file)
    if heads.encoder != encoder_identity(encoder_file, transform):
        logger.warning(
            "%s was trained for another image encoder, so only the pixels of images are checked. Run train/quality.py.",
            file,
        )
        return None
    return heads


def check_encoded(
    radiographs: Sequence[Radiograph], encoded: StudyFeatures, heads: QualityHeads | None
) -> tuple[Note, ...]:
    """Check one study.

    Args:
        radiographs: the radiographs of the study.
        encoded: its image features, a batch of one.
        heads: those of the image encoder; without them only the pixels are checked.
    """
    if heads is None:
        return check(radiographs)
    slots = encoded.slots[0]
    pooled = encoded.features.feature_maps[0].float().mean(dim=(-2, -1)).cpu().numpy()  # [n*V,C], first the V views
    read = [slot for slot in slots if slot is not None]
    found = dict(zip(read, heads.scores(pooled[read]), strict=True))
    scores: list[ImageScores | None] = [None if slot is None else found[slot] for slot in slots]
    return check(radiographs, scores, heads.thresholds)

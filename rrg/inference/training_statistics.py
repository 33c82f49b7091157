"""What a report and its images are compared with: statistics of the training reports, images and val reports.

One file beside the folders of weights serves all models (`train/training_statistics.py` writes it). It holds no text
and no image: hashes of frequent reports, the mean and covariance of image features,
and the thresholds and functions that were fitted on val.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from rrg.data.files import write_bytes
from rrg.errors import InputError
from rrg.inference.support_calibration import SupportCalibration
from rrg.inference.weights import encoder_digest

FILE = "training_statistics.safetensors"
"""Its name, in the folder that holds the folders of weights."""
FORMAT = "rrg training statistics 1"
MIN_COUNT = 3
"""Train reports with the same text from which a text counts as frequent."""
REMEDY = "Make it again: python train/training_statistics.py --data DIR"

logger = logging.getLogger(__name__)


def text_digest(text: str) -> str:
    """sha256 of the letters and digits of a text, in lower case.

    Without spaces and punctuation a report equals its cleaned form, in which some words are joined.
    """
    return hashlib.sha256("".join(c for c in text.lower() if c.isalnum()).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class ImageDistribution:
    """Distribution of pooled image-encoder features of the training images, for each view slot.

    Two distances say how unusual an image is. One is the Mahalanobis distance of its projection on the D principal
    components of all training images to the projections of its slot; the other is its distance from the space of these
    components (SPE). The first knows another view, the second an image with features that no training image has.
    """

    mean: np.ndarray
    """float32 [C]"""
    components: np.ndarray
    """float16 [D, C], orthonormal."""
    centres: np.ndarray
    """float32 [V, D], mean of the projections of each slot."""
    precisions: np.ndarray
    """float32 [V, D, D], inverse covariance of the projections of each slot."""
    thresholds: np.ndarray
    """float32 [V, 2], for both distances."""

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Both distances [V, 2] of the image in each slot; features [V, C], NaN for a missing view."""
        components, slots = self.components.astype(np.float32), slice(len(features))
        centred = features - self.mean  # [V,C]
        projected = centred @ components.T  # [V,D]
        offset = projected - self.centres[slots]
        mahalanobis = np.einsum("vd,vde,ve->v", offset, self.precisions[slots], offset).clip(0) ** 0.5
        return np.stack((mahalanobis, np.linalg.norm(centred - projected @ components, axis=1)), axis=1)

    def unusual_slots(self, features: np.ndarray) -> tuple[int, ...]:
        """The slots whose image exceeds a threshold; features [V, C], NaN for a missing view."""
        exceeds = self.distances(features) > self.thresholds[: len(features)]
        return tuple(np.flatnonzero(exceeds.any(1)).tolist())


@dataclass(frozen=True)
class AgreementThreshold:
    """The agreement (`rrg.report.Report`) below which the reports of a model on the val split are its lowest tenth."""

    weights_sha256: str
    value: float
    studies: int
    """Number of val reports that it was measured on."""


@dataclass(frozen=True, eq=False)
class TrainingStatistics:
    """The content of the file."""

    reports: int
    """Number of train reports."""
    frequent: Mapping[str, int]
    """`text_digest` -> number of train reports with this text, for those with at least `MIN_COUNT`."""
    agreement: Mapping[str, AgreementThreshold]
    """By name of the model."""
    annotation_sha256: str
    """sha256 of the annotation.json that all of them were computed on."""
    encoder_sha256: str | None = None
    """`encoder_digest` of the models whose features `images` describes."""
    images: ImageDistribution | None = None
    support: Mapping[str, SupportCalibration] = field(default_factory=dict)
    """By name of the model."""

    def calibration(self, model: str, weights_sha256: str) -> SupportCalibration | None:
        """The calibration of a model's support; None where it was not fitted with these weights."""
        known = self.support.get(model)
        return known if known is not None and known.weights_sha256 == weights_sha256 else None

    def agreement_threshold(self, model: str, weights_sha256: str) -> float | None:
        """The threshold of a model; None where it was not measured with these weights."""
        known = self.agreement.get(model)
        return known.value if known is not None and known.weights_sha256 == weights_sha256 else None

    def save(self, path: Path) -> None:
        """Write the file. Equal statistics give equal bytes."""
        images = self.images
        arrays = {} if images is None else {name: np.ascontiguousarray(value) for name, value in vars(images).items()}
        record = {
            "reports": self.reports,
            "frequent": self.frequent,
            "agreement": {name: vars(of_model) for name, of_model in self.agreement.items()},
            "support": {name: asdict(of_model) for name, of_model in self.support.items()},
            "annotation_sha256": self.annotation_sha256,
            "encoder_sha256": self.encoder_sha256,
        }
        # safetensors writes several entries in any order.
        metadata = {"statistics": json.dumps({"format": FORMAT, **record}, sort_keys=True)}
        write_bytes(path, save(arrays, metadata))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file. Raises InputError where it is missing, damaged or of another format."""
        try:
            with safe_open(path, framework="np") as file:
                record = json.loads((file.metadata() or {}).get("statistics", "{}"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if record.pop("format", None) != FORMAT:
                raise InputError(f"{path} has not the format {FORMAT!r}. {REMEDY}")
            agreement = {name: AgreementThreshold(**of_model) for name, of_model in record.pop("agreement").items()}
            support = {name: SupportCalibration.from_dict(each) for name, each in record.pop("support", {}).items()}
            return cls(
                **record, agreement=agreement, support=support, images=ImageDistribution(**arrays) if arrays else None
            )
        except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise InputError(f"{path} cannot be read ({error}). {REMEDY}") from error

    def for_encoder(self, encoder_sha256: str | None) -> Self:
        """Without `images` where they are of another encoder than this one."""
        return self if self.encoder_sha256 == encoder_sha256 else replace(self, encoder_sha256=None, images=None)


def statistics_beside(folder: Path) -> TrainingStatistics | None:
    """The statistics for the model in a folder of weights; None where there is no file or it cannot be read.

    The statistics of images are left out where they are of another image encoder. Both are logged: a report does not
    need the statistics.
    """
    path = folder / FILE  # in an exported folder
    if not path.is_file():
        path = folder.resolve().parent / FILE
    if not path.is_file():
        return None
    try:
        statistics = TrainingStatistics.load(path)
    except InputError as error:
        logger.warning("%s", error)
        return None
    fitting = statistics.for_encoder(encoder_digest(folder))
    if fitting is not statistics:
        logger.warning("%s is of another image encoder than that of the model %s. %s", path, folder.name, REMEDY)
    return fitting

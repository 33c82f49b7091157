"""Cache of image features: models with a shared image encoder, and maps after a report, encode a study once."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch
from cachetools import LRUCache

from rrg.data.batches import StudyBatch, place_views
from rrg.data.radiographs import Radiograph
from rrg.data.transforms import ViewTransform
from rrg.decoding.sampling import study_seed
from rrg.models.base import ReportModel
from rrg.models.outputs import ImageFeatures, StudyFeatures

_STUDIES = 4
"""Maximum number of studies in the cache; each takes about 0.5 MB."""


class FeatureCache:
    """LRU cache of image features. The key has the pixels, the view slots, and the settings of transform and model.

    Safe to use from several threads.
    """

    def __init__(self, max_studies: int = _STUDIES):
        self._features: LRUCache[tuple[object, ...], tuple[ImageFeatures, torch.Tensor]] = LRUCache(max_studies)
        self._lock = threading.Lock()

    def encode(
        self, model: ReportModel, transform: ViewTransform, studies: Sequence[Sequence[Radiograph]]
    ) -> list[StudyFeatures]:
        """The features of each study, given by its radiographs; those that are not cached are encoded as one batch."""
        num_views = model.config.num_views
        slots = [place_views(radiographs, num_views) for radiographs in studies]
        settings = (repr(transform), num_views, model.feature_settings())
        keys = [(pixels_digest(*pair), tuple(pair[1]), settings) for pair in zip(studies, slots, strict=True)]
        with self._lock:
            found = {key: self._features[key] for key in keys if key in self._features}
        missing = {key: i for i, key in enumerate(keys) if key not in found}
        if missing:
            new = missing.values()
            batch = StudyBatch.of([studies[i] for i in new], transform, num_views, [slots[i] for i in new])
            batch = batch.to(model.device, model.dtype)
            with torch.inference_mode():
                features = model.extract_features(batch.pixel_values, batch.view_mask)
            encoded = dict(zip(missing, zip(features.split(), batch.view_mask.split(1), strict=True), strict=True))
            found |= encoded
            with self._lock:
                for key, value in encoded.items():
                    self._features[key] = value
        return [StudyFeatures(*found[key], (tuple(own),)) for key, own in zip(keys, slots, strict=True)]


def pixels_digest(radiographs: Sequence[Radiograph], slots: Sequence[int | None]) -> str:
    """The pixel hashes of the views that a model reads, in the order of their slots."""
    read = sorted(slot for slot in slots if slot is not None)
    return "".join(radiographs[list(slots).index(slot)].sha256 for slot in read)


def sampling_seed(radiographs: Sequence[Radiograph], slots: Sequence[int | None]) -> int:
    """The seed of a study's samples. It follows from the pixels, so a study gets one report."""
    return study_seed([pixels_digest(radiographs, slots)])

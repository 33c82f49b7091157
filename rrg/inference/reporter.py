"""From a study to its report: the class behind the app, the HTTP endpoints, the command line and batches."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from cachetools import LRUCache
from torch import Tensor

from rrg.data.quality import refuse
from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding import generate
from rrg.decoding.generation import decoding_settings
from rrg.decoding.progress import Progress, ProgressCallback
from rrg.errors import InputError
from rrg.explanation.maps import Explanation, explain, explain_text
from rrg.inference.badges import Badge, badges
from rrg.inference.blank_check import BlankCheck, blank_study, compare_with_blank
from rrg.inference.feature_cache import FeatureCache, sampling_seed
from rrg.inference.loading import LoadedModel, load_model
from rrg.inference.quality import check_encoded
from rrg.inference.reading import read_ahead
from rrg.inference.writing import make_report, read_ids
from rrg.layers.image_encoder import state_digest
from rrg.models.base import ReportModel
from rrg.models.outputs import ReportEncoderOutput, StudyFeatures
from rrg.report import Note, Report

_BLANK_TEXTS = 64
"""Reports on blank images that a reporter keeps."""


@dataclass(frozen=True, eq=False)
class _EncodedStudy:
    """A study of a batch, read and encoded."""

    study: Study
    radiographs: Sequence[Radiograph]
    features: StudyFeatures
    notes: tuple[Note, ...] = ()


class Reporter:
    """A loaded model that generates reports and explains them."""

    def __init__(self, loaded: LoadedModel, feature_cache: FeatureCache | None = None):
        """`feature_cache`: may be shared by models with the same image encoder; its own by default."""
        self._loaded = loaded
        self.transform = loaded.transform
        self.feature_cache = feature_cache or FeatureCache()
        self._blank_texts: LRUCache[tuple[tuple[str, str], ...], str] = LRUCache(_BLANK_TEXTS)
        """View and pixel hash of the radiographs -> the report on blank images with the seed of the study."""

    @classmethod
    def from_pretrained(cls, folder: Path | str, device: str | None = None, revision: str | None = None) -> Reporter:
        """Load weights/NAME, or a model of the hub by its id (owner/name) and `revision`.

        Raises InputError when the folder holds no model of a known architecture, or there is none.
        """
        return cls(load_model(folder, device, revision=revision))

    @property
    def name(self) -> str:
        return self._loaded.name

    @property
    def model(self) -> ReportModel:
        return self._loaded.model

    @property
    def tokenizer(self) -> ReportTokenizer:
        return self._loaded.tokenizer

    @property
    def weights_sha256(self) -> str:
        return self._loaded.weights_sha256

    def check(self, study: Study) -> tuple[Note, ...]:
        """Notes on the images of a study. Raises InputError when an image of it cannot be read."""
        radiographs = study.radiographs()
        return check_encoded(radiographs, self._encode([radiographs])[0], self._loaded.quality)

    def report(self, study: Study, progress: ProgressCallback | None = None, *, checked: bool = False) -> Report:
        """The model's report on one study.

        Args:
            study: the study.
            progress: called for every step and every word. It stops the work by raising an exception, which this method
                then raises. A stop leaves only complete entries in the cache.
            checked: check the images first (`check`); the report then carries the warnings.

        Raises:
            InputError: an image of the study cannot be read, or the check refuses it.
        """
        started = time.perf_counter()
        if progress is not None:
            progress(Progress("reading images", 0, 1))
        encoded = self._encoded([(study, study.radiographs())], progress)
        if checked:
            encoded = list(self._checked(encoded))
        return self._generate(encoded, started, progress)[0]

    def reports(
        self,
        studies: Iterable[Study],
        batch_size: int = 16,
        skip: Callable[[Study, InputError], None] | None = None,
        *,
        checked: bool = False,
    ) -> Iterator[Report]:
        """Reports in the order of `studies`, decoded in batches; `seconds` is a study's share of its batch.

        A study that cannot be read, or that the check refuses, is passed to `skip` and left out; without `skip` its
        InputError is raised.
        """
        readable = read_ahead(studies, batch_size, skip)
        while True:
            started = time.perf_counter()
            batch = list(itertools.islice(readable, batch_size))
            if not batch:
                return
            accepted = self._encoded(batch)
            if checked:
                accepted = list(self._checked(accepted, skip))
            if accepted:
                yield from self._generate(accepted, started)

    def explain(self, study: Study, report: Report) -> Explanation:
        """Maps of `report`, generated by this model on `study`, over the radiographs of `study`."""
        return explain(self.model, self.tokenizer, report, self.encode(study))

    def explain_text(self, study: Study, report: Report, text: str) -> Explanation:
        """Maps of an edited text of `report`, over the radiographs of `study`: as if this model had generated it.

        Words that the vocabulary lacks have no map (`Explanation.without_map`). For the text of `report` itself the
        maps are those of `explain`.

        Raises:
            InputError: the report is by a model with other weights, or there is no word in the text.
        """
        if report.weights_sha256 != self.weights_sha256:
            raise InputError("The model has other weights now, so there are no maps. Write the report again.")
        return explain_text(self.model, self.tokenizer, text, self.encode(study))

    def encode(self, study: Study) -> StudyFeatures:
        """The image features of a study, from the cache if it has them."""
        return self._encode([study.radiographs()])[0]

    def features(self, study: Study) -> np.ndarray:
        """Pooled image features [C] of a study, for its nearest neighbours."""
        encoded = self.encode(study)
        views = encoded.features.feature_maps[:, : encoded.view_mask.shape[1]]
        with torch.inference_mode():
            return self.model.image_encoder.pool(views, encoded.view_mask)[0].float().cpu().numpy()

    @torch.inference_mode()
    def view_features(self, study: Study) -> np.ndarray:
        """Pooled image features of each view slot of a study, float32 [V, C]; NaN for a missing view."""
        encoded = self.encode(study)
        views = encoded.features.feature_maps[0, : encoded.view_mask.shape[1]]  # [V,C,h,w]
        pooled = views.float().mean(dim=(-2, -1)).masked_fill(~encoded.view_mask[0, :, None], float("nan"))
        return pooled.cpu().numpy()

    def badges(self, study: Study, report: Report) -> tuple[Badge, ...]:
        """Reasons to doubt `report`, generated by this model on `study`. Empty where the weights have no statistics."""
        statistics = self._loaded.statistics
        return () if statistics is None else badges(report, self.view_features(study), statistics)

    def blank_check(self, study: Study, report: Report, progress: ProgressCallback | None = None) -> BlankCheck:
        """Compare `report`, generated by this model on `study`, with the report on blank images of the same views.

        Blank images are uniform, with the mean grey value of the transform. Both reports have the same seed, so that a
        model that does not depend on its images writes the same. `progress` is as in `report`. The latest reports on
        blank images are cached.
        """
        started = time.perf_counter()
        radiographs = study.radiographs()
        key = tuple((radiograph.view, radiograph.sha256) for radiograph in radiographs)
        text = self._blank_texts.get(key)
        if text is None:
            blank = blank_study(study.id, radiographs, self.transform)
            (encoded,) = self._encoded([(blank, blank.radiographs())], progress)
            with_seed = replace(encoded, radiographs=radiographs)  # the seed follows from them
            text = self._generate([with_seed], started, progress)[0].text
            self._blank_texts[key] = text
        return compare_with_blank(report.text, text)

    @property
    def features_digest(self) -> str:
        """Digest of all that determines `features`; equal for models with the same backbone and transform."""
        config = self.model.config
        settings = (config.backbone, config.backbone_options, self.transform, config.num_views, self.model.dtype)
        digest = hashlib.sha256(repr(settings).encode())
        digest.update(state_digest(self.model.image_encoder.backbone).encode())
        return digest.hexdigest()

    def _encode(self, studies: Sequence[Sequence[Radiograph]]) -> list[StudyFeatures]:
        return self.feature_cache.encode(self.model, self.transform, studies)

    def _encoded(
        self, studies: Sequence[tuple[Study, Sequence[Radiograph]]], progress: ProgressCallback | None = None
    ) -> list[_EncodedStudy]:
        if progress is not None:
            progress(Progress("encoding images", 0, len(studies)))
        features = self._encode([radiographs for _, radiographs in studies])
        return [_EncodedStudy(*study, encoded) for study, encoded in zip(studies, features, strict=True)]

    def _checked(
        self, studies: Sequence[_EncodedStudy], skip: Callable[[Study, InputError], None] | None = None
    ) -> Iterator[_EncodedStudy]:
        """The studies that the check does not refuse, with their notes."""
        for encoded in studies:
            notes = check_encoded(encoded.radiographs, encoded.features, self._loaded.quality)
            try:
                refuse(notes)
            except InputError as error:
                if skip is None:
                    raise
                skip(encoded.study, error)
            else:
                yield replace(encoded, notes=notes)

    @torch.inference_mode()
    def _generate(
        self, studies: Sequence[_EncodedStudy], started: float, progress: ProgressCallback | None = None
    ) -> list[Report]:
        """Reports on a batch of studies; `started` is the time at which reading it began."""
        seeds = [sampling_seed(study.radiographs, study.features.slots[0]) for study in studies]
        batch = StudyFeatures.concatenate([study.features for study in studies])
        encoded = self.model.encode(view_mask=batch.view_mask, features=batch.features)
        decoded = generate(self.model, encoded, self.tokenizer, seeds, self._loaded.mbr_resources, progress)
        ids, supports = decoded.ids, decoded.supports or (None,) * len(studies)
        probabilities = self._word_probabilities(encoded, ids).cpu().numpy()  # [B,T]
        assert encoded.finding_logits is not None
        findings = encoded.finding_logits.float().sigmoid().cpu().numpy()  # [B,14]
        seconds = (time.perf_counter() - started) / len(studies)
        settings = decoding_settings(self.model)
        statistics = self._loaded.statistics
        calibration = None if statistics is None else statistics.calibration(self.name, self.weights_sha256)
        return [
            make_report(
                read_ids(self.tokenizer, ids[i].tolist(), probabilities[i], supports[i], calibration),
                findings[i],
                study.study.id,
                self.name,
                self.weights_sha256,
                settings,
                seconds,
                study.notes,
            )
            for i, study in enumerate(studies)
        ]

    def _word_probabilities(self, encoded: ReportEncoderOutput, ids: Tensor) -> Tensor:
        """Probability [B,T] of each generated id given those before it."""
        logits = self.model(decoder_input_ids=self.model.shift_right(ids), encoder_outputs=encoded).logits
        return logits.float().softmax(-1).gather(-1, ids[..., None])[..., 0]

"""Study in, report out: the one door that the app, HTTP, the command line, batches and tests go through."""

from __future__ import annotations

import hashlib
import itertools
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rrg.data.batches import collate, place_views, study_tensors
from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study
from rrg.data.text import detokenize
from rrg.data.tokenizer import ReportTokenizer
from rrg.data.transforms import ViewTransform
from rrg.decoding import mbr
from rrg.decoding.mbr import Consensus
from rrg.decoding.ngrams import NgramFrequencies
from rrg.errors import InputError
from rrg.explanation.maps import Explanation, explain
from rrg.inference.weights import model_type, weights_digest
from rrg.labels.findings import label_report
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportEncoderOutput, ReportModel
from rrg.report import Report, ReportFinding, Sentence, Word

_SEARCH = ("num_beams", "length_penalty", "early_stopping")
_REPORTED_SETTINGS = ("consensus", *_SEARCH, "max_length", "no_repeat_ngram_size", "suppress_tokens")

_READERS = 2
"""Threads that decode images ahead of the model."""

_KEPT = 4
"""Studies whose feature maps are kept for other models and further reports."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """A study as the image encoder saw it."""

    features: Tensor
    """[1,V,C,h,w] or more views"""
    view_mask: Tensor
    """[1,V]"""
    slots: list[int | None]
    """The view slot of each radiograph, None for one that the model does not read."""
    seed: int
    """What decides on samples: it follows from the pixels."""


class LookedAt(OrderedDict[tuple[object, ...], tuple[Tensor, Tensor]]):
    """Feature maps and view mask of the latest studies that an image encoder saw, by their pixels and what decides on
    the maps beside them. Models that share the encoder share this too."""

    def keep(self, key: tuple[object, ...], features: tuple[Tensor, Tensor]) -> None:
        self[key] = features
        while len(self) > _KEPT:
            self.popitem(last=False)


class Reporter:
    """A trained model with its vocabulary and its image transform."""

    def __init__(
        self,
        name: str,
        model: ReportModel,
        tokenizer: ReportTokenizer,
        weights_sha256: str,
        frequencies: NgramFrequencies | None = None,
    ):
        """`frequencies`: needed where the model's consensus gives CIDEr a weight."""
        self.name = name
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.weights_sha256 = weights_sha256
        # Whoever asks for a report mostly asks for its maps next: its images need not be read and encoded again.
        self._latest: tuple[str, _Seen] | None = None
        self.looked_at = LookedAt()
        config = model.config
        self.transform = ViewTransform(config.image_size, tuple(config.image_mean), tuple(config.image_std))
        self.consensus = Consensus.of(model.generation_config)
        self.frequencies = frequencies
        settings = model.generation_config.to_dict()
        self.decoding = {
            name: settings[name]
            for name in _REPORTED_SETTINGS
            if settings.get(name) is not None and not (self.consensus and name in _SEARCH)
        }

    @classmethod
    def from_pretrained(cls, folder: Path | str, device: str | None = None) -> Reporter:
        """Load weights/NAME. Raises InputError when the folder is not one of a known architecture."""
        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise InputError(f"{folder} holds no model: there is no config.json in it. Train one with train/train.py.")
        kind = model_type(folder)
        if kind not in ARCHITECTURES:
            raise InputError(f"{folder} holds a model of type {kind!r}. Known are: {', '.join(ARCHITECTURES)}.")
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        # Half precision is for the disk: a CPU computes faster in single.
        dtype = torch.float16 if device == "cuda" else torch.float32
        model = ARCHITECTURES[kind].load().from_pretrained(folder, dtype=dtype)
        model.image_encoder.fold_batch_norms()
        if device == "cpu":
            model.image_encoder.spare_cache()
        model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        found = Consensus.of(model.generation_config)
        frequencies = NgramFrequencies.from_pretrained(folder) if found and found.cider_weight else None
        tokenizer = ReportTokenizer.from_pretrained(folder)
        return cls(folder.resolve().name, model, tokenizer, weights_digest(folder), frequencies)

    def report(self, study: Study) -> Report:
        """The model's report on one study. Raises InputError when an image of it cannot be read."""
        started = time.perf_counter()
        (seen,) = self._look([study.radiographs()])
        report = self._write([study], seen.features, seen.view_mask, [seen.seed], started)[0]
        self._latest = (report.report_id, seen)
        return report

    def reports(
        self,
        studies: Iterable[Study],
        batch_size: int = 16,
        skip: Callable[[Study, InputError], None] | None = None,
    ) -> Iterator[Report]:
        """Reports in the order of `studies`, decoded in batches; `seconds` is a study's share of its batch.

        A study that cannot be read is left out and told to `skip`; without `skip` its InputError is raised.
        """
        readable = self._read(studies, batch_size, skip)
        while True:
            started = time.perf_counter()
            batch = list(itertools.islice(readable, batch_size))
            if not batch:
                return
            seen = self._look([radiographs for _, radiographs in batch])
            features, view_mask = (
                torch.cat([each.features for each in seen]),
                torch.cat([each.view_mask for each in seen]),
            )
            yield from self._write(
                [study for study, _ in batch], features, view_mask, [each.seed for each in seen], started
            )

    def _read(
        self, studies: Iterable[Study], ahead: int, skip: Callable[[Study, InputError], None] | None
    ) -> Iterator[tuple[Study, Sequence[Radiograph]]]:
        """The radiographs of each study; those of the next `ahead` are decoded while the caller is busy.

        The threads call no tensor operation: each would bring OpenMP threads of its own, and more of these than cores
        make every operation of the model wait.
        """
        waiting: deque[tuple[Study, Future[Sequence[Radiograph]]]] = deque()
        remaining = iter(studies)
        with ThreadPoolExecutor(_READERS) as pool:
            try:
                while True:
                    for study in itertools.islice(remaining, ahead + 1 - len(waiting)):
                        waiting.append((study, pool.submit(study.radiographs)))
                    if not waiting:
                        return
                    study, future = waiting.popleft()
                    try:
                        radiographs = future.result()
                    except InputError as error:
                        if skip is None:
                            raise
                        skip(study, error)
                    else:
                        yield study, radiographs
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def explain(self, study: Study, report: Report) -> Explanation:
        """Maps of `report`, written by this model on `study`, over the images of `study`."""
        latest_id, seen = self._latest or ("", None)
        if seen is None or latest_id != report.report_id:
            (seen,) = self._look([study.radiographs()])
        ids, words = self._word_ids(report)
        return explain(self.model, report, ids, words, seen.features, seen.view_mask, seen.slots)

    def features(self, study: Study) -> np.ndarray:
        """Pooled image features [C] of a study, for its nearest neighbours."""
        tensors = self._tensors(study.radiographs())
        with torch.inference_mode():
            maps = self.model.image_encoder(tensors["pixel_values"][None].to(self.model.device, self.model.dtype))
            view_mask = tensors["view_mask"][None].to(self.model.device)
            return self.model.image_encoder.pool(maps, view_mask)[0].float().cpu().numpy()

    @property
    def features_digest(self) -> str:
        """Changes with whatever changes `features`: models with the same backbone and transform share them."""
        config = self.model.config
        settings = (config.backbone, config.backbone_options, self.transform, config.num_views, self.model.dtype)
        digest = hashlib.sha256(repr(settings).encode())
        for name, tensor in sorted(self.model.image_encoder.backbone.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _tensors(self, radiographs: Sequence[Radiograph]) -> dict[str, Tensor]:
        """Images and view mask of one study."""
        return study_tensors(radiographs, self.transform, self.model.config.num_views)

    def _look(self, studies: Sequence[Sequence[Radiograph]]) -> list[_Seen]:
        """Studies through the image encoder, together, but for those that went through it just now."""
        slots = [place_views(radiographs, self.model.config.num_views) for radiographs in studies]
        keys = [self._key(*pair) for pair in zip(studies, slots, strict=True)]
        found = {key: self.looked_at[key] for key in keys if key in self.looked_at}
        new = {key: radiographs for key, radiographs in zip(keys, studies, strict=True) if key not in found}
        if new:
            tensors = [self._tensors(radiographs) for radiographs in new.values()]
            features, view_mask = self._features(collate(tensors))
            for key, one in zip(new, zip(features.split(1), view_mask.split(1), strict=True), strict=True):
                found[key] = one
                self.looked_at.keep(key, one)
        return [
            _Seen(*found[key], own, seed=int(hashlib.sha256(key[0].encode()).hexdigest()[:8], 16))
            for key, own in zip(keys, slots, strict=True)
        ]

    def _key(self, radiographs: Sequence[Radiograph], slots: Sequence[int | None]) -> tuple[str, object]:
        """The pixels of the views that the model reads, and what else decides on their feature maps."""
        taken = sorted(slot for slot in slots if slot is not None)
        pixels = "".join(radiographs[slots.index(slot)].sha256 for slot in taken)
        config = self.model.config
        return pixels, (tuple(taken), repr(self.transform), config.num_views, self.model.feature_settings())

    @torch.inference_mode()
    def _features(self, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        pixel_values = tensors["pixel_values"].to(self.model.device, self.model.dtype)
        view_mask = tensors["view_mask"].to(self.model.device)
        return self.model.extract_features(pixel_values, view_mask), view_mask

    @torch.inference_mode()
    def _write(
        self, studies: Sequence[Study], features: Tensor, view_mask: Tensor, seeds: Sequence[int], started: float
    ) -> list[Report]:
        encoded = self.model.encode(view_mask=view_mask, features=features)
        if self.consensus is None:
            ids = self.model.generate(encoder_outputs=encoded)[:, 1:]  # without BOS
        else:
            ids = mbr.write(self.model, self.tokenizer, encoded, seeds, self.consensus, self.frequencies)
        probabilities = self._probabilities(encoded, ids)
        beliefs = encoded.finding_logits.float().sigmoid()  # type: ignore[union-attr]
        seconds = (time.perf_counter() - started) / len(studies)
        return [self._report(study, ids[i], probabilities[i], beliefs[i], seconds) for i, study in enumerate(studies)]

    def _probabilities(self, encoded: ReportEncoderOutput, ids: Tensor) -> Tensor:
        """Probability [B,T] of each written word given those before it."""
        logits = self.model(decoder_input_ids=self.model.shift_right(ids), encoder_outputs=encoded).logits
        return logits.float().softmax(-1).gather(-1, ids[..., None])[..., 0]

    def _report(self, study: Study, ids: Tensor, probabilities: Tensor, beliefs: Tensor, seconds: float) -> Report:
        written = self.tokenizer.generated_words(ids.tolist())
        text, spans = detokenize([word.text for word in written])
        words, sentences, first = [], [], 0
        for i, ((start, end), word) in enumerate(zip(spans, written, strict=True)):
            # A word of several byte pairs is as likely as all of them in turn.
            probability = float(probabilities[word.first : word.last].prod())
            words.append(Word(text[start:end], start, end, len(sentences), probability))
            if word.text == "." or i == len(written) - 1:
                begin = spans[first][0]
                sentences.append(Sentence(text[begin:end], begin, end))
                first = i + 1
        findings = tuple(
            ReportFinding(finding.name, str(finding.status), finding.spans, float(beliefs[i]))
            for i, finding in enumerate(label_report(text))
        )
        return Report(
            report_id=uuid.uuid4().hex,
            study_id=study.id,
            text=text,
            words=tuple(words),
            sentences=tuple(sentences),
            findings=findings,
            model=self.name,
            weights_sha256=self.weights_sha256,
            decoding=dict(self.decoding),
            seconds=seconds,
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )

    def _word_ids(self, report: Report) -> tuple[Tensor, list[int]]:
        """The ids [T] of a report's words, and for each the index of its word."""
        ids, words = self.tokenizer.encode_words([word.text.lower() for word in report.words])
        return torch.tensor(ids, device=self.model.device), words

"""What a model said about a study: immutable, JSON in and out, no tensors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Word:
    """A word of the report text with the probability the model gave it."""

    text: str
    start: int
    """First character in `Report.text`."""
    end: int
    """One past the last character in `Report.text`."""
    sentence: int
    """Index into `Report.sentences`."""
    probability: float


@dataclass(frozen=True)
class Sentence:
    """A sentence of the report text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class ReportFinding:
    """One of the 14 findings: what the text says of it and what the image classifier believes."""

    name: str
    status: str
    """present | uncertain | absent | blank, by the rule labeler on the text."""
    spans: tuple[tuple[int, int], ...]
    """Character spans of the text that say so."""
    probability: float | None
    """The encoder's classifier, from the image alone; None for a model without one."""


@dataclass(frozen=True)
class Report:
    """A generated report. Nothing changes it: a correction is a record of its own that points here."""

    report_id: str
    study_id: str
    text: str
    words: tuple[Word, ...]
    sentences: tuple[Sentence, ...]
    findings: tuple[ReportFinding, ...]
    model: str
    weights_sha256: str
    decoding: dict[str, Any]
    """Generation settings, as passed to `generate()`."""
    seconds: float
    created_at: str
    """UTC, ISO 8601."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Report:
        return cls(
            **{
                **record,
                "words": tuple(Word(**w) for w in record["words"]),
                "sentences": tuple(Sentence(**s) for s in record["sentences"]),
                "findings": tuple(
                    ReportFinding(**{**f, "spans": tuple((a, b) for a, b in f["spans"])}) for f in record["findings"]
                ),
            }
        )

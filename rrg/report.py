"""The record of a generated report and of the checks before it: immutable, without tensors, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

NoteKind = Literal[
    "empty",
    "noise",
    "not_a_chest",
    "inverted",
    "rotated",
    "wrong_view",
    "two_frontals",
    "two_laterals",
    "too_small",
    "low_contrast",
    "burned_in_text",
]
"""What is wrong with an image."""

Severity = Literal["refuse", "warn"]
"""refuse: no report is written. warn: a report is written and carries the note."""

Remedy = Literal["invert", "rotate_90", "rotate_180", "rotate_270", "swap_views"]
"""A change of the study that a reader carries out with one click; a rotation is clockwise, in degrees."""


@dataclass(frozen=True)
class Note:
    """What the checks of a study say about one of its images (`rrg.data.quality`)."""

    kind: NoteKind
    severity: Severity
    reason: str
    """A sentence for the reader: the cause and, where no click mends it, what to do."""
    image: int
    """Index of the image in the study, in the order of `Study.radiographs()`: frontal first."""
    remedy: Remedy | None = None


@dataclass(frozen=True)
class Word:
    """A word of the report text with the probability that the model assigned to it."""

    text: str
    start: int
    """Index of the first character in `Report.text`."""
    end: int
    """Index after the last character in `Report.text`."""
    sentence: int
    """Index into `Report.sentences`."""
    probability: float


@dataclass(frozen=True)
class Sentence:
    """A sentence of the report text, with its character range [start, end) in `Report.text`."""

    text: str
    start: int
    end: int
    support: float | None = None
    """Share of the MBR candidates, 0 to 1, that assert and negate the same findings as this sentence; not calibrated.

    Definition: `rrg.decoding.support.sentence_support`. None where the decoding has no candidates, and in records
    from before it was measured.
    """
    probability: float | None = None
    """Probability, 0 to 1, that the sentence agrees with the report of a radiologist: the support, calibrated on val.

    Definition: `rrg.inference.support_calibration`. None for a sentence without a concept that the labeler knows, and
    where the support of these weights was not calibrated.
    """


@dataclass(frozen=True)
class ReportFinding:
    """One of the 14 findings: its label in the text and its probability by the image classifier."""

    name: str
    status: str
    """Label of the text by the rule labeler: present, uncertain, absent or blank."""
    spans: tuple[tuple[int, int], ...]
    """Character ranges [start, end) of the mentions with this label."""
    probability: float | None
    """Probability by the classifier on the image features; None for a model without classifier."""


@dataclass(frozen=True)
class Report:
    """A generated report. It is never changed: a correction is a separate record that refers to it."""

    report_id: str
    study_id: str
    text: str
    words: tuple[Word, ...]
    sentences: tuple[Sentence, ...]
    findings: tuple[ReportFinding, ...]
    model: str
    weights_sha256: str
    decoding: dict[str, Any]
    """Settings of the decoding."""
    seconds: float
    """Time to generate the report."""
    created_at: str
    """Time of generation, UTC, ISO 8601."""
    agreement: float | None = None
    """Share of the MBR candidates, 0 to 1, that assert exactly those of the 13 findings that the report asserts.

    None where the decoding has no candidates, and in records from before it was measured.
    """
    notes: tuple[Note, ...] = ()
    """Warnings about the images. Empty also for a report that was written without checks."""

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
                "notes": tuple(Note(**note) for note in record.get("notes", ())),
            }
        )

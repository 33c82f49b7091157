"""Convert generated ids and their probabilities to the record of a report."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from rrg.data.text import detokenize
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.support import Support
from rrg.inference.support_calibration import SupportCalibration
from rrg.labels.findings import label_report
from rrg.report import Note, Report, ReportFinding, Sentence, Word


@dataclass(frozen=True)
class ReportContent:
    """The part of a report that follows from the generated ids."""

    text: str
    words: tuple[Word, ...]
    sentences: tuple[Sentence, ...]
    agreement: float | None = None


def read_ids(
    tokenizer: ReportTokenizer,
    ids: list[int],
    probabilities: np.ndarray,
    support: Support | None = None,
    calibration: SupportCalibration | None = None,
) -> ReportContent:
    """Ids after BOS and their probabilities [T] -> text with words and sentences as slices of it.

    The probability of a word of several byte pairs is the product of theirs. `support` has one share a sentence;
    with a `calibration` each sentence gets a probability too.
    """
    generated = tokenizer.generated_words(ids)
    text, spans = detokenize([word.text for word in generated])
    words, sentences, first = [], [], 0
    for i, ((start, end), word) in enumerate(zip(spans, generated, strict=True)):
        probability = float(probabilities[word.first : word.last].prod())
        words.append(Word(text[start:end], start, end, len(sentences), probability))
        if word.text == "." or i == len(generated) - 1:
            begin = spans[first][0]
            share = None if support is None else support.sentences[len(sentences)]
            known = None if share is None or calibration is None else calibration.probability(text[begin:end], share)
            sentences.append(Sentence(text[begin:end], begin, end, share, known))
            first = i + 1
    return ReportContent(text, tuple(words), tuple(sentences), None if support is None else support.agreement)


def report_findings(text: str, probabilities: np.ndarray) -> tuple[ReportFinding, ...]:
    """The 14 findings: labels of the text by the rule labeler, probabilities [14] of the image classifier."""
    return tuple(
        ReportFinding(finding.name, str(finding.status), finding.spans, float(probabilities[i]))
        for i, finding in enumerate(label_report(text))
    )


def new_report_id() -> str:
    """A random id, which contains nothing of the study."""
    return uuid.uuid4().hex


def utc_now() -> str:
    """The time as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def make_report(
    content: ReportContent,
    finding_probabilities: np.ndarray,
    study_id: str,
    model: str,
    weights_sha256: str,
    decoding: dict,
    seconds: float,
    notes: tuple[Note, ...] = (),
) -> Report:
    """The record of a report that was generated now."""
    return Report(
        report_id=new_report_id(),
        study_id=study_id,
        text=content.text,
        words=content.words,
        sentences=content.sentences,
        findings=report_findings(content.text, finding_probabilities),
        model=model,
        weights_sha256=weights_sha256,
        decoding=decoding,
        seconds=seconds,
        created_at=utc_now(),
        agreement=content.agreement,
        notes=notes,
    )

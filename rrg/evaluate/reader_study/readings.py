"""What the analysis of a reader study knows of each correction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from rrg.feedback.assessment import Reason, Verdict
from rrg.feedback.records import Correction
from rrg.report import Report


@dataclass(frozen=True)
class ReadError:
    """An error that a reader found in a report."""

    reason: Reason | None
    """Category, or None where the reader named none."""
    significant: bool | None
    """Whether the reader called it clinically significant; None where the reader did not say."""


@dataclass(frozen=True)
class ReadSentence:
    """What a reader did with a sentence of the generated report."""

    changed: bool
    """Edited or deleted."""
    support: float | None
    """Share of the candidates that say the same; None where the decoding has no candidates."""
    probe: bool
    """Whether the sentence was inserted on purpose, with known wrong content."""


@dataclass(frozen=True)
class Reading:
    """A reader's judgement of one report."""

    report_id: str
    """The case: readings of the same report by several readers are compared."""
    study_id: str
    model: str
    reader: str
    verdict: Verdict
    sentences: tuple[ReadSentence, ...]
    """Those of the generated report, in its order."""
    errors: tuple[ReadError, ...]
    """One for each sentence that the reader changed, deleted or inserted; changes of probes do not count."""
    seconds: float | None
    """Active reading time, or None where it was not measured."""
    edit_distance: float
    """Levenshtein distance between the words of both texts, over the number of words of the longer one: 0 to 1."""
    saved_at: str
    """UTC, ISO 8601."""


def newest_readings(
    corrections: Iterable[tuple[Report, Correction]], probes: Mapping[str, int] | None = None
) -> list[Reading]:
    """Convert the newest correction of each report by each reader.

    Withdrawn ones and those without a verdict are left out.

    Args:
        corrections: reports with their corrections, in the order of saving.
        probes: report id -> index of the sentence that was inserted with known wrong content.
    """
    newest: dict[tuple[str, str], tuple[Report, Correction]] = {}
    for report, correction in corrections:
        newest[report.report_id, correction.reader] = report, correction
    return [
        _reading(report, correction, (probes or {}).get(report.report_id))
        for report, correction in newest.values()
        if correction.status != "withdrawn" and correction.assessment is not None
    ]


def _reading(report: Report, correction: Correction, probe: int | None) -> Reading:
    assessment = correction.assessment
    assert assessment is not None
    changes = [edit for edit in assessment.edits if edit.action != "keep"]
    changed = {edit.source for edit in changes if edit.source is not None}
    return Reading(
        report.report_id,
        report.study_id,
        report.model,
        correction.reader,
        assessment.verdict,
        tuple(
            ReadSentence(index in changed, sentence.support, index == probe)
            for index, sentence in enumerate(report.sentences)
        ),
        tuple(
            ReadError(edit.reason, edit.significant) for edit in changes if edit.source is None or edit.source != probe
        ),
        assessment.seconds,
        Levenshtein.normalized_distance(report.text.split(), correction.text.split()),
        correction.saved_at,
    )

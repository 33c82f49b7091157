"""Storage of generated reports and of readers' corrections: append-only, with exports."""

from rrg.feedback.assessment import Assessment, Box, DraftContent, Quality, Reason, SentenceEdit, Verdict
from rrg.feedback.records import (
    ANONYMOUS,
    Correction,
    Counts,
    Draft,
    DraftConflict,
    Head,
    Problem,
    Status,
    StudyMarks,
    Vote,
)
from rrg.feedback.store import FeedbackStore

__all__ = [
    "ANONYMOUS",
    "Assessment",
    "Box",
    "Correction",
    "Counts",
    "Draft",
    "DraftConflict",
    "DraftContent",
    "FeedbackStore",
    "Head",
    "Problem",
    "Quality",
    "Reason",
    "SentenceEdit",
    "Status",
    "StudyMarks",
    "Verdict",
    "Vote",
]

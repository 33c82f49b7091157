"""Storage of generated reports and of readers' corrections: append-only, with an export."""

from rrg.feedback.export import export_corrections
from rrg.feedback.records import ANONYMOUS, Correction, Counts, StudyMarks, Vote
from rrg.feedback.store import FeedbackStore

__all__ = ["ANONYMOUS", "Correction", "Counts", "FeedbackStore", "StudyMarks", "Vote", "export_corrections"]

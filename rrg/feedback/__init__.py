"""What radiologists say about generated reports: kept, never changed, exported."""

from rrg.feedback.export import export_corrections
from rrg.feedback.records import Correction, Counts
from rrg.feedback.store import FeedbackStore

__all__ = ["Correction", "Counts", "FeedbackStore", "export_corrections"]

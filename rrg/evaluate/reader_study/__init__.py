"""Analysis of a reader study: errors, agreement, ranking, effort, probes, support."""

from rrg.evaluate.reader_study.analysis import StudyAnalysis, analyse_study
from rrg.evaluate.reader_study.readings import Reading, newest_readings

__all__ = ["Reading", "StudyAnalysis", "analyse_study", "newest_readings"]

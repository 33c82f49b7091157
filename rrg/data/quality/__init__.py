"""Checks of a study before a report is written: is it a chest, upright, in the right slot, and good enough to read?"""

from rrg.data.quality.checks import check, refuse
from rrg.data.quality.heads import ImageScores, QualityHeads
from rrg.data.quality.remedies import remedied

__all__ = ["ImageScores", "QualityHeads", "check", "refuse", "remedied"]

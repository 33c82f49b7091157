"""Errors in corrections: which are frequent, and their shares among the studies where they can occur."""

from __future__ import annotations

import numpy as np
import pytest

from rrg.data.studies import Study
from training.feedback.corrections import CorrectedReport, StudyCorrection
from training.feedback.errors import Error, Statement, common_errors, error_share, opposite, statements

PACEMAKER, NO_EFFUSION = Statement("Pacemaker", True), Statement("Pleural Effusion", False)
NORMAL = "There is no pleural effusion."


def correction(generated: str, corrected: str) -> StudyCorrection:
    return StudyCorrection(Study("s", ()), CorrectedReport("s", "m", "", generated, corrected, "A"))


def test_statements_are_what_a_text_asserts_and_negates() -> None:
    found = statements("there is no pleural effusion . there may be a pacemaker .")
    assert {PACEMAKER, NO_EFFUSION} <= found
    assert Statement("Pleural Effusion", True) not in found and Statement("Pacemaker", False) not in found


def test_the_most_frequent_error_comes_first() -> None:
    omitted, added = correction(NORMAL, f"{NORMAL} A pacemaker."), correction(NORMAL, "Clear.")
    ranked = common_errors([omitted, added, omitted, correction(NORMAL, NORMAL)])
    assert (Error("omits", PACEMAKER), 2) in ranked[:2] and ranked[0][1] == 2
    assert (Error("adds", NO_EFFUSION), 1) in ranked
    assert [count for _, count in ranked] == sorted((count for _, count in ranked), reverse=True)


def test_a_share_counts_the_studies_where_the_error_can_occur() -> None:
    references = ["A pacemaker.", "A pacemaker.", "A pacemaker.", NORMAL, NORMAL]
    generated = ["A pacemaker.", NORMAL, NORMAL, "A pacemaker.", NORMAL]
    omission = Error("omits", PACEMAKER)
    assert error_share(omission, generated, references).value == pytest.approx(2 / 3)
    assert error_share(opposite(omission), generated, references).value == pytest.approx(1 / 2)
    assert opposite(opposite(omission)) == omission
    assert error_share(omission, references, references).value == 0
    assert error_share(omission, [NORMAL], [NORMAL]).value == 0
    measure = error_share(omission, generated, references)
    assert measure.subset(np.array([True, True, False, True, True])).value == pytest.approx(1 / 2)

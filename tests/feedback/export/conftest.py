"""A small study: three readers, two models, versions, a withdrawal and a report that is accepted."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from rrg.feedback import Assessment, Box, FeedbackStore, SentenceEdit
from rrg.report import Report, Sentence

MAJOR = Assessment(
    "major",
    "limited",
    "=1+1",
    (
        SentenceEdit("keep", 1, "No effusion."),
        SentenceEdit("edit", 0, "Heart is large.", "wrong severity", True),
        SentenceEdit("insert", None, "Left effusion.", "omission", False),
        SentenceEdit("delete", 2, ""),
    ),
    (Box(0, 0.5, 0.5, 1, 1, "Effusion", "missed"),),
    61.5,
)
CORRECTED = "No effusion. Heart is large. Left effusion."


@pytest.fixture
def study(store: FeedbackStore, report: Report) -> FeedbackStore:
    texts = ("Heart is normal.", "No effusion.", "=Stable.")
    sentences = tuple(Sentence(text, 0, len(text)) for text in texts)
    first = replace(report, text=" ".join(texts), sentences=sentences, words=(), findings=())
    store.save_report(first)
    store.save_report(replace(first, report_id="report-2", study_id="study-2", model="camanet"))

    def submit(report_id: str, text: str, reader: str, assessment: Assessment) -> str:
        return store.submit(report_id, text, reader, assessment, str(uuid4())).correction_id

    submit("report-1", "First thoughts.", "A", Assessment("minor"))
    submit("report-1", f"{first.text}\n", "B", Assessment("accept"))
    submit("report-1", CORRECTED, "A", MAJOR)
    withdrawn = submit("report-1", "A mistake.", "C", Assessment("reject"))
    store.withdraw(withdrawn, "C", str(uuid4()))
    submit("report-2", "-Other.", "A", Assessment("reject"))
    return store

"""Simulated corrections of one systematic omission, to try and test training on corrections.

The simulated reader knows the reference report and mends one error alone: where the reference has a statement and the
generated report has not, the sentences of the reference with this statement are inserted, and sentences that say the
opposite are deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from uuid import UUID, uuid5

from rrg.data.studies import Study
from rrg.feedback import FeedbackStore
from rrg.feedback.assessment import Assessment, SentenceEdit
from rrg.feedback.export import export_corrections
from rrg.inference.reporter import Reporter
from rrg.labels.sentences import sentence_spans
from rrg.report import Report
from training.feedback.errors import Statement, statements

_KEYS = UUID("5b1f3a52-5a50-4d0c-9d5e-2f6f1f3d7c11")
"""Namespace of the keys, so that a repeated simulation saves nothing twice."""


def mend(report: Report, reference: str, statement: Statement) -> Assessment | None:
    """What the simulated reader does with a report; None where it does not omit the statement."""
    if statement not in statements(reference) or statement in statements(report.text):
        return None
    sentences = [reference[start:end] for start, end in sentence_spans(reference)]
    places = [i for i, sentence in enumerate(sentences) if statement in statements(sentence)]
    if not places:
        return None  # it is said across sentences
    contrary = Statement(statement.concept, not statement.asserted)
    edits = [
        SentenceEdit("delete", i, "", "false finding" if contrary.asserted else "omission", True)
        if contrary in statements(sentence.text)
        else SentenceEdit("keep", i, sentence.text)
        for i, sentence in enumerate(report.sentences)
    ]
    position = min(places[0], len(edits))
    inserted = [SentenceEdit("insert", None, sentences[i], "omission", True) for i in places]
    return Assessment("major", edits=(*edits[:position], *inserted, *edits[position:]))


def text_of(assessment: Assessment) -> str:
    """The corrected text that the edits give."""
    return " ".join(edit.text for edit in assessment.edits if edit.text)


def simulate(
    reporter: Reporter,
    studies: Iterable[Study],
    statement: Statement,
    count: int,
    accepted: int,
    readers: Sequence[str],
    out: Path,
    store_url: str,
) -> tuple[int, int]:
    """Generate reports, correct those that omit the statement, accept others; store and export the corrections.

    Args:
        reporter: The model.
        studies: Studies with reference reports.
        statement: What is omitted.
        count: Number of corrected reports at which correcting ends.
        accepted: Number of reports that are accepted as they are, of studies whose references have no such statement.
        readers: The simulated readers, who take turns.
        out: The export to write.
        store_url: Database of the corrections.

    Returns:
        The numbers of corrected and accepted reports, less than asked for where there are no more.
    """
    references: dict[str, str] = {}
    done = {True: 0, False: 0}  # by whether the reference has the statement
    asked = {True: count, False: accepted}

    def noted() -> Iterator[Study]:
        for study in studies:
            references[study.id] = study.report or ""
            kind = statement in statements(references[study.id])
            if done[kind] < asked[kind]:
                yield study

    with FeedbackStore(store_url) as store:
        for report in reporter.reports(noted()):
            kind = statement in statements(references[report.study_id])
            assessment = mend(report, references[report.study_id], statement) if kind else Assessment("accept")
            states = statement in statements(report.text)
            if assessment is None or (not kind and states) or done[kind] == asked[kind]:
                continue
            store.save_report(report)
            text = text_of(assessment) if kind else report.text
            reader = readers[sum(done.values()) % len(readers)]
            store.submit(report.report_id, text, reader, assessment, str(uuid5(_KEYS, report.report_id)))
            done[kind] += 1
        export_corrections(store, out)
    return done[True], done[False]

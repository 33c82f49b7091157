"""Submission, versions and withdrawal of corrections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from rrg.errors import InputError
from rrg.feedback import Assessment, Box, FeedbackStore, SentenceEdit
from rrg.report import Report, Sentence

MINOR = Assessment("minor")


@pytest.fixture
def report(report: Report) -> Report:
    """A report of two sentences."""
    first, second = Sentence("Heart is normal.", 0, 16), Sentence("No effusion.", 17, 29)
    return replace(report, text="Heart is normal. No effusion.", words=(), findings=(), sentences=(first, second))


@pytest.fixture
def stored(store: FeedbackStore, report: Report) -> Report:
    store.save_report(report)
    return report


def key() -> str:
    return str(uuid4())


def test_submission_round_trip(store: FeedbackStore, stored: Report) -> None:
    edits = (
        SentenceEdit("delete", 1, "", "false finding", True),
        SentenceEdit("edit", 0, "Heart is large.", "wrong severity", True),
        SentenceEdit("insert", None, "Left effusion.", "omission", False),
    )
    assessment = Assessment("major", "good", "Größer", edits, (Box(0, 0, 0.5, 0.25, 1, "Effusion", "missed"),), 61.5)
    saved = store.submit("report-1", "Heart is large.\nLeft effusion.", " Dr. Müller ", assessment, key())
    assert (saved.assessment, saved.status, saved.version, saved.parent_id) == (assessment, "submitted", 1, None)
    assert (saved.text, saved.reader) == ("Heart is large.\nLeft effusion.", "Dr. Müller")
    assert store.corrections("report-1") == [saved]
    assert store.get_correction(saved.correction_id) == saved


def test_a_repeat_is_stored_once_whatever_was_saved_in_between(store: FeedbackStore, stored: Report) -> None:
    first_key = key()
    first = store.submit("report-1", "One.", "A", MINOR, first_key)
    store.submit("report-1", "Two.", "A", MINOR, key())
    store.submit("report-1", "Three.", "B", MINOR, key())
    assert store.submit("report-1", "One.", "A", replace(MINOR, seconds=9.0), first_key.upper()) == first
    assert len(store.corrections("report-1")) == 3


def test_another_content_under_a_key_is_rejected(store: FeedbackStore, stored: Report) -> None:
    store.save_report(replace(stored, report_id="report-2"))
    first_key = key()
    saved = store.submit("report-1", "One.", "A", MINOR, first_key)
    for report_id, text, reader, assessment in (
        ("report-2", "One.", "A", MINOR),
        ("report-1", "Two.", "A", MINOR),
        ("report-1", "One.", "B", MINOR),
        ("report-1", "One.", "A", Assessment("major")),
    ):
        with pytest.raises(InputError, match="key of this one"):
            store.submit(report_id, text, reader, assessment, first_key)
    with pytest.raises(InputError, match="key of this one"):
        store.withdraw(saved.correction_id, "A", first_key)
    assert store.corrections("report-1") == [saved]


def test_simultaneous_repeats_are_stored_once(store: FeedbackStore, stored: Report) -> None:
    same = key()
    with ThreadPoolExecutor(8) as pool:
        saved = list(pool.map(lambda _: store.submit("report-1", "One.", "A", MINOR, same), range(16)))
    assert set(saved) == {saved[0]}
    assert len(store.corrections("report-1")) == 1


@pytest.mark.parametrize("bad", ["", "1", "x" * 32, None, 7, "1" * 31, "1" * 33])
def test_a_key_is_a_uuid(store: FeedbackStore, stored: Report, bad: object) -> None:
    with pytest.raises(InputError, match="no valid key"):
        store.submit("report-1", "One.", "A", MINOR, bad)  # pyright: ignore[reportArgumentType]
    assert store.corrections("report-1") == []


@pytest.mark.parametrize("reader", ["", "  ", "anonymous"])
def test_a_name_is_required(store: FeedbackStore, stored: Report, reader: str) -> None:
    with pytest.raises(InputError, match="name is needed"):
        store.submit("report-1", "One.", reader, MINOR, key())


def test_versions_of_a_reader_are_linked(store: FeedbackStore, stored: Report) -> None:
    a1 = store.submit("report-1", "One.", "A", MINOR, key())
    b1 = store.submit("report-1", "One.", "B", MINOR, key())
    a2 = store.submit("report-1", "Two.", "A", MINOR, key())
    assert [(c.parent_id, c.version, c.status) for c in (a1, b1, a2)] == [
        (None, 1, "submitted"),
        (None, 1, "submitted"),
        (a1.correction_id, 2, "amended"),
    ]
    assert (store.count_corrections("A"), store.count_corrections("B"), store.count_corrections("C")) == (1, 1, 0)


def test_a_report_written_again_keeps_the_chain(store: FeedbackStore, stored: Report) -> None:
    others = [
        replace(stored, report_id="again"),
        replace(stored, report_id="model", model="camanet"),
        replace(stored, report_id="study", study_id="study-2"),
        replace(stored, report_id="weights", weights_sha256="f" * 64),
    ]
    for other in others:
        store.save_report(other)
    first = store.submit("report-1", "One.", "A", MINOR, key())
    saved = {other.report_id: store.submit(other.report_id, "Two.", "A", MINOR, key()) for other in others}
    assert (saved["again"].parent_id, saved["again"].version) == (first.correction_id, 2)
    assert [saved[name].parent_id for name in ("model", "study", "weights")] == [None] * 3


def test_accepting_as_it_is_is_a_record_of_its_own(store: FeedbackStore, stored: Report) -> None:
    saved = store.submit("report-1", stored.text, "A", Assessment("accept"), key())
    assert saved.assessment == Assessment("accept")
    with pytest.raises(InputError, match="accepted as it is"):
        store.submit("report-1", "Another text.", "A", Assessment("accept"), key())


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([SentenceEdit("keep", 2, "Heart is normal.")], "do not belong"),
        ([SentenceEdit("keep", 0, "Heart is normal."), SentenceEdit("delete", 0, "")], "do not belong"),
        ([SentenceEdit("keep", 1, "Heart is normal.")], "do not belong"),
        ([SentenceEdit("edit", 0, "Heart is large.")], "do not give"),
        ([SentenceEdit("keep", 0, "Heart is normal."), SentenceEdit("insert", None, "More.")], "do not give"),
    ],
)
def test_edits_that_contradict_the_text_are_rejected(
    store: FeedbackStore, stored: Report, edits: list[SentenceEdit], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        store.submit("report-1", "Heart is normal.", "A", Assessment("minor", edits=tuple(edits)), key())
    assert store.corrections("report-1") == []


def test_withdrawal_is_a_version(store: FeedbackStore, stored: Report) -> None:
    first = store.submit("report-1", "One.", "A", MINOR, key())
    withdrawal_key = key()
    withdrawn = store.withdraw(first.correction_id, "A", withdrawal_key)
    assert (withdrawn.status, withdrawn.parent_id, withdrawn.version) == ("withdrawn", first.correction_id, 2)
    assert store.latest_correction("study-1", "r2gen_cmn", "A") is None
    assert store.study_marks("A").corrected == frozenset()
    assert store.count_corrections("A") == 0
    again = store.submit("report-1", "Two.", "A", MINOR, key())
    assert (again.status, again.version) == ("submitted", 3)
    assert store.withdraw(first.correction_id, "A", withdrawal_key) == withdrawn
    assert store.latest_correction("study-1", "r2gen_cmn", "A") == again
    assert store.corrections("report-1") == [first, withdrawn, again]


def test_only_the_newest_own_correction_can_be_withdrawn(store: FeedbackStore, stored: Report) -> None:
    first = store.submit("report-1", "One.", "A", MINOR, key())
    for reader, correction_id in (("B", first.correction_id), ("A", "unknown")):
        with pytest.raises(InputError, match="not one of yours"):
            store.withdraw(correction_id, reader, key())
    second = store.submit("report-1", "Two.", "A", MINOR, key())
    with pytest.raises(InputError, match="changed or withdrawn since"):
        store.withdraw(first.correction_id, "A", key())
    withdrawn = store.withdraw(second.correction_id, "A", key())
    for record in (second, withdrawn):
        with pytest.raises(InputError, match="changed or withdrawn since"):
            store.withdraw(record.correction_id, "A", key())
    assert len(store.corrections("report-1")) == 3


def test_anonymous_texts_are_no_versions_of_each_other(store: FeedbackStore, stored: Report) -> None:
    saved = [store.save_correction("report-1", text) for text in ("One.", "Two.")]
    assert [(c.parent_id, c.version) for c in saved] == [(None, 1), (None, 1)]


def test_a_repeat_without_a_key_is_stored_once(store: FeedbackStore, stored: Report) -> None:
    first = store.save_correction("report-1", "One.", "A")
    store.save_correction("report-1", "Two.", "B")
    assert store.save_correction("report-1", "One.", "A") == first

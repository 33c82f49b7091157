"""The store: round trips, order, repeats and rejected input."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rrg.errors import InputError
from rrg.feedback import Counts, FeedbackStore
from rrg.report import Report


def test_report_round_trip(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    assert store.get_report(report.report_id) == report
    assert store.get_report("unknown") is None


def test_report_saved_twice_is_stored_once(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    store.save_report(report)
    assert store.counts() == Counts(reports=1, corrections=0, readers=0)


def test_stored_report_cannot_be_changed(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    with pytest.raises(InputError, match="already belongs to a different report"):
        store.save_report(replace(report, text="Something else."))
    assert store.get_report(report.report_id) == report


def test_correction_has_text_reader_and_time(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    before = datetime.now(UTC)
    correction = store.save_correction(report.report_id, "  Small left effusion.\n", " Dr. Müller ")
    saved_at = datetime.fromisoformat(correction.saved_at)
    assert saved_at.utcoffset() == timedelta(0)
    assert before <= saved_at <= datetime.now(UTC)
    assert correction.text == "  Small left effusion.\n"
    assert correction.reader == "Dr. Müller"
    assert store.corrections(report.report_id) == [correction]
    assert store.get_report(report.report_id) == report


def test_no_name_is_anonymous(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    assert store.save_correction(report.report_id, "Normal.", " ").reader == "anonymous"


def test_repeated_correction_returns_the_stored_record(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    first = store.save_correction(report.report_id, "Normal.", "A")
    assert store.save_correction(report.report_id, "Normal.", "A ") == first
    assert store.corrections(report.report_id) == [first]


def test_return_to_an_earlier_text_is_a_new_record(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    texts = ["Normal.", "Effusion.", "Normal."]
    for text in texts:
        store.save_correction(report.report_id, text, "A")
    assert [correction.text for correction in store.corrections(report.report_id)] == texts


def test_a_reader_supersedes_only_their_own(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    a1 = store.save_correction(report.report_id, "One.", "A")
    b1 = store.save_correction(report.report_id, "One.", "B")
    a2 = store.save_correction(report.report_id, "Two.", "A")
    assert [a1.parent_id, b1.parent_id, a2.parent_id] == [None, None, a1.correction_id]
    assert store.corrections(report.report_id) == [a1, b1, a2]
    assert store.counts() == Counts(reports=1, corrections=3, readers=2)


def test_latest_correction_is_of_the_study_the_model_and_the_reader(store: FeedbackStore, report: Report) -> None:
    again = replace(report, report_id="report-2")
    other_model = replace(report, report_id="report-3", model="camanet")
    other_study = replace(report, report_id="report-4", study_id="study-2")
    for each in (report, again, other_model, other_study):
        store.save_report(each)
    assert store.latest_correction("study-1", "r2gen_cmn", "A") is None
    store.save_correction("report-2", "Earlier.", "A")
    latest = store.save_correction("report-1", "Later.", "A")
    store.save_correction("report-1", "Of another reader.", "B")
    store.save_correction("report-3", "Other model.", "A")
    store.save_correction("report-4", "Other study.", "A")
    assert store.latest_correction("study-1", "r2gen_cmn", " A") == latest
    assert store.latest_correction("study-1", "r2gen_cmn", "C") is None


def test_the_correction_of_an_anonymous_reader_is_shown_to_nobody(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    store.save_correction("report-1", "Anonymous text.", "")
    assert store.latest_correction("study-1", "r2gen_cmn", "") is None
    assert store.latest_correction("study-1", "r2gen_cmn", "anonymous") is None


def test_the_newest_report_of_a_model_with_the_same_weights_is_found(store: FeedbackStore, report: Report) -> None:
    newer = replace(report, report_id="report-2", created_at="2999-01-01T00:00:00+00:00")
    other_weights = replace(newer, report_id="report-3", weights_sha256="f" * 64)
    for each in (newer, report, other_weights):
        store.save_report(each)
    assert store.find_report(report.study_id, report.model, report.weights_sha256) == newer
    assert store.find_report(report.study_id, report.model, "f" * 64) == other_weights
    assert store.find_report(report.study_id, "camanet", report.weights_sha256) is None


def test_marks_are_those_of_the_reader(store: FeedbackStore, report: Report) -> None:
    for number in (1, 2, 3):
        store.save_report(replace(report, report_id=f"report-{number}", study_id=f"study-{number}"))
    store.save_correction("report-1", "Corrected.", "A")
    store.save_correction("report-2", "Corrected.", "B")
    for study, flagged in (("study-2", True), ("study-3", True), ("study-2", False), ("study-9", True)):
        store.set_flag(study, flagged, "A")
    store.set_flag("study-1", True, "B")
    marks = store.study_marks("A")
    assert marks.written == {"study-1", "study-2", "study-3"}
    assert marks.corrected == {"study-1"}
    assert marks.flagged == {"study-3", "study-9"}


@pytest.fixture
def pair(store: FeedbackStore, report: Report) -> tuple[str, str]:
    """Ids of two stored reports on one study, of the models r2gen_cmn and camanet."""
    store.save_report(report)
    store.save_report(replace(report, report_id="report-2", model="camanet"))
    return report.report_id, "report-2"


@pytest.mark.parametrize("choice", ["a", "b", "equal", "both bad"])
def test_vote_round_trip(store: FeedbackStore, pair: tuple[str, str], choice: str) -> None:
    vote = store.save_vote("vote-1", *pair, choice, " Größer “links”\n", " Dr. Müller ")
    assert (vote.study_id, vote.report_a, vote.report_b) == ("study-1", *pair)
    assert (vote.model_a, vote.model_b, vote.choice) == ("r2gen_cmn", "camanet", choice)
    assert (vote.reason, vote.reader) == (" Größer “links”\n", "Dr. Müller")
    other = store.save_vote("vote-2", *reversed(pair), "equal")
    assert (other.model_a, other.reader, other.reason) == ("camanet", "anonymous", "")
    assert store.votes() == [vote, other]


def test_a_repeated_vote_is_stored_once_and_cannot_be_changed(store: FeedbackStore, pair: tuple[str, str]) -> None:
    vote = store.save_vote("vote-1", *pair, "a", "Better.", "A")
    assert store.save_vote("vote-1", *pair, "a", "Better.", "A") == vote
    for changed in (("b", "Better.", "A"), ("a", "Worse.", "A"), ("a", "Better.", "B")):
        with pytest.raises(InputError, match="already saved"):
            store.save_vote("vote-1", *pair, *changed)
    with pytest.raises(InputError, match="already saved"):
        store.save_vote("vote-1", *reversed(pair), "a", "Better.", "A")
    assert store.votes() == [vote]


@pytest.mark.parametrize("others", [("report-1", "report-1"), ("report-1", "unknown"), ("report-1", "report-3")])
def test_a_vote_is_between_two_reports_on_one_study(
    store: FeedbackStore, report: Report, pair: tuple[str, str], others: tuple[str, str]
) -> None:
    store.save_report(replace(report, report_id="report-3", study_id="study-2"))
    with pytest.raises(InputError, match="two stored reports on one study"):
        store.save_vote("vote-1", *others, "a")
    assert store.votes() == []


@pytest.mark.parametrize(
    ("choice", "reason", "reader"),
    [("left", "", ""), ("", "", ""), ("a", "x" * 2_001, ""), ("a", "nul \0", ""), ("a", "", "two\nlines")],
)
def test_an_invalid_vote_is_rejected(
    store: FeedbackStore, pair: tuple[str, str], choice: str, reason: str, reader: str
) -> None:
    with pytest.raises(InputError):
        store.save_vote("vote-1", *pair, choice, reason, reader)
    assert store.votes() == []


@pytest.mark.parametrize(
    "text",
    [
        *("", " \n\t", "x" * 20_001, "nul \0 in it", "half a surrogate \ud83d"),
        *("\u200b\u200d\ufeff", "\u00ad", "\u3164 \u115f", "\u2060.", "\u202e", "..."),  # nothing to read
    ],
)
def test_invalid_text_is_rejected(store: FeedbackStore, report: Report, text: str) -> None:
    store.save_report(report)
    with pytest.raises(InputError, match=r"^The correction .*\. \w+ .*\.$"):
        store.save_correction(report.report_id, text, "A")
    assert store.counts().corrections == 0


@pytest.mark.parametrize(
    "reader",
    [
        *("x" * 201, "two\nlines", "nul\0", "two\u2028lines"),
        *("Dr. \u202eA", "\u2066A", "A\u200b", "\u200fA", "A\u3164"),  # look like another name
    ],
)
def test_invalid_reader_name_is_rejected(store: FeedbackStore, report: Report, reader: str) -> None:
    store.save_report(report)
    with pytest.raises(InputError, match="reader's name"):
        store.save_correction(report.report_id, "Normal.", reader)
    assert store.counts().corrections == 0


def test_two_encodings_of_a_name_are_one_reader(store: FeedbackStore, report: Report) -> None:
    """macOS types the letters of a name in parts."""
    store.save_report(report)
    first = store.save_correction(report.report_id, "One.", "Dr. Mu\u0308ller")
    second = store.save_correction(report.report_id, "Two.", "Dr. Müller")
    assert (first.reader, second.parent_id) == ("Dr. Müller", first.correction_id)


def test_text_of_the_maximum_length_is_stored(store: FeedbackStore, report: Report) -> None:
    store.save_report(report)
    assert store.save_correction(report.report_id, "é" * 20_000, "A") == store.corrections(report.report_id)[0]


def test_correction_of_an_unknown_report_is_rejected(store: FeedbackStore) -> None:
    with pytest.raises(InputError, match="'unknown' is not known"):
        store.save_correction("unknown", "Normal.", "A")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200))
def test_any_text_round_trip(store: FeedbackStore, report: Report, text: str) -> None:
    store.save_report(report)
    saved = store.save_correction(report.report_id, f"x{text}", "A")
    assert store.corrections(report.report_id)[-1] == saved
    assert saved.text == f"x{text}"

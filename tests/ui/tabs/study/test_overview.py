"""The corrections that the Study tab shows: selection, figures, escaping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.feedback.worklists.store import PlannedItem
from rrg.ui.tabs.study.overview import Selection, analyse_selection, overview_html, select_readings
from tests.evaluate.reader_study.simulated import simulate

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    """Ten reports by each of two models, read by two readers; the first five of xpronet are on a worklist."""
    with FeedbackStore(sqlite_url(tmp_path / "rrg.sqlite3")) as store:
        for model in ("xpronet", "sgrrg"):
            for report, correction in simulate(10, model=model)[0]:
                store.save_report(report)
                assert correction.assessment
                assessment = replace(correction.assessment, edits=(), verdict="minor")
                store.submit(report.report_id, correction.text, correction.reader, assessment, str(uuid4()))
        items = {"anna": [PlannedItem(f"xpronet-{n}", None) for n in range(5)]}
        store.worklists.create("pilot", items, blind=True, settings={})
        yield store


def test_selections_add_up(store: FeedbackStore) -> None:
    chosen, every = select_readings(store, Selection())
    assert len(chosen) == len(every) == 40
    assert len(select_readings(store, Selection(reader="anna"))[0]) == 20
    assert len(select_readings(store, Selection(reader="anna", model="sgrrg"))[0]) == 10
    assert len(select_readings(store, Selection(worklist="pilot"))[0]) == 10
    assert select_readings(store, Selection(verdict="reject"))[0] == []
    with pytest.raises(InputError, match="no worklist"):
        select_readings(store, Selection(worklist="other"))


def test_the_page_has_progress_agreement_and_one_row_a_reading(store: FeedbackStore) -> None:
    choices, html = overview_html(store, Selection(model="sgrrg"))
    assert choices[:3] == [["anna", "ben"], ["sgrrg", "xpronet"], ["pilot"]]
    assert "5 of 5" in html and "20 readings" in html and "Krippendorff" in html
    assert html.count("<td>sgrrg</td>") == 20 and "<td>xpronet</td>" not in html
    assert 'href="rrg/study/readings.csv?model=sgrrg"' in html
    assert "no correction with a verdict" in overview_html(store, Selection(verdict="reject"))[1]
    assert "No report has been read by two readers yet." in overview_html(store, Selection(reader="ben"))[1]


def test_names_are_escaped(store: FeedbackStore) -> None:
    report = store.get_report("sgrrg-0")
    correction = store.corrections("sgrrg-0")[0]
    assert report and correction.assessment
    store.submit("sgrrg-0", correction.text, HOSTILE, correction.assessment, str(uuid4()))
    html = overview_html(store, Selection())[1]
    assert HOSTILE not in html and "&lt;img" in html


def test_values_of_the_page() -> None:
    assert Selection.of_values("all", None, "", "minor") == Selection(verdict="minor")
    assert Selection(reader="a b").query() == "reader=a+b"
    with pytest.raises(InputError, match="malformed"):
        Selection.of_values(["a"], None, None, None)


def test_the_analysis_of_a_selection_has_its_readings(store: FeedbackStore) -> None:
    assert len(analyse_selection(store, Selection(reader="ben")).readings) == 20
    with pytest.raises(InputError, match="no correction"):
        analyse_selection(store, Selection(verdict="reject"))

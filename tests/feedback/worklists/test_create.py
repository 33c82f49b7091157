"""Creation of worklists with a writer that counts its reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from rrg.data.phantom import make_phantom
from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.worklists.create import WorklistSettings, create_worklist
from rrg.report import Report

SETTINGS = WorklistSettings(("a", "b", "c"), ("m1", "m2"), overlap=2, blind=True, probes=0.25, seed=7)


@pytest.fixture(scope="module")
def studies() -> list[Study]:
    return [replace(make_phantom(seed, size=64).study, id=f"s{seed}") for seed in range(12)]


@pytest.fixture
def write(report: Report) -> Callable[[Study, str], Report]:
    def write(study: Study, model: str) -> Report:
        write.calls.append((study.id, model))
        return replace(report, report_id=uuid4().hex, study_id=study.id, model=model)

    write.calls = []
    return write


def test_each_study_is_written_once_and_read_by_two(store: FeedbackStore, studies: list[Study], write) -> None:
    made = create_worklist(store, "pilot", studies, SETTINGS, write)
    assert (made.reports, made.probes, made.sizes) == (12, 3, {"a": 8, "b": 8, "c": 8})
    assert Counter(model for _, model in write.calls) == {"m1": 6, "m2": 6}
    assert {study for study, _ in write.calls} == {study.id for study in studies}
    read = Counter(item.report_id for reader in "abc" for item in store.worklists.items("pilot", reader))
    assert set(read.values()) == {2} and len(read) == 12


def test_probes_are_in_the_stored_reports(store: FeedbackStore, studies: list[Study], write, report: Report) -> None:
    create_worklist(store, "pilot", studies, SETTINGS, write)
    probes = store.worklists.probes("pilot")
    assert len(probes) == 3
    for report_id, place in probes.items():
        changed = store.get_report(report_id)
        assert changed and len(changed.sentences) == len(report.sentences) + 1
        assert changed.sentences[place].text not in report.text
    (worklist,) = store.worklists.list()
    assert worklist.blind and worklist.settings["seed"] == 7


def test_probes_need_a_reference(store: FeedbackStore, studies: list[Study], write) -> None:
    blank = [replace(study, report=None) for study in studies]
    with pytest.raises(InputError, match="needs studies with a reference"):
        create_worklist(store, "pilot", blank, SETTINGS, write)
    assert store.worklists.list() == []
    assert create_worklist(store, "pilot", blank, replace(SETTINGS, probes=0), write).probes == 0


def test_nothing_is_written_for_a_plan_that_fails(store: FeedbackStore, studies: list[Study], write) -> None:
    create_worklist(store, "pilot", studies, SETTINGS, write)
    calls = len(write.calls)
    with pytest.raises(InputError, match="already"):
        create_worklist(store, "pilot", studies, SETTINGS, write)
    with pytest.raises(InputError, match="overlap"):
        create_worklist(store, "other", studies, replace(SETTINGS, overlap=4), write)
    assert len(write.calls) == calls

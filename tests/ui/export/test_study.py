"""The record that is exported."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import numpy as np
import pytest

from rrg.ui.export import ExportedStudy
from rrg.ui.export.study import utc


def test_an_export_now_carries_the_time_the_version_and_the_images_frontal_first(make_export) -> None:
    whole = make_export()
    study = dataclasses.replace(whole.study, images=whole.radiographs[::-1])
    before = datetime.now(UTC)
    exported = ExportedStudy.now(study, whole.report)
    assert before <= exported.exported_at <= datetime.now(UTC)
    assert [radiograph.view for radiograph in exported.radiographs] == ["frontal", "lateral"]
    assert exported.app_version
    assert (exported.correction, exported.maps, exported.notes, exported.reference) == (None, (), (), None)


def test_parts_that_do_not_belong_together_are_refused(make_export) -> None:
    whole = make_export()
    with pytest.raises(ValueError, match="another study"):
        make_export(report=dataclasses.replace(whole.report, study_id="other"))
    with pytest.raises(ValueError, match="grid"):
        make_export(maps=(dataclasses.replace(whole.maps[0], values=np.zeros((1, 2, 2))),))
    with pytest.raises(ValueError, match="time zone"):
        make_export(exported_at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_time_of_the_newest_text_is_that_of_the_correction_if_there_is_one(make_export) -> None:
    assert make_export().written_at == datetime(2026, 3, 4, 7, 8, 9, 123456, UTC)
    assert make_export(correction=None).written_at == datetime(2026, 3, 4, 5, 6, 7, 890000, UTC)


def test_times_are_converted_to_utc() -> None:
    assert utc("2026-01-01T01:00:00+02:00") == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert utc("2026-01-01T01:00:00") == datetime(2026, 1, 1, 1, tzinfo=UTC)

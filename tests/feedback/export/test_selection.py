"""The choice of corrections: by reader, model, status and date."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.export import Selection, export_corrections, first_moment, moment_after

TODAY = datetime.now(UTC)


@pytest.mark.parametrize(
    ("selection", "readers"),
    [
        ({}, "ABACCA"),
        ({"readers": ("A",)}, "AAA"),
        ({"readers": ("B", "C")}, "BCC"),
        ({"readers": ("X",)}, ""),
        ({"models": ("camanet",)}, "A"),
        ({"statuses": ("amended", "withdrawn")}, "AC"),
        ({"readers": ("A",), "models": ("r2gen_cmn",), "statuses": ("submitted",)}, "A"),
        ({"since": TODAY - timedelta(hours=1)}, "ABACCA"),
        ({"since": TODAY + timedelta(hours=1)}, ""),
        ({"until": TODAY - timedelta(hours=1)}, ""),
        ({"until": TODAY + timedelta(hours=1)}, "ABACCA"),
    ],
)
def test_conditions_hold_together(
    study: FeedbackStore, tmp_path: Path, selection: dict[str, Any], readers: str
) -> None:
    out = tmp_path / "out.jsonl"
    export_corrections(study, out, selection=Selection(**selection))
    assert "".join(json.loads(line)["reader"] for line in out.read_text(encoding="utf-8").splitlines()) == readers


def test_an_earlier_version_does_not_stand_in_for_the_newest(study: FeedbackStore, tmp_path: Path) -> None:
    """The newest version decides, whether it is selected or not."""
    assert export_corrections(study, tmp_path / "out", "dpo", Selection(statuses=("submitted",))).rows == 1


def test_dates_are_inclusive_and_utc() -> None:
    assert first_moment("2026-03-31") == datetime(2026, 3, 31, tzinfo=UTC)
    assert moment_after("2026-03-31") == datetime(2026, 4, 1, tzinfo=UTC)
    assert moment_after("2026-03-31T14:00") == datetime(2026, 3, 31, 14, 0, 0, 1, tzinfo=UTC)
    assert first_moment("2026-03-31T14:00+02:00") == datetime(2026, 3, 31, 12, tzinfo=UTC)
    for wrong in ("", "yesterday", "31.3.2026", "2026-13-01"):
        for read in (first_moment, moment_after):
            with pytest.raises(InputError, match="not a date"):
                read(wrong)

"""Choice of the corrections to export: by reader, model, date and status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from rrg.errors import InputError
from rrg.feedback.records import Correction, Status
from rrg.report import Report


@dataclass(frozen=True)
class Selection:
    """Conditions that a correction meets together. None and empty ones are met by all."""

    readers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    since: datetime | None = None
    """The first moment that is in it."""
    until: datetime | None = None
    """The first moment that is not."""
    statuses: tuple[Status, ...] = ()

    def __contains__(self, record: tuple[Report, Correction]) -> bool:
        report, correction = record
        saved_at = datetime.fromisoformat(correction.saved_at)
        return (
            (not self.readers or correction.reader in self.readers)
            and (not self.models or report.model in self.models)
            and (self.since is None or saved_at >= self.since)
            and (self.until is None or saved_at < self.until)
            and (not self.statuses or correction.status in self.statuses)
        )


def first_moment(text: str) -> datetime:
    """Read a date or a time, ISO 8601, UTC where it names no zone. Raises InputError for another text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is not a date. Write it as 2026-03-31 or 2026-03-31T14:00.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def moment_after(text: str) -> datetime:
    """Read the last date, or the last time, that is to be in a selection, and return the first moment after it."""
    moment = first_moment(text)
    try:
        date.fromisoformat(text)
    except ValueError:
        return moment + timedelta(microseconds=1)
    return moment + timedelta(days=1)

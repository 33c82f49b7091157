"""The record that every format of the export writes: a study, its report and what readers added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study
from rrg.feedback import Correction
from rrg.feedback.records import app_version
from rrg.labels.findings import FINDINGS
from rrg.report import Report

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation, Heatmap

DISCLAIMER = "Research use only, not a medical device"
"""Stands on top and at the bottom of every page, and in every file."""


@dataclass(frozen=True, eq=False)
class ExportedStudy:
    """A study with its report, as it is exported. Nothing in it is computed by a model.

    Raises:
        ValueError: the report is of another study, a map has another number of views than the study has radiographs, or
            the time of the export has no time zone.
    """

    study: Study
    radiographs: tuple[Radiograph, ...]
    """The images that are shown: `study.radiographs()`."""
    report: Report
    correction: Correction | None
    """The reader's correction of `report`, or of an earlier report by the same model."""
    maps: tuple[Heatmap, ...]
    """The maps to show, in this order."""
    notes: tuple[str, ...]
    """Remarks on the study or the report, one sentence each."""
    reference: str | None
    """Text of the reference report, if it is to be shown."""
    exported_at: datetime
    """Time of the export, with its time zone."""
    app_version: str

    def __post_init__(self) -> None:
        if self.report.study_id != self.study.id:
            raise ValueError("the report is of another study")
        if any(len(heatmap.values) != len(self.radiographs) for heatmap in self.maps):
            raise ValueError("a map needs one grid for each radiograph")
        if self.exported_at.tzinfo is None:
            raise ValueError("the time of the export needs a time zone")

    @classmethod
    def now(
        cls,
        study: Study,
        report: Report,
        correction: Correction | None = None,
        maps: tuple[Heatmap, ...] = (),
        notes: tuple[str, ...] = (),
        reference: str | None = None,
    ) -> ExportedStudy:
        """Export now, with this version of the app. Raises InputError when an image of the study cannot be read."""
        return cls(
            study=study,
            radiographs=study.radiographs(),
            report=report,
            correction=correction,
            maps=maps,
            notes=notes,
            reference=reference,
            exported_at=datetime.now(UTC),
            app_version=app_version(),
        )

    @cached_property
    def written_at(self) -> datetime:
        """Time of the newest text in it: of the correction, or of the report. UTC."""
        newest = self.report.created_at if self.correction is None else self.correction.saved_at
        return utc(newest)


def chosen_maps(
    explanation: Explanation | None, report: Report, chosen: Sequence[tuple[str, int]]
) -> tuple[Heatmap, ...]:
    """Return the maps that are named by kind and index, else those of the findings that the report asserts."""
    if explanation is None:
        return ()
    kinds = {"word": explanation.words, "sentence": explanation.sentences, "native": explanation.native}
    asserted = {finding.name for finding in report.findings if finding.status in ("present", "uncertain")}
    if chosen:
        asserted = {FINDINGS[index] for kind, index in chosen if kind == "finding" and index < len(FINDINGS)}
    picked = [kinds[kind][index] for kind, index in chosen if kind in kinds and index < len(kinds[kind])]
    return (*picked, *(heatmap for heatmap in explanation.findings if heatmap.target in asserted))


def utc(time: str) -> datetime:
    """Parse a time in ISO 8601; one without a time zone is UTC."""
    parsed = datetime.fromisoformat(time)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)

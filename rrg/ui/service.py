"""What the app does, free of any page: open studies, have reports written, keep corrections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rrg.data.annotation import read_annotation
from rrg.data.studies import Study, study_of_files
from rrg.errors import InputError
from rrg.feedback import Correction, FeedbackStore
from rrg.report import Report
from rrg.ui.examples import EXAMPLES, cached_example, open_example
from rrg.ui.settings import Settings
from rrg.ui.uploads import StudyShelf

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation
    from rrg.inference.library import ModelLibrary


class Desk:
    """Shared by all readers of one process: holds no one's session, only the store, the models and opened studies."""

    def __init__(self, settings: Settings, library: ModelLibrary, store: FeedbackStore) -> None:
        """Raises InputError when `settings.data` is set and cannot be read."""
        self.library = library
        self.store = store
        self.listed = {study.id: study for study in read_annotation(settings.data)} if settings.data else {}
        self._examples = settings.home / "examples"
        self._shelf = StudyShelf()

    def open_upload(self, frontal: Path | str | None, lateral: Path | str | None) -> Study:
        study = study_of_files(frontal, lateral)
        self._shelf.put(study)
        return study

    def open_example(self, example_id: str) -> Study:
        if example_id not in EXAMPLES:
            raise InputError(f"There is no example {example_id!r}. Choose one of the list.")
        return open_example(EXAMPLES[example_id], self._examples)

    def open_listed(self, study_id: str) -> Study:
        if study_id not in self.listed:
            raise InputError(f"There is no study {study_id!r} in the data folder. Choose one of the list.")
        return self.listed[study_id]

    def find(self, study_id: str) -> Study | None:
        """A study by its id, unless it was an upload whose pixels are gone from memory."""
        return self._shelf.get(study_id) or self.listed.get(study_id) or cached_example(study_id, self._examples)

    def write_report(self, study: Study, model: str) -> Report:
        """Have `model` report on the study, and keep the report. Raises InputError for a model that cannot run."""
        report = self.library.reporter(model).report(study)
        self.store.save_report(report)
        return report

    def explain(self, study: Study, report: Report) -> Explanation | None:
        """The maps of a report; None when the weights that wrote it are no longer the ones at hand."""
        reporter = self.library.reporter(report.model)
        return reporter.explain(study, report) if reporter.weights_sha256 == report.weights_sha256 else None

    def correction_of(self, report: Report) -> Correction | None:
        """The newest correction of what this model wrote about this study."""
        return self.store.latest_correction(report.study_id, report.model)

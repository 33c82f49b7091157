"""The service behind the page and the HTTP endpoints, without Gradio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rrg.data.annotation import read_annotation
from rrg.data.quality import check, remedied
from rrg.data.studies import Study, study_of_files
from rrg.errors import InputError
from rrg.feedback import Correction, FeedbackStore
from rrg.report import Note, Remedy, Report
from rrg.ui.examples import EXAMPLES, cached_example, open_example
from rrg.ui.settings import Settings
from rrg.ui.uploads import StudyCache

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation
    from rrg.inference.library import ModelLibrary


class Service:
    """Opens studies, generates and explains reports, stores corrections.

    One instance serves all readers of a process and is safe for concurrent threads. It holds nothing that belongs to
    one session.
    """

    def __init__(self, settings: Settings, library: ModelLibrary, store: FeedbackStore) -> None:
        """Raises InputError when `settings.data` is set and cannot be read."""
        self.library = library
        self.models = {info.name: info for info in library.list()}
        """The models as they were when the process started, by name."""
        self.dataset = {study.id: study for study in read_annotation(settings.data)} if settings.data else {}
        """The studies of the data folder by id."""
        self._store = store
        self._examples = settings.home / "examples"
        self._uploads = StudyCache()

    def open_upload(self, frontal: Path | str | None, lateral: Path | str | None) -> Study:
        """Read uploaded image files into a study and cache it. Raises InputError for an image that cannot be used."""
        study = study_of_files(frontal, lateral)
        self._uploads.put(study)
        return study

    def open_example(self, example_id: str) -> Study:
        """Open an example, downloading it if necessary. Raises InputError for an unknown or unreachable one."""
        if example_id not in EXAMPLES:
            raise InputError(f"There is no example {example_id!r}. Choose one of the list.")
        return open_example(EXAMPLES[example_id], self._examples)

    def open_dataset_study(self, study_id: str) -> Study:
        """Open a study of the data folder. Raises InputError for an unknown id."""
        if study_id not in self.dataset:
            raise InputError(f"There is no study {study_id!r} in the data folder. Choose one of the list.")
        return self.dataset[study_id]

    def find_study(self, study_id: str) -> Study | None:
        """Return an opened study by its id; None for an unknown one and for an upload that left the cache."""
        return self._uploads.get(study_id) or self.dataset.get(study_id) or cached_example(study_id, self._examples)

    def check(self, study: Study, model: str | None) -> tuple[Note, ...]:
        """Check the images of a study before a report is written.

        Their content is checked with the image encoder of `model`. Where that cannot be loaded, only their pixels are.
        """
        try:
            if model is not None:
                return self.library.reporter(model).check(study)
        except InputError:
            pass  # a model without weights; it is named when its report is asked for
        return check(study.radiographs())

    def apply_remedy(self, study: Study, remedy: Remedy, image: int) -> Study:
        """Correct a study as a note proposes, and cache it. Raises InputError for an unknown remedy or image."""
        changed = remedied(study, remedy, image)
        self._uploads.put(changed)
        return changed

    def generate_report(self, study: Study, model: str) -> Report:
        """Check a study, generate a report on it and store it.

        Raises InputError for a model that cannot be loaded, and for a study that the check refuses.
        """
        report = self.library.reporter(model).report(study, checked=True)
        self._store.save_report(report)
        return report

    def find_report(self, report_id: str) -> Report | None:
        """Return a stored report by its id, or None."""
        return self._store.get_report(report_id)

    def explain(self, study: Study, report: Report) -> Explanation | None:
        """Compute the maps of a report; None when its model has other weights now than those that generated it."""
        reporter = self.library.reporter(report.model)
        return reporter.explain(study, report) if reporter.weights_sha256 == report.weights_sha256 else None

    def save_correction(self, report_id: str, text: str, reader: str) -> Correction:
        """Store a correction of a report. Raises InputError as `FeedbackStore.save_correction` does."""
        return self._store.save_correction(report_id, text, reader)

    def latest_correction(self, report: Report) -> Correction | None:
        """Return the newest correction of any report by the same model on the same study, or None."""
        return self._store.latest_correction(report.study_id, report.model)

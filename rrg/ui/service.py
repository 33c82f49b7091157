"""The service behind the page and the HTTP endpoints, without Gradio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rrg.data.annotation import read_annotation
from rrg.data.studies import Study, study_of_files
from rrg.errors import InputError
from rrg.evaluate.model_card import model_card
from rrg.feedback import FeedbackStore
from rrg.feedback.records import MAX_TEXT
from rrg.report import Note, Remedy, Report
from rrg.ui.blinding import Blinding
from rrg.ui.examples import EXAMPLES, PUBLIC, SYNTHETIC, cached_example, open_example
from rrg.ui.export import ExportedStudy, chosen_maps, export
from rrg.ui.model_queue import ModelQueue, Tell, finish
from rrg.ui.reader_records import ReaderRecords
from rrg.ui.security.audit import AuditLog
from rrg.ui.security.sessions import NO_SESSION, NOBODY, Session, Viewer
from rrg.ui.security.users import user_file
from rrg.ui.settings import Settings
from rrg.ui.speed import SpeedRecord
from rrg.ui.study_list import Entry, Query, Rows, StudyList
from rrg.ui.uploads import StudyCache
from rrg.ui.worklists import ReaderWorklists

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation
    from rrg.feedback.mirror import Mirror
    from rrg.inference.badges import Badge
    from rrg.inference.blank_check import BlankCheck
    from rrg.inference.library import ModelLibrary


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Analysis:
    """What the page shows beside a report."""

    explanation: Explanation | None
    """None where the model has other weights now than those that generated the report."""
    badges: tuple[Badge, ...]


class Service:
    """Opens studies, generates, explains and exports reports; `records` stores what readers save.

    One instance serves all readers of a process and is safe for concurrent threads. It holds nothing that belongs to
    one session.
    """

    def __init__(
        self, settings: Settings, library: ModelLibrary, store: FeedbackStore, mirror: Mirror | None = None
    ) -> None:
        """Raises InputError when `settings.data` is set and cannot be read."""
        self.library = library
        self.models = {info.name: info for info in library.list()}
        """The models as they were when the process started, by name."""
        self.cards = {name: model_card(info, settings.weights / name) for name, info in self.models.items()}
        """What the app says of each model, by name."""
        self.speed = SpeedRecord()
        self.dataset = {study.id: study for study in read_annotation(settings.data)} if settings.data else {}
        """The studies of the data folder by id."""
        self.queue = ModelQueue()
        self.audit = AuditLog(settings.home / "audit.jsonl")
        self.users = user_file(settings)
        self._list = StudyList(
            [
                *map(Entry.of_study, self.dataset.values()),
                *(Entry.of_example(example.id, example.label) for example in (*SYNTHETIC, *PUBLIC)),
            ]
        )
        self._store = store
        self.mirror = mirror
        """The copy of the records in a dataset repository, where one is kept."""
        self.worklists = ReaderWorklists(store)
        """The readers' ways through worklists."""
        self.blinding = Blinding(store)
        self.records = ReaderRecords(store, self.audit, self.worklists, self.blinding)
        """What readers save: corrections, drafts and votes."""
        self._examples = settings.home / "examples"
        self._uploads = StudyCache()

    @property
    def first_model(self) -> str | None:
        """Name of the model that is offered first, the best on val; None if no model has weights."""
        available = [info for info in self.models.values() if info.available]
        return next((info.name for info in sorted(available, key=lambda info: not info.best)), None)

    def load_first_model(self) -> None:
        """Load the model that is offered first, so that its first report need not wait for it."""
        if self.first_model is None:
            return
        try:
            self.library.reporter(self.first_model)
        except InputError as error:  # the first report says it to the reader
            logger.warning("%s", error)

    @property
    def feedback(self) -> FeedbackStore:
        """The store of reports and corrections."""
        return self._store

    # Studies

    def study_rows(self, query: Query, reader: str) -> Rows:
        """Return the studies of a query with the marks of the reader; those of its worklist if it names one."""
        if query.worklist:
            return self.worklists.rows(query.worklist, reader, query)
        return self._list.rows(query, self._store.study_marks(reader))

    def neighbour(self, study_id: str | None, step: Literal[1, -1], query: Query, reader: str) -> str | None:
        """Return the id of the next or previous study of a query; None at the end of the list."""
        if query.worklist:
            return self.worklists.neighbour(query.worklist, reader, study_id, step)
        return self._list.neighbour(study_id, step, query, self._store.study_marks(reader))

    def open_upload(self, frontal: Path | str | None, lateral: Path | str | None, viewer: Viewer = NOBODY) -> Study:
        """Read uploaded image files into a study and cache it for the viewer.

        Raises InputError for an image that cannot be used.
        """
        study = study_of_files(frontal, lateral)
        self._uploads.put(study, viewer)
        return study

    def open_files(self, paths: Sequence[str], viewer: Viewer = NOBODY) -> Study:
        """Read one or two uploaded image files, frontal first, into a study and cache it.

        Raises InputError for more files, and for an image that cannot be used.
        """
        if len(paths) > 2:
            raise InputError(
                f"These are {len(paths)} files, and a study has one or two images. Choose a frontal view and, if there "
                "is one, a lateral view."
            )
        frontal, lateral, *_ = (*paths, None, None)
        return self.open_upload(frontal, lateral, viewer)

    def open_study(self, study_id: str, viewer: Viewer = NOBODY) -> Study:
        """Open a study by its id, downloading an example if necessary.

        Raises InputError for an unknown id, an upload of another viewer or one that left the cache, and an example
        that cannot be downloaded.
        """
        if study_id in EXAMPLES:
            return open_example(EXAMPLES[study_id], self._examples)
        study = self.find_study(study_id, viewer)
        if study is None:
            raise InputError("This image is no longer on the server. Open it again, or choose a study of the list.")
        return study

    def find_study(self, study_id: str, viewer: Viewer = NOBODY) -> Study | None:
        """Return a study by its id; None for an unknown one, an upload of another viewer, or one no longer cached."""
        return (
            self._uploads.get(study_id, viewer)
            or self.dataset.get(study_id)
            or cached_example(study_id, self._examples)
        )

    def title_of(self, study: Study) -> str:
        """Return the name of a study for the page. That of an upload says nothing of its file."""
        if study.id in EXAMPLES:
            return EXAMPLES[study.id].label
        return study.id if study.id in self.dataset else "Upload"

    def set_flag(self, study_id: str, flagged: bool, reader: str) -> None:
        """Flag a study for a reader or remove the flag."""
        self._store.set_flag(study_id, flagged, reader)

    def check(self, study: Study, model: str | None) -> tuple[Note, ...]:
        """Check the images of a study before a report is written.

        Their content is checked with the image encoder of `model`. Where that cannot be loaded, only their pixels are.
        """
        from rrg.data.quality import check  # here: it imports OpenCV, and the page starts without it

        try:
            if model is not None:
                return self.library.reporter(model).check(study)
        except InputError:
            pass  # a model without weights; it is named when its report is asked for
        return check(study.radiographs())

    def apply_remedy(self, study: Study, remedy: Remedy, image: int, viewer: Viewer = NOBODY) -> Study:
        """Correct a study as a note proposes, and cache it for the viewer.

        Raises InputError for an unknown remedy or image.
        """
        from rrg.data.quality import remedied  # here: it imports OpenCV, and the page starts without it

        changed = remedied(study, remedy, image)
        self._uploads.put(changed, viewer)
        return changed

    # Reports

    def write_report(self, study: Study, model: str, tell: Tell | None = None) -> Report:
        """Check a study, generate a report on it and store it. `tell` receives the `rrg.decoding.progress.Progress`.

        Raises InputError for a model that cannot be loaded, and for a study that the check refuses.
        """
        report = self.library.reporter(model, tell).report(study, tell, checked=True)
        self.speed.add(model, report.seconds)
        self._store.save_report(report)
        return report

    def write_and_analyse(self, study: Study, model: str, tell: Tell) -> Analysis:
        """Generate a report, store it, tell it, and return its analysis. Before it, the progress is told."""
        report = self.write_report(study, model, tell)
        tell(report)
        return self.analyse(study, report)

    def explain_example(self, model: str, tell: Tell) -> tuple[Study, Explanation]:
        """Write a report on a synthetic study and return the study with the maps of the report, which is not stored.

        Raises InputError for a model that cannot be loaded. Each step is told as a text, and in it the progress.
        """
        tell("Loading the model")
        reporter = self.library.reporter(model)
        tell("Writing a report on a synthetic study")
        study = open_example(SYNTHETIC[0], self._examples)
        report = reporter.report(study, tell)
        self.speed.add(model, report.seconds)
        tell("Computing its maps")
        return study, reporter.explain(study, report)

    def find_report(self, report_id: str) -> Report | None:
        """Return a stored report by its id, or None."""
        return self._store.get_report(report_id)

    def written_report(self, study: Study, model: str) -> Report | None:
        """Return a model's stored report, with its present weights, on a study. None where the model is hidden."""
        weights = self.models[model].weights_sha256 if model in self.models else None
        report = self._store.find_report(study.id, model, weights) if weights else None
        return None if report is None or self.blinding.hides(report.report_id) else report

    def shown(self, report: Report, worklist: str | None = None) -> Report:
        """Return a report as the page shows it, on a worklist or outside of one."""
        return self.blinding.report(report) if self.blinding.hides(report.report_id, worklist) else report

    def analyse(self, study: Study, report: Report, worklist: str | None = None) -> Analysis:
        """Compute the maps of a report and the reasons to doubt it, as the page shows them.

        Both are empty when its model has other weights now than those that generated it. Raises InputError when the
        model cannot be loaded; where it is hidden, both are empty instead, because the message would name it.
        """
        hidden = self.blinding.hides(report.report_id, worklist)
        if report.model not in self.models:
            return Analysis(None, ())
        try:
            reporter = self.library.reporter(report.model)
        except InputError:
            if hidden:
                return Analysis(None, ())
            raise
        if reporter.weights_sha256 != report.weights_sha256:
            return Analysis(None, ())
        explanation, badges = reporter.explain(study, report), reporter.badges(study, report)
        if hidden:
            return Analysis(self.blinding.explanation(explanation), self.blinding.badges(report, badges))
        return Analysis(explanation, badges)

    def explain_text(self, study: Study, report: Report, text: str, worklist: str | None = None) -> Explanation:
        """Compute the maps of an edited text of a report, as the page shows them.

        Raises InputError when the model cannot be loaded or has other weights now than those that generated the report,
        and for a text without words or of more than `MAX_TEXT` characters.
        """
        if len(text) > MAX_TEXT:
            raise InputError(
                f"The text has {len(text):,} characters, more than the {MAX_TEXT:,} that are read. Shorten it."
            )
        explanation = self.library.reporter(report.model).explain_text(study, report, text)
        hidden = self.blinding.hides(report.report_id, worklist)
        return self.blinding.explanation(explanation) if hidden else explanation

    def blank_check(self, study: Study, report: Report, tell: Tell) -> BlankCheck:
        """Compare a report with the one that its model writes for blank images; the progress is told.

        Raises InputError when the model cannot be loaded, or has other weights now than those that generated the
        report. The message names no model that is hidden.
        """
        try:
            reporter = self.library.reporter(report.model)
        except InputError:
            if self.blinding.hides(report.report_id):
                raise InputError("The model of this report cannot be used now. Tell the lead of the study.") from None
            raise
        if reporter.weights_sha256 != report.weights_sha256:
            raise InputError("The model has other weights now. Write the report again, then check it.")
        return reporter.blank_check(study, report, tell)

    async def export(
        self,
        report_id: str,
        suffix: str,
        correction_id: str | None,
        maps: Sequence[tuple[str, int]],
        session: Session = NO_SESSION,
    ) -> tuple[Report, bytes]:
        """Write the study of a report in a format of `rrg.ui.export`. Returns the report and the content of the file.

        Args:
            report_id: a stored report.
            suffix: the format.
            correction_id: a correction of the report to include.
            maps: kind ("word", "sentence", "finding", "native") and index of the maps to include. Without any, those of
                the findings that the report asserts.
            session: who asks.

        Raises:
            InputError: the report is unknown, its images are not there for this session, its model is hidden from it,
                or the correction is that of another user.
        """
        report = self.find_report(report_id)
        study = self.find_study(report.study_id, session.viewer) if report else None
        if report is None or study is None:
            raise InputError("The report or its images are no longer on the server. Open the study again.")
        self.blinding.check(report_id, session)
        correction = self._store.get_correction(correction_id) if correction_id else None
        if correction is not None and not session.may_see(correction.reader):
            raise InputError("This correction is that of another reader. Export your own.")
        job = self.queue.run(lambda _: self.analyse(study, report), session.id or None, session.address)
        analysis: Analysis = await finish(job)
        exported = ExportedStudy.now(
            study,
            report,
            correction,
            chosen_maps(analysis.explanation, report, maps),
            notes=tuple(badge.text for badge in analysis.badges),
            reference=study.report,
        )
        return report, await asyncio.to_thread(export, exported, suffix)

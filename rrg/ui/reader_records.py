"""What readers save on reports: corrections, drafts and votes, with an entry in the audit log."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.feedback import Assessment, Correction, Draft, DraftConflict, FeedbackStore, Vote
from rrg.report import Report
from rrg.ui.blinding import Blinding
from rrg.ui.images import png16
from rrg.ui.security.audit import AuditLog
from rrg.ui.worklists import ReaderWorklists

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OwnWork:
    """What a reader has saved on a report. Nobody else sees it."""

    reader: str
    """Empty without a name."""
    correction: Correction | None = None
    """The newest one of any report by the same model on the same study."""
    draft: Draft | None = None
    """It is newer than the correction."""
    count: int = 0
    """Number of the reader's corrections of all reports, without those that are withdrawn or replaced."""


class ReaderRecords:
    """Stores and returns the records of readers. It is safe for concurrent threads."""

    def __init__(self, store: FeedbackStore, audit: AuditLog, worklists: ReaderWorklists, blinding: Blinding) -> None:
        self._store, self._audit, self._worklists, self._blinding = store, audit, worklists, blinding

    def save_correction(self, report_id: str, text: str, reader: str) -> Correction:
        """Store a correction of a report. Raises InputError as `FeedbackStore.save_correction` does."""
        correction = self._store.save_correction(report_id, text, reader)
        self._audit.record("save correction", reader, correction.correction_id)
        return correction

    def submit(self, report_id: str, text: str, reader: str, assessment: Assessment, key: str) -> Correction:
        """Store a correction with its assessment. Raises InputError as `FeedbackStore.submit` does."""
        correction = self._store.submit(report_id, text, reader, assessment, key)
        self._audit.record("save correction", reader, correction.correction_id)
        return correction

    def keep_images(self, study: Study) -> None:
        """Keep the images of a corrected study as 16-bit PNG, where the settings say so.

        A failure is logged: the correction is stored already.
        """
        if self._store.images is None:
            return
        try:
            for radiograph in study.radiographs():
                self._store.keep_image(radiograph.sha256, png16(radiograph.pixels))
        except InputError as error:
            logger.warning("%s", error)

    def own_work(self, report: Report, reader: str, worklist: str | None = None) -> OwnWork:
        """Return what a reader has saved on a report. It is empty for a reader without a name.

        On a worklist only corrections of this very report count: another one on the study may have other sentences.
        """
        if not reader.strip():
            return OwnWork(reader)
        if worklist:
            correction = self._worklists.correction_of(report, reader)
        else:  # one of a report whose model is hidden would tell that it is this one
            correction = self._store.latest_correction(report.study_id, report.model, reader)
            correction = None if correction and self._blinding.hides(correction.report_id) else correction
        return OwnWork(
            reader,
            correction,
            self._store.get_draft(report.report_id, reader),
            self._store.count_corrections(reader),
        )

    def save_draft(self, report_id: str, reader: str, content: object, base_revision: int) -> Draft:
        """Store a draft. Raises DraftConflict and InputError as `FeedbackStore.save_draft` does."""
        return self._store.save_draft(report_id, reader, content, base_revision)

    def discard_draft(self, report_id: str, reader: str, base_revision: int) -> None:
        """Remove a draft. Raises DraftConflict when a newer one than that of `base_revision` is stored."""
        stored = self._store.get_draft(report_id, reader)
        if stored is not None and stored.revision != base_revision:
            raise DraftConflict(stored)
        self._store.discard_draft(report_id, reader)

    def save_vote(self, vote_id: str, report_a: str, report_b: str, choice: str, reason: str, reader: str) -> Vote:
        """Store a vote between two reports. Raises InputError as `FeedbackStore.save_vote` does."""
        vote = self._store.save_vote(vote_id, report_a, report_b, choice, reason, reader)
        self._audit.record("save vote", reader, vote_id)
        return vote

"""Blind worklists: what would tell which model wrote a report is not shown.

The model of a report is hidden on a blind worklist, and everywhere else until all readers of that list have committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.report import Report
from rrg.ui.security.sessions import NO_SESSION, Session

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation, Heatmap
    from rrg.inference.badges import Badge

STILL_BLIND = (
    "This report is on a blind worklist. Open it from the tab Worklist. Its model is shown and it can be exported when "
    "all readers of the list have committed."
)


@dataclass(frozen=True)
class _Common:
    """What all reports of a worklist have. Some models have no candidates, some no classifier."""

    support: bool
    probabilities: bool


class Blinding:
    """Hides models. Safe for concurrent threads."""

    def __init__(self, store: FeedbackStore) -> None:
        self._store = store
        self._common: dict[str, _Common] = {}  # worklists never change

    def hides(self, report_id: str, worklist: str | None = None) -> bool:
        """Whether the model of a report is hidden on a worklist, or outside of one."""
        lists = self._store.worklists.blind_lists(report_id)
        return worklist in lists or not all(lists.values())

    def check(self, report_id: str, session: Session = NO_SESSION) -> None:
        """Raise InputError where the model of a report is hidden from a session. Leads who logged in see it."""
        if not (session.user and session.user.is_lead) and self.hides(report_id):
            raise InputError(STILL_BLIND)

    def report(self, report: Report) -> Report:
        """Return a report without its model, and without values that only the reports of some models have."""
        common = self._common_of(report.report_id)
        sentences, findings = report.sentences, report.findings
        if not common.support:
            sentences = tuple(replace(sentence, support=None) for sentence in sentences)
        if not common.probabilities:
            findings = tuple(replace(finding, probability=None) for finding in findings)
        return replace(
            report,
            model="",
            weights_sha256="",
            decoding={},
            seconds=0.0,
            agreement=None,
            sentences=sentences,
            findings=findings,
        )

    def explanation(self, explanation: Explanation) -> Explanation:
        """Return the maps that all models have, without what tells the models apart: layers and tokens."""

        def neutral(maps: Sequence[Heatmap]) -> tuple[Heatmap, ...]:
            return tuple(replace(heatmap, layer="", reduction="", description="") for heatmap in maps)

        return replace(
            explanation,
            words=neutral(explanation.words),
            sentences=neutral(explanation.sentences),
            findings=neutral(explanation.findings),
            native=(),
            regions=(),
        )

    def badges(self, report: Report, badges: Sequence[Badge]) -> tuple[Badge, ...]:
        """Return the badges that the reports of all models of the worklist can have."""
        common = self._common_of(report.report_id)
        return tuple(badge for badge in badges if common.support or badge.kind != "candidates disagree")

    def _common_of(self, report_id: str) -> _Common:
        """What all reports have that share a blind worklist with a report."""
        found = [self._of_worklist(name) for name in self._store.worklists.blind_lists(report_id)]
        return _Common(all(one.support for one in found), all(one.probabilities for one in found))

    def _of_worklist(self, name: str) -> _Common:
        if name not in self._common:
            ids = self._store.worklists.report_ids(name)
            reports = [report for report_id in ids if (report := self._store.get_report(report_id))]
            self._common[name] = _Common(
                all(sentence.support is not None for report in reports for sentence in report.sentences),
                all(finding.probability is not None for report in reports for finding in report.findings),
            )
        return self._common[name]

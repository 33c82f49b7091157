"""New values of the components of the Compare tab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

import gradio as gr

from rrg.data.studies import Study
from rrg.report import Report
from rrg.ui.components import Notice, views_value
from rrg.ui.components.comparison import MAPS, Column, column_maps, comparison_value
from rrg.ui.components.findings_matrix import matrix_value
from rrg.ui.components.vote_form import vote_value
from rrg.ui.service import Service
from rrg.ui.tabs.compare.ballot import Ballot

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation

SIDES = ("A", "B")
_NO_MAPS: dict[str, Any] = {name: {} for name in MAPS}


class Updates(TypedDict, total=False):
    """New values of components, by their names in `Components`. Components without a key stay as they are."""

    comparison: Any
    matrix: Any
    vote: Any
    write: Any
    ballot: Any
    status: Any


@dataclass(frozen=True)
class Compared:
    """The reports that the tab shows."""

    study: Study
    models: tuple[str, ...]
    """Names of the models in the order of their columns."""
    reports: Mapping[str, Report]
    """The written reports by the names of their models."""
    ballot: Ballot | None = None
    """In blind mode, the pair."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why a model wrote no report, by its name."""

    @property
    def blind(self) -> bool:
        """Whether names and reference are hidden."""
        return self.ballot is not None and self.ballot.vote is None

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the models without a report."""
        return tuple(name for name in self.models if name not in self.reports)

    @property
    def count(self) -> str:
        """How many reports are written: "2 of 5 written"."""
        return f"{len(self.reports)} of {len(self.models)} written"

    def title(self, service: Service, model: str) -> str:
        """Return the title of a model's column."""
        named = service.models[model].title
        if self.ballot is None:
            return named
        side = SIDES[self.models.index(model)]
        return side if self.blind else f"{side}: {named}"


def status(text: str, tone: Any = "quiet", detail: str = "") -> Updates:
    """Show a line of status."""
    return {"status": Notice(text, tone, detail).value()}


def closed() -> Updates:
    """Show no study."""
    return {
        "comparison": gr.update(value=None, **_NO_MAPS),
        "matrix": None,
        "vote": gr.update(value=None, failure=None),
        "write": write_button(0),
        "ballot": None,
    }


def write_button(missing: int) -> Any:
    """Offer to write the missing reports."""
    label = f"Write {missing} reports" if missing > 1 else "Write report" if missing else "All written"
    return gr.update(value=label, interactive=missing > 0)


def compared(service: Service, shown: Compared, ask: bool = False) -> Updates:
    """Show reports side by side. Their maps follow with `explained`; with `ask` the page asks for those it lacks."""
    titles = [shown.title(service, model) for model in shown.models]
    reports = [shown.reports.get(model) for model in shown.models]
    reference = None if shown.blind else shown.study.report
    columns = [
        Column(
            title,
            report,
            _facts(report) if report and not shown.blind else "",
            "" if report else shown.failures.get(model, "Not written yet"),
        )
        for model, title, report in zip(shown.models, titles, reports, strict=True)
    ]
    return {
        "comparison": gr.update(value=comparison_value(views_value(shown.study), columns, reference, ask)),
        "matrix": matrix_value(titles, reports, reference) if any(reports) else None,
        "vote": gr.update(value=_vote(service, shown), failure=None),
        "write": write_button(len(shown.missing)),
        "ballot": shown.ballot,
    }


def without_maps() -> Updates:
    """Remove all maps."""
    return {"comparison": gr.update(**_NO_MAPS)}


def explained(shown: Compared, model: str, explanation: Explanation | None) -> Updates:
    """Show the maps of one column."""
    changed: dict[str, Any] = {MAPS[shown.models.index(model)]: column_maps(explanation, anonymous=shown.blind)}
    return {"comparison": gr.update(**changed)}


def _facts(report: Report) -> str:
    return f"weights {report.weights_sha256[:8]} · {report.seconds:.1f} s"


def _vote(service: Service, shown: Compared) -> dict[str, Any] | None:
    if shown.ballot is None:
        return None
    first, second = (service.models[model].title for model in shown.models)
    return vote_value(not shown.missing, shown.ballot.vote, None if shown.blind else (first, second))

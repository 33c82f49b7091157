"""What the Study tab shows of the corrections that a lead selects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.assessment import Verdict
from rrg.feedback.export.reading import readable_corrections

if TYPE_CHECKING:  # the page starts without what computes the figures
    from rrg.evaluate.reader_study import StudyAnalysis
    from rrg.evaluate.reader_study.readings import Reading
    from rrg.evaluate.significance import Interval

ALL = "all"
SHOWN = 200
"""Readings in the table."""
PREFIX = "rrg/study"
"""Path of the exports below the address of the app."""

_TEMPLATES = Environment(
    loader=PackageLoader("rrg.ui.tabs.study", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Selection:
    """Which readings to show. None selects all."""

    reader: str | None = None
    model: str | None = None
    worklist: str | None = None
    verdict: str | None = None

    @classmethod
    def of_values(cls, *values: object) -> Selection:
        """Read the values of the page in the order of the fields. Raises InputError for what is not a text."""
        if not all(value is None or isinstance(value, str) for value in values):
            raise InputError("The selection is malformed. Reload the page.")
        return cls(*(None if value in (None, ALL, "") else str(value) for value in values))

    def query(self) -> str:
        """Return the selection as the query of an address."""
        return urlencode({name: value for name, value in vars(self).items() if value is not None})


def select_readings(store: FeedbackStore, selection: Selection) -> tuple[list[Reading], list[Reading]]:
    """Return the readings of a selection, and all of its worklist or of the store.

    Raises InputError for an unknown worklist.
    """
    from rrg.evaluate.reader_study import newest_readings

    chosen = store.worklists.report_ids(selection.worklist) if selection.worklist else None
    every = readable_corrections(store.database, [])
    pairs = [pair for pair in every if chosen is None or pair[0].report_id in chosen]
    readings = newest_readings(pairs, store.worklists.probes(selection.worklist))
    wanted = {name: getattr(selection, name) for name in ("reader", "model", "verdict")}
    matching = [
        reading
        for reading in readings
        if all(value is None or getattr(reading, name) == value for name, value in wanted.items())
    ]
    return matching, readings


def analyse_selection(store: FeedbackStore, selection: Selection) -> StudyAnalysis:
    """Analyse the readings of a selection, with all votes when nothing is selected. Raises InputError without any."""
    from rrg.evaluate.reader_study import analyse_study

    readings, _ = select_readings(store, selection)
    return analyse_study(readings, store.votes() if selection == Selection() else [])


def overview_html(store: FeedbackStore, selection: Selection) -> tuple[list[list[str]], str]:
    """Return the choices of the filters (readers, models, worklists, verdicts) and the page as HTML.

    Every text is escaped. Raises InputError for an unknown worklist.
    """
    from rrg.evaluate.reader_study import analyse_study

    readings, every = select_readings(store, selection)
    choices = [
        sorted({reading.reader for reading in every}),
        sorted({reading.model for reading in every}),
        [worklist.name for worklist in store.worklists.list()],
        [*get_args(Verdict)],
    ]
    analysis = analyse_study(readings) if readings else None
    html = _TEMPLATES.get_template("overview.html").render(
        readings=sorted(readings, key=lambda reading: reading.saved_at, reverse=True)[:SHOWN],
        total=len(readings),
        analysis=analysis,
        progress=_progress(store, selection.worklist),
        query=selection.query(),
        prefix=PREFIX,
        interval=_interval,
        time=lambda text: f"{text[:16].replace('T', ' ')}",
    )
    return choices, html


def _progress(store: FeedbackStore, worklist: str | None) -> Sequence[tuple[str, str, int, int, int]]:
    """Worklist, reader, done, skipped and number of items of each reader."""
    rows = []
    for one in store.worklists.list():
        if worklist in (None, one.name):
            for reader, size in one.sizes.items():
                states = [item.state for item in store.worklists.items(one.name, reader)]
                rows.append((one.name, reader, states.count("done"), states.count("skipped"), size))
    return rows


def _interval(interval: Interval | None) -> str:
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})" if interval else "not defined"

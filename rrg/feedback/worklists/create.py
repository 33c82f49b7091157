"""Creation of a worklist: reports are generated once, probes inserted, and cases assigned to readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from zlib import crc32

from tqdm import tqdm

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.feedback.store import FeedbackStore
from rrg.feedback.worklists.plan import Case, assign, make_cases
from rrg.feedback.worklists.probes import with_probe
from rrg.feedback.worklists.store import PlannedItem
from rrg.report import Report

Write = Callable[[Study, str], Report]
"""Returns the report of a model, by its name, on a study."""


@dataclass(frozen=True)
class WorklistSettings:
    """What a worklist is made from."""

    readers: tuple[str, ...]
    models: tuple[str, ...]
    overlap: int
    """Readers of each report."""
    blind: bool
    """Whether readers do not see which model wrote a report."""
    probes: float
    """Share of the reports that get a sentence with known wrong content, 0 to 1."""
    seed: int


@dataclass(frozen=True)
class CreatedWorklist:
    """Numbers of a new worklist."""

    sizes: dict[str, int]
    """Reports by reader."""
    reports: int
    probes: int


def create_worklist(
    store: FeedbackStore, name: str, studies: Sequence[Study], settings: WorklistSettings, write: Write
) -> CreatedWorklist:
    """Generate the reports of a worklist and store it. Each study gets the report of one model.

    Reports that are stored already are passed to no model again: `write` decides. Nothing of the worklist is stored
    before all reports are.

    Raises:
        InputError: the plan is not possible (see `plan`), the name exists, a report cannot be written, or a probe was
            asked for and no study has a reference report.
    """
    by_id = {study.id: study for study in studies}
    cases = make_cases([study.id for study in studies], settings.models, settings.probes, settings.seed)
    given = assign(cases, settings.readers, settings.overlap, settings.seed)
    if any(known.name == name for known in store.worklists.list()):
        raise InputError(f"There is a worklist {name!r} already. Choose another name.")
    items: dict[Case, PlannedItem] = {}
    # By model, so that each is loaded once.
    for case in tqdm(sorted(cases, key=lambda case: case.model), desc="Reports", unit="report"):
        items[case] = _item(store, write(by_id[case.study_id], case.model), by_id[case.study_id], case, settings.seed)
    probes = sum(item.probe is not None for item in items.values())
    if settings.probes > 0 and any(case.probe for case in cases) and not probes:
        raise InputError(
            "No probe could be inserted: it needs studies with a reference report, which says what would be wrong. "
            "Choose other studies, or --probes 0."
        )
    planned: Mapping[str, list[PlannedItem]] = {reader: [items[case] for case in own] for reader, own in given.items()}
    store.worklists.create(name, planned, blind=settings.blind, settings=asdict(settings))
    return CreatedWorklist({reader: len(own) for reader, own in planned.items()}, len(items), probes)


def _item(store: FeedbackStore, report: Report, study: Study, case: Case, seed: int) -> PlannedItem:
    made = None
    if case.probe and study.report:
        made = with_probe(report, study.report, crc32(f"{seed} {case.study_id}".encode()))
    changed, place = made or (report, None)
    store.save_report(changed)
    return PlannedItem(changed.report_id, place)

"""`python -m rrg worklist`: who reads which report in a reader study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tyro.extras import SubcommandApp

from rrg.ui.settings import Settings

if TYPE_CHECKING:
    from rrg.data.studies import Study
    from rrg.report import Report

worklist = SubcommandApp()


@worklist.command
def create(
    data: Path,
    readers: str,
    models: str,
    name: str = "study",
    split: str | None = None,
    studies: int | None = None,
    overlap: int = 1,
    blind: bool = False,
    probes: float = 0.0,
    seed: int = 0,
) -> None:
    """Generate reports and assign them to readers.

    Args:
        data: Folder with annotation.json and images, the one that the app is started with.
        readers: Names of the readers, separated by commas.
        models: Names that `models` lists, separated by commas. Each study gets the report of one of them.
        name: Name of the worklist.
        split: Which studies of annotation.json; all without it.
        studies: Draw so many studies at random; all without it.
        overlap: Number of readers of each report.
        blind: Readers do not see which model wrote a report.
        probes: Share of the reports that get a sentence with known wrong content, to measure attention.
        seed: Random seed of the draw, the assignment and the probes.
    """
    import random

    from rrg.data.annotation import read_annotation
    from rrg.feedback import FeedbackStore
    from rrg.feedback.worklists.create import WorklistSettings, create_worklist
    from rrg.inference.library import ModelLibrary

    settings = Settings.from_env()
    library = ModelLibrary(settings.weights)
    found = read_annotation(data, split)
    if studies is not None and studies < len(found):
        found = random.Random(seed).sample(found, studies)
    chosen = WorklistSettings(_names(readers), _names(models), overlap, blind, probes, seed)
    with FeedbackStore(settings.database_url) as store:

        def write(study: Study, model: str) -> Report:
            reporter = library.reporter(model)
            known = store.find_report(study.id, model, reporter.weights_sha256)
            return known or reporter.report(study, checked=True)

        made = create_worklist(store, name, found, chosen, write)
    for reader, count in made.sizes.items():
        print(f"{reader:<20} {count} reports")
    print(
        f"Worklist {name!r}: {made.reports} reports, {made.probes} with a probe. Readers open it on the tab Worklist."
    )


@worklist.command(name="list")
def list_worklists() -> None:
    """Show the worklists and how far each reader is."""
    from collections import Counter

    from rrg.feedback import FeedbackStore

    with FeedbackStore(Settings.from_env().database_url) as store:
        for one in store.worklists.list():
            print(f"{one.name}, made {one.created_at[:16].replace('T', ' ')} UTC{', blind' if one.blind else ''}")
            for reader, size in one.sizes.items():
                states = Counter(item.state for item in store.worklists.items(one.name, reader))
                print(f"  {reader:<20} {states['done']} of {size} done, {states['skipped']} skipped")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())

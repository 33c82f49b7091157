"""`python -m rrg feedback`: export, analysis, backup and checks of what readers corrected."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.extras import SubcommandApp

from rrg.ui.settings import Settings

if TYPE_CHECKING:
    from rrg.feedback import FeedbackStore, Head

feedback = SubcommandApp()


@feedback.command
def export(
    out: Path,
    format: Literal["jsonl", "csv", "refisco", "dpo", "dataset"] = "jsonl",
    reader: tuple[str, ...] = (),
    model: tuple[str, ...] = (),
    since: str = "",
    until: str = "",
    status: tuple[Literal["submitted", "amended", "withdrawn"], ...] = (),
) -> None:
    """Write corrections with the reports they correct. Of a damaged database, what can be read.

    Args:
        out: The file to write; for `dataset` a new folder.
        format: jsonl and csv (a table) have every version with all its fields. refisco (a table of errors by sentence),
            dpo (preference pairs) and dataset (for `datasets.load_dataset`) have the newest of each reader.
        reader: Only these readers.
        model: Only reports of these models.
        since: Only corrections saved from this date or time on, UTC.
        until: Only corrections saved up to this date or time, itself included.
        status: Only these kinds of versions.
    """
    from rrg.feedback import FeedbackStore
    from rrg.feedback.export import Selection, export_corrections, first_moment, moment_after

    selection = Selection(
        reader, model, first_moment(since) if since else None, moment_after(until) if until else None, status
    )
    with FeedbackStore(Settings.from_env().database_url, damaged=True) as store:
        exported = export_corrections(store, out, format, selection)
    print(f"{exported.rows} {'sentences' if format == 'refisco' else 'corrections'} in {out}")
    if exported.unreadable:
        numbers = ", ".join(map(str, exported.unreadable))
        sys.exit(f"The database is damaged. Corrections that cannot be read, by number: {numbers}.")


@feedback.command(name="report")
def report_study(out: Path, worklist: str | None = None, title: str = "Reader study") -> None:
    """Write the analysis of corrections and votes as one HTML page, and its tables as CSV in OUT_tables.

    Args:
        out: The page to write, such as study.html.
        worklist: Only the corrections of this worklist; all corrections without it.
        title: Heading of the page.
    """
    from rrg.evaluate.reader_study import analyse_study, newest_readings
    from rrg.evaluate.reader_study.page import write_study
    from rrg.feedback import FeedbackStore
    from rrg.feedback.export.reading import readable_corrections
    from rrg.feedback.records import utc_now

    with FeedbackStore(Settings.from_env().database_url) as store:
        chosen = store.worklists.report_ids(worklist) if worklist else None
        unreadable: list[int] = []
        every = readable_corrections(store.database, unreadable)
        pairs = [pair for pair in every if chosen is None or pair[0].report_id in chosen]
        readings = newest_readings(pairs, store.worklists.probes(worklist))
        analysis = analyse_study(readings, [] if worklist else store.votes())
    for path in write_study(analysis, out, title, f"{utc_now()[:16].replace('T', ' ')} UTC"):
        print(path)
    if unreadable:
        sys.exit(f"The database is damaged: {len(unreadable)} corrections cannot be read and are left out.")


@feedback.command
def verify(head: str = "") -> None:
    """Check that no record was changed, removed or inserted behind the store's back. Prints the head of the ledger.

    Args:
        head: A head that was printed before, NUMBER:SHA256. It shows whether the newest records were cut off.
    """
    from rrg.feedback import FeedbackStore, Head

    with FeedbackStore(Settings.from_env().database_url) as store:
        _print_check(store, Head.of(head) if head else None)


@feedback.command
def backup(out: Annotated[Path, tyro.conf.Positional]) -> None:
    """Write all records and drafts to one file. The app may run meanwhile.

    Args:
        out: The file to write. It holds reports: keep it as safe as the database.
    """
    from rrg.feedback import FeedbackStore
    from rrg.feedback.backup import back_up

    with FeedbackStore(Settings.from_env().database_url) as store:
        written = back_up(store.database, out)
    print(f"{written.rows} rows in {out}\nHead of the ledger: {written.head}")


@feedback.command
def restore(file: Annotated[Path, tyro.conf.Positional], force: bool = False) -> None:
    """Fill the database from a backup, from SQLite or PostgreSQL into either, and check its records.

    Args:
        file: What `feedback backup` wrote.
        force: Replace the records of a database that is not empty.
    """
    from rrg.feedback import FeedbackStore
    from rrg.feedback.backup import restore

    with FeedbackStore(Settings.from_env().database_url) as store:
        restored = restore(store.database, file, force=force)
        print(f"{restored.rows} rows restored from {file}")
        _print_check(store, restored.head)


def _print_check(store: FeedbackStore, noted: Head | None) -> None:
    """Compare the records with the ledger and print the result. Problems end the command with status 1."""
    problems = store.verify(noted)
    for problem in problems[:20]:
        print(problem)
    if problems:
        sys.exit(
            f"Records that do not agree with the ledger: {len(problems)}. Restore a backup from before the change."
        )
    head = store.head()
    print(f"{head.number if head else 0} records agree with the ledger.\nHead of the ledger: {head}")

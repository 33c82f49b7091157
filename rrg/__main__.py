"""The command line: `python -m rrg --help`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.extras import SubcommandApp

from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.ui.settings import Settings

if TYPE_CHECKING:
    from rrg.data.studies import Study
    from rrg.feedback import FeedbackStore, Head
    from rrg.report import Report

app = SubcommandApp()
feedback = SubcommandApp()


@app.command
def report(
    image: Annotated[tuple[Path, ...], tyro.conf.Positional],
    model: str = "r2gen_cmn",
    json: bool = False,
    export: Path | None = None,
) -> None:
    """Write a report on one study.

    Args:
        image: The frontal radiograph and, if there is one, the lateral (DICOM, PNG, JPEG, WebP).
        model: A name that `models` lists.
        json: Print the whole record, as the app's HTTP interface gives it.
        export: Also write images, report and a map of each sentence to this file: .html, .pdf, .json, or .dcm for
            a DICOM structured report without the images.
    """
    from rrg.inference.library import ModelLibrary
    from rrg.ui.export import ExportedStudy, format_of, write_export

    file_format = format_of(export) if export else None
    study = _study(image)
    reporter = ModelLibrary(Settings.from_env().weights).reporter(model)
    written = reporter.report(study, checked=True)
    if export and file_format:
        maps = reporter.explain(study, written).sentences
        write_export(ExportedStudy.now(study, written, maps=maps), file_format, export)
    print(written.to_json() if json else written.text)
    _print_notes(written)


@app.command
def explain(image: Annotated[tuple[Path, ...], tyro.conf.Positional], out: Path, model: str = "r2gen_cmn") -> None:
    """Write a report on one study, with its attention and class activation maps.

    Args:
        image: The frontal radiograph and, if there is one, the lateral (DICOM, PNG, JPEG, WebP).
        out: Folder that receives report.json, maps.npz (raw values), maps.json (metadata) and a picture of each.
        model: A name that `models` lists.
    """
    from rrg.data.files import write_text
    from rrg.explanation.rendering import write_maps
    from rrg.inference.library import ModelLibrary

    study = _study(image)
    reporter = ModelLibrary(Settings.from_env().weights).reporter(model)
    written = reporter.report(study, checked=True)
    count = write_maps(reporter.explain(study, written), study.radiographs(), out)
    write_text(out / "report.json", written.to_json())
    print(f"{written.text}\n{count} maps in {out}")
    _print_notes(written)


@app.command
def models() -> None:
    """List the architectures, and which of them have weights."""
    from rrg.inference.library import ModelLibrary

    for info in ModelLibrary(Settings.from_env().weights).list():
        size = f"{info.parameters / 1e6:.1f} M parameters" if info.parameters else ""
        state = ". ".join(part for part in (size, info.note) if part)
        print(f"{info.name:<12} {info.title}: {state}\n{'':<12} {info.paper}")


@app.command
def evaluate(
    data: Path,
    out: Path,
    model: tuple[str, ...] = ("all",),
    split: str = "val",
    limit: int | None = None,
    force: bool = False,
    blank_references: Literal["skip", "refuse"] = "skip",
) -> None:
    """Score the reports of models and of trivial baselines.

    Args:
        data: Folder with annotation.json and images/ or images.tar.
        out: Receives a folder MODEL-SPLIT with predictions.jsonl and results.json for each model.
        model: Names that `models` lists, or folders of weights; `all` selects every model that has weights.
        split: Which studies of annotation.json.
        limit: Only the first so many studies.
        force: Evaluate again despite cached results of the same weights.
        blank_references: Studies whose reference report is empty or "___": leave them out, or refuse the evaluation.
    """
    from rrg.evaluate.measure import measure

    for figures in measure(data, model, Settings.from_env().weights, out, split, limit, force, blank_references):
        print(figures, end="\n\n")


@app.command
def batch(data: Path, out: Path, model: str = "r2gen_cmn", split: str | None = None, batch_size: int = 16) -> None:
    """Write a report on every study of a folder, one JSON object a line; run again after a stop, it continues.

    Args:
        data: Folder with annotation.json and images/ or images.tar, or a plain folder of images.
        out: The file of lines. Studies that cannot be read or are refused are named in OUT.errors.jsonl.
        model: A folder of weights, or a name that `models` lists.
        split: Which studies of annotation.json; all without it.
        batch_size: Studies that are decoded together.
    """
    from rrg.inference.batch import run_batch

    result = run_batch(data, out, model, Settings.from_env().weights, split, batch_size)
    if result is not None:
        print(
            f"{result.written} reports written to {out}, {result.present} were there, "
            f"{result.unreadable} studies could not be read or were refused"
        )


@app.command
def phantom(out: Path, count: int = 100, seed: int = 0, size: int = 256) -> None:
    """Write synthetic studies with reports and boxes, for first steps and tests.

    Args:
        out: Receives annotation.json, boxes.json and images/.
        count: Studies, of which 80 % are train, 10 % val and 10 % test.
        seed: Random seed of all studies.
        size: Side of the images in pixels.
    """
    from rrg.data.phantom import write_phantoms

    write_phantoms(out, count, seed, size)
    print(f"{count} synthetic studies in {out}")


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


app.command(feedback, name="feedback", help="What readers corrected: export, backup and checks.")


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


def _print_notes(written: Report) -> None:
    """Print the warnings about the images to the error output, where they do not mix with the report."""
    for note in written.notes:
        print(f"Note on image {note.image + 1}: {note.reason}", file=sys.stderr)


def _study(image: tuple[Path, ...]) -> Study:
    from rrg.data.studies import study_of_files

    if not 1 <= len(image) <= 2:
        raise InputError(
            f"{len(image)} images were given. Give one study: its frontal radiograph and, if any, its lateral."
        )
    return study_of_files(*image)


def main() -> None:
    """Run one command. An InputError ends it with its message and without a traceback."""
    configure_cpu()
    try:
        app.cli(prog="python -m rrg", description="Radiology report generation from chest X-rays. Research use only.")
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

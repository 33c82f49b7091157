"""The command line: `python -m rrg --help`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.extras import SubcommandApp

from rrg.errors import InputError
from rrg.evaluate.scorers.options import ScorerOptions
from rrg.inference.cpu import configure_cpu
from rrg.ui.commands.feedback import feedback
from rrg.ui.commands.users import users
from rrg.ui.commands.worklist import worklist
from rrg.ui.settings import Settings

if TYPE_CHECKING:
    from rrg.data.studies import Study
    from rrg.inference.reporter import Reporter
    from rrg.report import Report

_NO_SCORERS = ScorerOptions()

app = SubcommandApp()
app.command(feedback, name="feedback", help="What readers corrected: export, analysis, backup and checks.")
app.command(worklist, name="worklist", help="Reader studies: who reads which report.")
app.command(users, name="users", help="Who may log in (RRG_AUTH).")


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
        model: A folder of weights, or a name that `models` lists.
        json: Print the whole record, as the app's HTTP interface gives it.
        export: Also write images, report and a map of each sentence to this file: .html, .pdf, .json, or .dcm for
            a DICOM structured report without the images.
    """
    from rrg.ui.export import ExportedStudy, format_of, write_export

    file_format = format_of(export) if export else None
    study = _study(image)
    reporter = _reporter(model)
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
        model: A folder of weights, or a name that `models` lists.
    """
    from rrg.data.files import write_text
    from rrg.explanation.rendering import write_maps

    study = _study(image)
    reporter = _reporter(model)
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
    predictions: Path | None = None,
    name: str | None = None,
    images: bool = True,
    scorers: Annotated[ScorerOptions, tyro.conf.OmitArgPrefixes] = _NO_SCORERS,
) -> None:
    """Score the reports of models and of trivial baselines, or the texts of any system.

    Args:
        data: Folder with annotation.json and images/ or images.tar.
        out: Receives a folder MODEL-SPLIT for each model: predictions.jsonl, results.json and the page evaluation.html.
        model: Names that `models` lists, or folders of weights; `all` selects every model that has weights.
        split: Which studies of annotation.json.
        limit: Only the first so many studies.
        force: Evaluate again despite cached results of the same weights.
        blank_references: Studies whose reference report is empty or "___": leave them out, or refuse the evaluation.
        predictions: Texts of a system to score in place of models: .jsonl or .csv with `id` and `text`.
        name: Name of that system; by default that of the file.
        images: Show the images of the worst and best studies on the page evaluation.html.
        scorers: Metrics by a model or a package that you name.
    """
    if predictions is not None:
        from rrg.evaluate.predictions import read_predictions
        from rrg.evaluate.scorers import open_scorers
        from rrg.evaluate.systems import evaluate_predictions

        texts = read_predictions(predictions, name)
        print(evaluate_predictions(texts, data, split, out, open_scorers(scorers), images).table)
        return
    from rrg.evaluate.measure import measure

    weights = Settings.from_env().weights
    for figures in measure(data, model, weights, out, split, limit, force, blank_references, scorers, images):
        print(figures, end="\n\n")


@app.command
def compare(
    systems: Annotated[tuple[str, ...], tyro.conf.Positional],
    data: Path,
    split: str = "val",
    scorers: Annotated[ScorerOptions, tyro.conf.OmitArgPrefixes] = _NO_SCORERS,
) -> None:
    """Compare the texts of two or more systems: figures, paired differences and their significance.

    Args:
        systems: Files of predictions (.jsonl or .csv with `id` and `text`), or folders that `evaluate` wrote. Several
            seeds of a system: NAME=seed1.jsonl,seed2.jsonl.
        data: Folder with annotation.json.
        split: Which studies of annotation.json.
        scorers: Metrics by a model or a package that you name.
    """
    from rrg.evaluate import systems as texts
    from rrg.evaluate.predictions import read_system
    from rrg.evaluate.scorers import open_scorers

    read = [read_system(system) for system in systems]
    print(texts.compare(read, data, split, open_scorers(scorers)))


@app.command
def batch(
    images: Annotated[Path | None, tyro.conf.Positional] = None,
    data: Path | None = None,
    out: Path | None = None,
    out_dir: Path | None = None,
    model: str = "r2gen_cmn",
    split: str | None = None,
    batch_size: int = 16,
) -> None:
    """Write a report on every study of a folder, one JSON object a line; run again after a stop, it continues.

    Args:
        images: A plain folder of images, or a folder with annotation.json and images/ or tars.
        data: The same, named by an option.
        out: The file of lines. Studies that cannot be read or are refused are named in OUT.errors.jsonl.
        out_dir: Folder for one text file a study, and for the file of lines, reports.jsonl, unless `out` names it.
        model: A folder of weights, or a name that `models` lists.
        split: Which studies of annotation.json; all without it.
        batch_size: Studies that are decoded together.
    """
    from rrg.inference.batch import run_batch
    from rrg.inference.report_file import write_texts

    folder = images or data
    if folder is None or (images and data):
        raise InputError("Name the folder of the images once: python -m rrg batch IMAGES --out FILE, or by --data.")
    out = out or (out_dir and out_dir / "reports.jsonl")
    if out is None:
        raise InputError("Name the file of the reports by --out, or a folder for one text a study by --out-dir.")
    result = run_batch(folder, out, model, Settings.from_env().weights, split, batch_size)
    if result is not None:
        if out_dir is not None:
            write_texts(out, out_dir)
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


@app.command(name="export")
def export_weights(model: tyro.conf.Positional[str], out: tyro.conf.Positional[Path]) -> None:
    """Write a model as one folder for `hf upload`, with its code and a card; transformers alone loads it.

    Args:
        model: A folder of weights, or a name that `models` lists.
        out: New folder.
    """
    from rrg.evaluate.hub_export import export_model

    folder = Path(model) if Path(model).is_dir() else Settings.from_env().weights / model
    exported = export_model(folder, out)
    print(f"{exported.files} files, {exported.bytes / 1e6:.1f} MB in {out}. Upload them: hf upload OWNER/NAME {out}")


def _reporter(model: str) -> Reporter:
    """The model of a folder or of a name."""
    from rrg.inference.library import ModelLibrary
    from rrg.inference.reporter import Reporter

    if Path(model).is_dir():
        return Reporter.from_pretrained(model)
    return ModelLibrary(Settings.from_env().weights).reporter(model)


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

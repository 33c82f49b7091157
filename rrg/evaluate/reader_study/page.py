"""The report of a reader study: one HTML page that needs nothing else, and tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rrg.data.files import write_text
from rrg.evaluate.pages import offline_page
from rrg.evaluate.reader_study.analysis import StudyAnalysis
from rrg.evaluate.reader_study.figures import figures
from rrg.evaluate.reader_study.rates import REASONS, VERDICTS, Rate
from rrg.evaluate.significance import Interval

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def study_page(analysis: StudyAnalysis, title: str, created: str) -> str:
    """Write the page. Every text is escaped; a content security policy in the page forbids scripts and requests.

    Args:
        analysis: what to show.
        title: heading of the page.
        created: time of writing, UTC.
    """
    return offline_page(
        "reader_study/page.html",
        analysis=analysis,
        title=title,
        created=created,
        reasons=REASONS,
        verdicts=VERDICTS,
        figures={name: Markup(svg) for name, svg in figures(analysis).items()},
        percent=_percent,
        interval=_interval,
    )


def study_tables(analysis: StudyAnalysis) -> dict[str, str]:
    """Write the tables: file name -> CSV. A text that a spreadsheet would take for a formula gets an apostrophe."""
    return {
        "readings.csv": _csv(
            ("report_id", "study_id", "model", "reader", "verdict", "errors", "seconds", "edit_distance", "saved_at"),
            (
                (
                    r.report_id,
                    r.study_id,
                    r.model,
                    r.reader,
                    r.verdict,
                    len(r.errors),
                    r.seconds,
                    r.edit_distance,
                    r.saved_at,
                )
                for r in analysis.readings
            ),
        ),
        "errors.csv": _csv(
            ("report_id", "study_id", "model", "reader", "reason", "significant"),
            (
                (r.report_id, r.study_id, r.model, r.reader, error.reason, error.significant)
                for r in analysis.readings
                for error in r.errors
            ),
        ),
        "sentences.csv": _csv(
            ("report_id", "reader", "sentence", "changed", "support", "probe"),
            (
                (r.report_id, r.reader, index, sentence.changed, sentence.support, sentence.probe)
                for r in analysis.readings
                for index, sentence in enumerate(r.sentences)
            ),
        ),
        "agreement.csv": _csv(
            (
                "question",
                "units",
                "same",
                *(f"{name}{end}" for name in ("cohen", "fleiss", "krippendorff") for end in ("", "_low", "_high")),
            ),
            (
                (a.question, a.units, a.same, *_ends(a.cohen), *_ends(a.fleiss), *_ends(a.krippendorff))
                for a in analysis.agreements
            ),
        ),
        "votes.csv": _csv(
            ("vote_id", "study_id", "model_a", "model_b", "choice", "reason", "reader", "saved_at"),
            (
                (v.vote_id, v.study_id, v.model_a, v.model_b, v.choice, v.reason, v.reader, v.saved_at)
                for v in analysis.votes
            ),
        ),
    }


def write_study(analysis: StudyAnalysis, out: Path | str, title: str, created: str) -> list[Path]:
    """Write the page to `out` and the tables into the folder `<name of out>_tables`. Returns what was written.

    Raises InputError where a file cannot be written.
    """
    out = Path(out)
    tables = out.with_name(f"{out.stem}_tables")
    texts = {out: study_page(analysis, title, created)}
    texts |= {tables / name: text for name, text in study_tables(analysis).items()}
    for path, text in texts.items():
        write_text(path, text)
    return [*texts]


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _ends(interval: Interval | None) -> tuple[float | None, float | None, float | None]:
    return (interval.value, interval.low, interval.high) if interval else (None, None, None)


def _percent(rate: Rate) -> str:
    return f"{rate.value:.0%} ({rate.low:.0%} to {rate.high:.0%})" if rate.total else "none"


def _interval(interval: Interval | None) -> str:
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})" if interval else "not defined"

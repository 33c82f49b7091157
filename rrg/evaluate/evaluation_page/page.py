"""Write the page of an evaluation as HTML, and its tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup

from rrg.data.files import write_text
from rrg.evaluate.evaluation_page.content import PageContent
from rrg.evaluate.evaluation_page.figures import figures
from rrg.evaluate.pages import offline_page

HTML = "evaluation.html"
MARKDOWN = "evaluation.md"


def write_page(content: PageContent, folder: Path | str) -> list[Path]:
    """Write both files into a folder. Raises InputError where a file cannot be written."""
    folder = Path(folder)
    texts = {folder / HTML: html_page(content), folder / MARKDOWN: markdown_page(content)}
    for path, text in texts.items():
        write_text(path, text)
    return [*texts]


def html_page(content: PageContent) -> str:
    """The page with figures, tables and single studies; it needs no other file and no network."""
    return offline_page(
        "evaluation_page/page.html",
        content=content,
        title=content.title,
        figures={name: Markup(svg) for name, svg in figures(content).items()},
    )


def markdown_page(content: PageContent) -> str:
    """Facts, tables and notes, without the texts and images of single studies."""
    return "\n".join(_markdown_lines(content)) + "\n"


def _markdown_lines(content: PageContent) -> Iterator[str]:
    yield f"# {_escaped(content.title)}"
    yield ""
    yield from (f"- {name}: {_escaped(value)}" for name, value in content.facts.items())
    for table in content.tables:
        yield from ("", f"## {_escaped(table.title)}", "")
        if table.note:
            yield from (_escaped(table.note), "")
        yield _row(table.header)
        yield "|" + "---|" * len(table.header)
        yield from (_row(row) for row in table.rows)
    if content.notes:
        yield from ("", "## Notes", "")
        yield from (f"- {_escaped(note)}" for note in content.notes)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    """The text on one line, with the signs that Markdown or HTML would read escaped."""
    line = " ".join(text.split()).replace("\\", "\\\\")
    for sign in "|`*_<[":
        line = line.replace(sign, f"\\{sign}")
    return line

"""The formats of the export, and the names of their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rrg.data.files import write_bytes
from rrg.errors import InputError
from rrg.report import Report
from rrg.ui.export.study import ExportedStudy


@dataclass(frozen=True)
class Format:
    """A file format."""

    suffix: str
    """Without the dot."""
    title: str
    media_type: str


FORMATS = {
    "html": Format("html", "Web page (HTML)", "text/html; charset=utf-8"),
    "pdf": Format("pdf", "Document (PDF)", "application/pdf"),
    "json": Format("json", "Data (JSON)", "application/json"),
    "dcm": Format("dcm", "DICOM Basic Text SR", "application/dicom"),
}
"""The formats by suffix."""


def export(exported: ExportedStudy, suffix: str) -> bytes:
    """Write a study in the format with this suffix, a key of `FORMATS`. Returns the content of the file."""
    # Imported here: each format has a library of its own.
    match suffix:
        case "html":
            from rrg.ui.export.html_file import html as write
        case "pdf":
            from rrg.ui.export.pdf_file import pdf as write
        case "json":
            from rrg.ui.export.json_file import to_json as write
        case "dcm":
            from rrg.ui.export.dicom_sr import dicom_sr as write
        case _:
            raise KeyError(suffix)
    return write(exported)


def write_export(exported: ExportedStudy, file_format: Format, out: Path) -> None:
    """Write a study to a file, which appears complete or not at all. Raises InputError when that cannot be done."""
    content = export(exported, file_format.suffix)
    try:
        write_bytes(out, content)
    except OSError as error:
        raise InputError(
            f"The file {str(out)!r} cannot be written ({error.strerror}). Name one in a folder that can be written."
        ) from error


def format_of(path: Path) -> Format:
    """The format that the suffix of a file names. Raises InputError for another suffix."""
    known = FORMATS.get(path.suffix.lower().removeprefix("."))
    if known is None:
        suffixes = ", ".join(f".{suffix}" for suffix in FORMATS)
        raise InputError(f"The format of {path.name!r} is not known. Give the file one of these suffixes: {suffixes}.")
    return known


def file_name(report: Report, suffix: str) -> str:
    """Name of the file: model and first 8 characters of the report id, nothing of the study or the patient."""
    parts = (re.sub(r"[^A-Za-z0-9_-]", "", part) for part in (report.model, report.report_id[:8]))
    return f"{'-'.join(parts)}.{suffix}"

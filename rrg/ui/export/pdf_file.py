"""An exported study as a PDF: tagged (PDF/A-2a, PDF/UA-1), with text that can be selected and searched.

Typst sets the page. It brings fonts with Latin, Greek, Cyrillic, Hebrew, Arabic, Armenian and Georgian letters, and the
fonts of the system serve other scripts. A letter that no font has is written as its code, such as [U+65E5], and the
page says so.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import typst

from rrg.explanation.rendering import COLORMAP
from rrg.ui.export.content import content_of
from rrg.ui.export.study import ExportedStudy

_STANDARDS: list[Any] = ["a-2a", "ua-1"]
# PDF/A requires that every letter is shown. Its messages are the only word of Typst on a letter that no font has.
_NOT_SHOWN = re.compile(r'the (?:text|PDF contains the codepoint) `"(.*?)"`', re.DOTALL)
_ESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}")
_REPLACED = "Letters that no font on this machine has are written as their code, such as {}. HTML and JSON hold them."


def pdf(exported: ExportedStudy) -> bytes:
    """Write the study as a PDF on A4. Its metadata name the software only.

    Raises:
        RuntimeError: Typst cannot set the page.
    """
    content = content_of(exported)
    page = _without_pictures(dataclasses.asdict(content)) | {"colours": list(COLORMAP), "replaced": ""}
    with tempfile.TemporaryDirectory(prefix="rrg-export-") as name:
        folder = Path(name)
        for picture in (*content.images, *content.maps):
            (folder / picture.name).write_bytes(picture.data)
        template = folder / "study.typ"  # a file, because Typst quotes it in its messages
        template.write_bytes(files("rrg.ui.export").joinpath("study.typ").read_bytes())
        compiler = typst.Compiler(template, root=folder)
        missing: frozenset[str] = frozenset()
        while True:
            try:
                return _compile(compiler, _with_codes(page, missing), exported)
            except typst.TypstError as error:
                found = _not_shown(error.diagnostic)
                if found <= missing:
                    raise
                missing |= found


def _compile(compiler: typst.Compiler, page: dict[str, Any], exported: ExportedStudy) -> bytes:
    inputs = {"content": json.dumps(page), "date": exported.exported_at.date().isoformat()}
    content = compiler.compile(
        format="pdf", sys_inputs=inputs, pdf_standards=_STANDARDS, timestamp=int(exported.exported_at.timestamp())
    )
    assert isinstance(content, bytes)
    return content


def _without_pictures(page: Any) -> Any:
    """The content without the bytes of the pictures, which lie beside it as files."""
    if isinstance(page, dict):
        return {name: _without_pictures(value) for name, value in page.items() if name != "data"}
    if isinstance(page, (list, tuple)):
        return [_without_pictures(value) for value in page]
    return page


def _not_shown(diagnostic: str) -> frozenset[str]:
    """The characters that cannot be shown, from the message of a compilation."""
    texts = (_ESCAPE.sub(lambda code: chr(int(code[1], 16)), text) for text in _NOT_SHOWN.findall(diagnostic))
    return frozenset(character for text in texts for character in text)


def _with_codes(page: dict[str, Any], missing: frozenset[str]) -> dict[str, Any]:
    """The page with the codes of the missing characters, and a remark on them."""
    if not missing:
        return page
    codes = {ord(character): f"[U+{ord(character):04X}]" for character in missing}
    return _translated(page, codes) | {"replaced": _REPLACED.format(min(codes.values()))}


def _translated(value: Any, codes: dict[int, str]) -> Any:
    if isinstance(value, dict):
        return {name: _translated(entry, codes) for name, entry in value.items()}
    if isinstance(value, list):
        return [_translated(entry, codes) for entry in value]
    return value.translate(codes) if isinstance(value, str) else value

"""An exported study as one HTML file that needs nothing else: styles inside, pictures as data URIs, no script."""

from __future__ import annotations

import base64

from jinja2 import Environment, PackageLoader, StrictUndefined

from rrg.explanation.rendering import COLORMAP
from rrg.ui.export.content import Picture, content_of
from rrg.ui.export.study import ExportedStudy

_TEMPLATES = Environment(
    loader=PackageLoader("rrg.ui.export", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def html(exported: ExportedStudy) -> bytes:
    """Write the study as an HTML page in UTF-8 that prints on A4.

    Every text is escaped. A content security policy in the page forbids scripts and requests.
    """
    template = _TEMPLATES.get_template("study.html")
    page = template.render(content=content_of(exported), colours=COLORMAP, data_uri=_data_uri)
    return page.encode("utf-8")


def _data_uri(picture: Picture) -> str:
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode('ascii')}"

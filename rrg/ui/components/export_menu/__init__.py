"""The menu that exports the open study as a file."""

from __future__ import annotations

import gradio as gr

from rrg.ui.components.element import element
from rrg.ui.downloads import PREFIX
from rrg.ui.export import FORMATS


def export_menu() -> gr.HTML:
    """Build the component. It follows the report, the saved correction and the pinned map of the page."""
    formats = [[file_format.suffix, file_format.title] for file_format in FORMATS.values()]
    return element("export_menu", "export", value=None, formats=formats, prefix=PREFIX)

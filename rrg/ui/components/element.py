"""Construction of a component from its `.html`, `.js` and `.css` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

FOLDER = Path(__file__).parent


def element(name: str, elem_id: str, value: Any = None, **props: Any) -> gr.HTML:
    """Build the `gr.HTML` of the folder `name`. Its script reads `value` and each of `props` as `props.<name>`."""
    return gr.HTML(
        value,
        html_template=(FOLDER / name / f"{name}.html").read_text(encoding="utf-8"),
        css_template=(FOLDER / name / f"{name}.css").read_text(encoding="utf-8"),
        js_on_load=(FOLDER / name / f"{name}.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=["rrg-element"],
        **props,
    )

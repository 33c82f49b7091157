"""Construction of a component from its `.html`, `.js` and `.css` files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

FOLDER = Path(__file__).parent


def element(name: str, elem_id: str, value: Any = None, shared: Sequence[str] = (), **props: Any) -> gr.HTML:
    """Build the `gr.HTML` of the folder `name`. Its script reads `value` and each of `props` as `props.<name>`.

    `shared` names scripts of other components that this one uses too, such as "viewer/maps".
    """
    return gr.HTML(
        value,
        html_template=(FOLDER / name / f"{name}.html").read_text(encoding="utf-8"),
        css_template=(FOLDER / name / f"{name}.css").read_text(encoding="utf-8"),
        js_on_load=script(FOLDER / name, [FOLDER / f"{part}.js" for part in shared]),
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=["rrg-element"],
        **props,
    )


def script(folder: Path, shared: Sequence[Path] = ()) -> str:
    """Join the scripts of a component: the shared ones, its parts by name, then the one named after the folder.

    A part `name.js` is the body of a function; what it returns is the constant `name` for all scripts of the component.
    Other names do not leave the part, and nothing leaves the function in which Gradio runs the whole script.
    """
    main = folder / f"{folder.name}.js"
    parts = [*shared, *(path for path in sorted(folder.glob("*.js")) if path != main)]
    wrapped = [f"const {path.stem} = (() => {{\n{path.read_text(encoding='utf-8')}}})();\n" for path in parts]
    return "".join([*wrapped, main.read_text(encoding="utf-8")])

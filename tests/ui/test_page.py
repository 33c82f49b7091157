"""Assembly of the page from its tabs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rrg.ui.page import build_page


def test_the_page_has_a_tab_for_each_entry() -> None:
    service: Any = object()
    built: list[object] = []
    with gr.Blocks() as blocks:
        build_page(service, dict.fromkeys(["One", "Two"], built.append), {"Three": built.append})
    assert built == [service] * 3
    tabs = [part["props"] for part in blocks.get_config_file()["components"] if part["type"] == "tabitem"]
    assert [(tab["label"], tab["visible"]) for tab in tabs] == [("One", True), ("Two", True), ("Three", False)]

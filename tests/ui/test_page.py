"""Assembly of the page from its tabs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rrg.ui.page import build_page


def test_the_page_has_a_tab_for_each_entry() -> None:
    service: Any = object()
    built: list[object] = []
    with gr.Blocks() as blocks:
        build_page(service, dict.fromkeys(["One", "Two"], built.append))
    assert built == [service] * 2
    components = blocks.get_config_file()["components"]
    assert [part["props"]["label"] for part in components if part["type"] == "tabitem"] == ["One", "Two"]

"""Assembly of the page from its tabs."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from rrg.ui.page import build_page


@pytest.mark.parametrize(("titles", "tabs"), [(["One"], []), (["One", "Two"], ["One", "Two"])])
def test_several_tabs_have_a_tab_bar_and_a_single_one_has_none(titles: list[str], tabs: list[str]) -> None:
    service: Any = object()
    built: list[object] = []
    with gr.Blocks() as blocks:
        build_page(service, dict.fromkeys(titles, built.append))
    assert built == [service] * len(titles)
    components = blocks.get_config_file()["components"]
    assert [part["props"]["label"] for part in components if part["type"] == "tabitem"] == tabs

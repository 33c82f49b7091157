"""Pages of single components, and tabs of a real browser with the viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Browser, expect

from rrg.ui.theme import CSS, theme
from tests.ui.components.viewing import Case, Shown
from tests.ui.conftest import LIMIT


@contextmanager
def _served(blocks: gr.Blocks) -> Iterator[str]:
    try:
        _, url, _ = blocks.launch(
            server_name="127.0.0.1",
            theme=theme(),
            css_paths=CSS,
            footer_links=[],
            run_history=False,
            share=False,
            ssr_mode=False,
            prevent_thread_lock=True,
            quiet=True,
        )
        yield url
    finally:
        blocks.close(verbose=False)


@pytest.fixture
def run_blocks() -> Callable[[gr.Blocks], AbstractContextManager[str]]:
    """Serves a page with the style of the app: `with run_blocks(blocks) as url`."""
    return _served


@pytest.fixture
def show(chromium: Browser) -> Iterator[Callable[..., Shown]]:
    """Opens a study in a new tab: `show(url, "name", case, ratio=2)`."""
    contexts = []
    expect.set_options(timeout=LIMIT)

    def open_tab(url: str, name: str, case: Case, ratio: float = 1, **options: Any) -> Shown:
        context = chromium.new_context(viewport={"width": 1000, "height": 800}, device_scale_factor=ratio, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(LIMIT)
        tab.goto(f"{url}?study={name}")
        expect(tab.locator("#viewer canvas[data-ready]")).to_have_count(len(case.images))
        return Shown(tab, ratio, case)

    yield open_tab
    for context in contexts:
        context.close()

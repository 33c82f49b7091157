"""A page of single components in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import gradio as gr
import pytest

from rrg.ui.theme import CSS, theme


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

"""Tabs of a real browser with the viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.components.viewing import Case, Shown
from tests.ui.conftest import LIMIT


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

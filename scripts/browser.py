"""A Chromium for the tests of the page and for its pictures. Standard library only until one is started."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserType

SYSTEM_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def launch_chromium(chromium: BrowserType) -> Browser:
    """Start a Chromium of the system, or else Playwright's own.

    Raises `playwright.sync_api.Error` when none starts.
    """
    from playwright.sync_api import Error

    for path in filter(None, map(shutil.which, SYSTEM_BROWSERS)):
        try:
            return chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error:
            continue
    return chromium.launch(args=["--no-sandbox"])

"""Pictures of every tab of the app, light and dark: `make screenshots`, or python scripts/screenshots.py --help.

The app runs with the bundled models on a synthetic study, so that no data folder is needed and no patient is shown.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import tyro
from browser import launch_chromium
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.inference.library import ModelLibrary
from rrg.ui.settings import CHECKOUT, Settings

WIDTH, HEIGHT = 1366, 768
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
MAX_BYTES = 300_000
QUALITY = 90
WAIT = 180_000
"""Milliseconds after which a step fails: a model may have to be loaded on a busy machine."""
SETTLE = 700
"""Milliseconds for the browser to draw what the last step changed."""


def main(out: Path = CHECKOUT / "docs") -> None:
    """Write a picture of each tab in each colour scheme.

    Args:
        out: Folder of the pictures, `<tab>_<scheme>.webp`.
    """
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as home, _running(Path(home)) as (url, titles), sync_playwright() as playwright:
        browser = launch_chromium(playwright.chromium)
        for scheme in SCHEMES:
            for title, picture in _pictures(browser, url, titles, scheme):
                path = out / f"{title.lower()}_{scheme}.webp"
                path.write_bytes(picture)
                print(f"{path}  {len(picture) / 1000:.0f} kB", flush=True)
        browser.close()


@contextmanager
def _running(home: Path) -> Iterator[tuple[str, list[str]]]:
    """Run the app with a database of its own; gives its address and the titles of its tabs."""
    os.environ["GRADIO_TEMP_DIR"] = str(home / "uploads")  # Gradio reads it when it is imported
    configure_cpu()
    from rrg.feedback import FeedbackStore
    from rrg.ui.app import create_app, launch_options
    from rrg.ui.page import TABS
    from rrg.ui.service import Service

    settings = Settings.from_env({"RRG_HOME": str(home)})
    with FeedbackStore(settings.database_url) as store:
        service = Service(settings, ModelLibrary(settings.weights), store)
        if service.first_model is None:
            raise InputError(f"There are no weights in {settings.weights}. The pictures show a report of a model.")
        app = create_app(service)
        # Any free port: the user's app may run on the usual one.
        options: dict[str, Any] = {**launch_options(settings, service), "server_port": None}
        try:
            _, url, _ = app.launch(**options, prevent_thread_lock=True, quiet=True)
            yield url, list(TABS)
        finally:
            app.close(verbose=False)
            service.queue.close()


def _pictures(
    browser: Browser, url: str, titles: list[str], scheme: Literal["light", "dark"]
) -> Iterator[tuple[str, bytes]]:
    """Title and picture of each tab."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(WAIT)
    expect.set_options(timeout=WAIT)
    page.goto(url)
    for title in titles:
        page.get_by_role("tab", name=title, exact=True).first.click()
        PREPARATIONS.get(title, lambda _: None)(page)
        page.wait_for_timeout(SETTLE)
        yield title, _compressed(page.screenshot())
    context.close()


def _read(page: Page) -> None:
    """Open a synthetic study, have it reported and pin the map of a word."""
    page.locator("#study-list .row").filter(has_text="Synthetic").first.click()
    expect(page.locator("#viewer canvas[data-ready]")).to_have_count(2)
    status = page.locator("#status .line")
    expect(status).to_contain_text(re.compile("Ready|Written"))
    if "Ready" in status.inner_text():  # the second scheme finds the report of the first
        page.locator("#write").click()
    expect(status).to_contain_text("Written")
    words = page.locator("#report .word")
    word = words.filter(has_text="effusion")
    (word if word.count() else words).first.click()
    expect(page.locator("#report .word[aria-pressed=true]")).to_have_count(1)
    page.mouse.move(WIDTH / 2, HEIGHT - 2)  # off the words, so that nothing looks pointed at


def _compare(page: Page) -> None:
    """Have the reports written that are missing, on the study that is open."""
    write = page.locator("#compare-write")
    status = page.locator("#compare-status .line")
    expect(status).to_contain_text("written")
    if write.is_enabled():
        write.click()
    expect(status).to_contain_text(re.compile(r"\b(\d+) of \1 written"))


PREPARATIONS: dict[str, Callable[[Page], None]] = {"Read": _read, "Compare": _compare}
"""Title of a tab -> what happens before its picture. A tab without an entry is shown as it opens."""


def _compressed(png: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(file, format="WEBP", quality=QUALITY, method=6)
    picture = file.getvalue()
    if len(picture) > MAX_BYTES:
        raise InputError(f"A picture has {len(picture)} bytes, and at most {MAX_BYTES} are wanted. Lower QUALITY.")
    return picture


if __name__ == "__main__":
    try:
        tyro.cli(main, description=__doc__)
    except InputError as error:
        sys.exit(str(error))

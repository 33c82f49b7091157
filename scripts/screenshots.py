"""Pictures of every tab of the app, light and dark: `make screenshots`, or python scripts/screenshots.py --help.

The app runs with the bundled models on synthetic studies, so that no data folder is needed and no patient is shown. The
tab Read has two pictures: of a study whose report asserts what its reference does, and of one whose report does not.
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

WIDTH, HEIGHT = 1600, 900
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
MAX_BYTES = 200_000
QUALITY = 82
WAIT = 180_000
"""Milliseconds after which a step fails: a model may have to be loaded on a busy machine."""
SETTLE = 700
"""Milliseconds for the browser to draw what the last step changed."""
RIGHT, WRONG = "Synthetic · no finding", "Synthetic · pleural effusion"
"""Studies of the list on which the model that is offered first is right and wrong."""


def main(out: Path = CHECKOUT / "docs") -> None:
    """Write a picture of each tab in each colour scheme.

    Args:
        out: Folder of the pictures, `<tab>_<scheme>.webp` and `read_wrong_<scheme>.webp`.
    """
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as home, _running(Path(home)) as (url, titles), sync_playwright() as playwright:
        browser = launch_chromium(playwright.chromium)
        for scheme in SCHEMES:
            for title, picture in _pictures(browser, url, titles, scheme):
                path = out / f"{title}_{scheme}.webp"
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
    """Name and bytes of each picture."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(WAIT)
    expect.set_options(timeout=WAIT)
    page.goto(url)
    for title in titles:
        page.get_by_role("tab", name=title, exact=True).first.click()
        for name, prepare in PREPARATIONS.get(title, {title.lower(): lambda _: None}).items():
            prepare(page)
            page.wait_for_timeout(SETTLE)
            yield name, _compressed(page.screenshot())
    context.close()


def _right(page: Page) -> None:
    """A normal study, its report, and the map of a word."""
    _written(page, RIGHT, "text and reference agree")
    _pin(page, "heart")


def _wrong(page: Page) -> None:
    """A study with an effusion, the map of the word with which its report denies it, and the reference."""
    _written(page, WRONG, "differ from the reference")
    page.locator("#tab-reference").click()
    _pin(page, "effusion")


def _pin(page: Page, text: str) -> None:
    words = page.locator("#report .word")
    word = words.filter(has_text=text)
    (word if word.count() else words).first.click()
    expect(page.locator("#report .word[aria-pressed=true]")).to_have_count(1)
    page.mouse.move(WIDTH / 2, HEIGHT - 2)  # off the words, so that nothing looks pointed at


def _written(page: Page, study: str, expected: str) -> None:
    """Open a study of the list and have it reported. Raises InputError if the findings are not as `expected`."""
    page.locator("#study-list .row").filter(has_text=study).first.click()
    expect(page.locator("#study .title")).to_have_text(study)
    expect(page.locator("#viewer canvas[data-ready]")).to_have_count(2)
    status = page.locator("#status .line")
    expect(status).to_contain_text(re.compile("Ready|Written"))
    if "Ready" in status.inner_text():  # the second scheme finds the report of the first
        page.locator("#write").click()
    expect(status).to_contain_text("Written")
    said = page.locator("#panel-findings .summary").inner_text()
    if expected not in said:
        raise InputError(f"{study}: the findings say {said!r}, not {expected!r}. Choose another study for the picture.")


def _compare(page: Page) -> None:
    """Have the reports written that are missing, on the study that is open."""
    write = page.locator("#compare-write")
    status = page.locator("#compare-status .line")
    expect(status).to_contain_text("written")
    if write.is_enabled():
        write.click()
    expect(status).to_contain_text(re.compile(r"\b(\d+) of \1 written"))


PREPARATIONS: dict[str, dict[str, Callable[[Page], None]]] = {
    "Read": {"read": _right, "read_wrong": _wrong},
    "Compare": {"compare": _compare},
}
"""Title of a tab -> its pictures by name, and what happens before each. Other tabs are shown as they open."""


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

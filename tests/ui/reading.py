"""Steps of a reader on the page, shared by the browser tests."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("#status .line")).to_contain_text("Choose a study")


def upload(page: Page, *images: Path) -> None:
    page.locator("#files input[type=file]").set_input_files(images)
    expect(page.locator("#viewer canvas[data-ready]")).to_have_count(len(images))


def open_listed(page: Page, text: str, views: int = 2) -> None:
    """Open the study of the list whose row has this text."""
    page.locator("#study-list .row").filter(has_text=text).first.click()
    expect(page.locator("#viewer canvas[data-ready]")).to_have_count(views)


def write(page: Page) -> None:
    page.locator("#write").click()
    expect(status(page)).to_contain_text("Written in")


def status(page: Page) -> Locator:
    return page.locator("#status .line")


def word(page: Page, text: str) -> Locator:
    return page.locator("#report .word").filter(has_text=re.compile(f"^{text}$"))


def editor(page: Page) -> Locator:
    """The whole text of the correction; it is hidden while sentences are corrected."""
    return page.locator("#correction-text")


def correct(page: Page) -> None:
    """Open the editor, unless it is open."""
    if page.locator("#editor .correct").is_visible():
        page.locator("#editor .correct").click()
    expect(page.locator("#editor .save")).to_be_visible()


def retype(page: Page, text: str) -> None:
    """Type the whole text of the correction."""
    correct(page)
    if not editor(page).is_visible():
        page.locator("#editor .whole").click()
    editor(page).fill(text)


def sentence(page: Page, number: int) -> Locator:
    """A row of the editor, counted from 1."""
    return page.locator("#editor .sentence").nth(number - 1)


def saved(page: Page) -> Locator:
    """The line under the editor."""
    return page.locator("#editor .state")


def save(page: Page) -> None:
    """Save, without a reason for edited sentences where it is asked for."""
    page.locator("#editor .save").click()
    expect(saved(page)).to_contain_text(re.compile("Saved|choose a reason"))
    if "choose a reason" in saved(page).inner_text():
        page.locator("#editor .save").click()
    expect(saved(page)).to_contain_text("Saved")


def reader(page: Page) -> Locator:
    return page.get_by_label("Reader", exact=True)


def correct_listed(page: Page, url: str, text: str, name: str) -> None:
    """Open the page and a study of the list, write its report, save a correction under a name, and keep a map."""
    open_page(page, url)
    open_listed(page, text)
    write(page)
    reader(page).fill(name)
    retype(page, "The text of the reader.")
    save(page)
    page.locator("#editor .leave").click()
    word(page, "heart").click()

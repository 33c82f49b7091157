"""The HTML file: complete, escaped, and without any request."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page
from pypdf import PdfReader

from rrg.ui.export.html_file import html
from rrg.ui.export.study import DISCLAIMER
from rrg.ui.export.text import printable


class Parsed(HTMLParser):
    """The text outside of the style, the tags, and the attributes of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))


def test_every_fact_is_shown(make_export, shown_facts) -> None:
    page = Parsed(html(make_export()))
    assert [fact for fact in shown_facts if fact not in page.text] == []
    assert page.tags.count("img") == 4
    assert page.text.count(DISCLAIMER) == 2, "on top and at the bottom"


def test_changes_are_marked_not_by_colour_alone(make_export) -> None:
    page = html(make_export()).decode()
    assert "<del>normal in size</del><ins>enlarged</ins>" in page


def test_pictures_are_inside_the_file(make_export) -> None:
    sources = [value for name, value in Parsed(html(make_export())).attributes if name == "src"]
    kinds = []
    for source in sources:
        kind, content = re.fullmatch(r"data:image/(png|jpeg);base64,(.+)", source).groups()
        Image.open(io.BytesIO(base64.b64decode(content, validate=True))).load()
        kinds.append(kind)
    assert kinds == ["png", "png", "jpeg", "jpeg"]


def test_texts_from_outside_stay_texts(hostile, hostile_texts) -> None:
    whole = html(hostile)
    page = Parsed(whole)
    shown = "".join(page.texts)
    assert [text for text in hostile_texts if printable(text) not in shown] == []
    assert {"script", "iframe", "object", "link", "a", "form", "base"} & set(page.tags) == set()
    assert page.tags.count("img") == 6
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_nothing_is_requested_from_elsewhere(make_export, hostile) -> None:
    for exported in (make_export(), hostile):
        page = Parsed(html(exported))
        links = [value for name, value in page.attributes if name in ("src", "href", "srcset", "action", "poster")]
        assert links and all(link.startswith("data:image/") for link in links)
        policies = [value for name, value in page.attributes if name == "content"]
        assert any(value.startswith("default-src 'none'") for value in policies)
        style = html(exported).decode().split("<style>")[1].split("</style>")[0]
        assert not re.search(r"url\(|@import|https?:", style)
    assert not re.search(r"(?:https?:)?//\w", re.sub(r'"data:image[^"]+"', "", html(make_export()).decode()))


def test_an_empty_report_and_a_single_image_make_a_page(make_export) -> None:
    whole = make_export()
    exported = make_export(
        text="", correction=None, reference=None, maps=(), notes=(), radiographs=whole.radiographs[:1]
    )
    page = Parsed(html(exported))
    assert "The model wrote no text." in page.text
    assert page.tags.count("img") == 1
    assert not {"Correction", "Changes", "Reference report", "Maps"} & {text.strip() for text in page.texts}


@pytest.mark.ui
def test_a_browser_runs_and_requests_nothing_and_prints_the_disclaimer_on_each_page(
    page: Page, hostile, make_export, tmp_path: Path
) -> None:
    requests: list[str] = []
    dialogs: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    file = tmp_path / "study.html"
    for exported in (hostile, make_export(corrected=("The lungs are clear. " * 1000)[:20_000])):
        file.write_bytes(html(exported))
        requests.clear()
        page.goto(file.as_uri())
        assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        for width in (390, 820, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(overflow) == 0, width
        printed = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
        assert len(printed.pages) > 1
        assert [
            number for number, sheet in enumerate(printed.pages) if sheet.extract_text().count(DISCLAIMER) < 2
        ] == []
    assert dialogs == []

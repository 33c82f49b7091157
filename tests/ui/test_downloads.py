"""The route that sends exports, and the menu that offers them."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from playwright.sync_api import Page, expect

from rrg.report import Report
from rrg.ui.examples import SYNTHETIC
from tests.ui.reading import correct_listed, open_page


@pytest.fixture(scope="module")
def report(app: Any) -> Report:
    return app.service.write_report(app.service.open_study(SYNTHETIC[0].id), "plain")


def _get(app: Any, name: str, **query: Any) -> httpx.Response:
    return httpx.get(f"{app.url}rrg/export/{name}", params=query, timeout=None)


def test_every_format_is_sent_as_a_file(app: Any, report: Report) -> None:
    sent = {suffix: _get(app, f"{report.report_id}.{suffix}") for suffix in ("html", "pdf", "json", "dcm")}
    assert {answer.status_code for answer in sent.values()} == {200}
    assert report.text.split(".")[0] in sent["html"].text
    assert sent["pdf"].content.startswith(b"%PDF")
    assert json.loads(sent["json"].text)["report"]["report_id"] == report.report_id
    assert pydicom.dcmread(BytesIO(sent["dcm"].content)).Modality == "SR"
    for suffix, answer in sent.items():
        name = f"plain-{report.report_id[:8]}.{suffix}"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["cache-control"] == "no-store"


def test_the_named_correction_and_maps_are_in_the_file(app: Any, report: Report) -> None:
    correction = app.store.save_correction(report.report_id, "Corrected by hand.", "Dr A")
    with_it = _get(app, f"{report.report_id}.html", correction=correction.correction_id, map="word-1").text
    assert "Corrected by hand." in with_it
    assert "Corrected by hand." not in _get(app, f"{report.report_id}.html").text


@pytest.mark.parametrize(
    ("name", "message"), [("unknown.pdf", "no longer on the server"), ("{id}.exe", "There is no export as 'exe'")]
)
def test_what_cannot_be_exported_is_refused(app: Any, report: Report, name: str, message: str) -> None:
    answer = _get(app, name.format(id=report.report_id))
    assert answer.status_code == 404
    assert message in answer.text


@pytest.mark.parametrize("chosen", ["word-9999", "finding-99", "../../etc/passwd", "word--1"])
def test_a_map_that_does_not_exist_is_left_out(app: Any, report: Report, chosen: str) -> None:
    assert _get(app, f"{report.report_id}.json", map=chosen).status_code == 200


@pytest.mark.ui
def test_the_menu_exports_what_is_on_the_page(app: Any, page: Page, tmp_path: Path) -> None:
    open_page(page, app.url)
    expect(page.locator("#export summary")).to_be_hidden()
    correct_listed(page, app.url, SYNTHETIC[1].label, "Dr Export")
    page.locator("#export summary").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Web page").click()
    download.value.save_as(tmp_path / "study.html")
    content = (tmp_path / "study.html").read_text()
    assert "The text of the reader." in content
    assert "Dr Export" in content

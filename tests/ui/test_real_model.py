"""The page with a bundled model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from rrg.inference.library import ModelLibrary
from rrg.ui.examples import SYNTHETIC
from rrg.ui.settings import CHECKOUT
from tests.ui.reading import editor, open_listed, write

pytestmark = [pytest.mark.ui, pytest.mark.slow]
MODEL = "r2gen_cmn"


def test_a_synthetic_study_is_reported_and_explained(run_app: Callable[..., Any], page: Page, tmp_path: Path) -> None:
    weights = CHECKOUT / "weights"
    if not (weights / MODEL / "config.json").is_file():
        pytest.skip(f"needs the weights of {MODEL} (train/train.py {MODEL})")
    with run_app(tmp_path, ModelLibrary(weights)) as app:
        page.goto(app.url)
        open_listed(page, SYNTHETIC[0].label)
        write(page)
        expect(page.locator("#findings tbody tr")).to_have_count(14)
        plain = page.locator("#viewer canvas.map").first.evaluate("canvas => canvas.toDataURL()")
        page.locator("#report .word").nth(2).hover()
        expect(page.locator("#viewer .legend-method")).to_contain_text("cross-attention")
        assert page.locator("#viewer canvas.map").first.evaluate("canvas => canvas.toDataURL()") != plain
        (report_id,) = parse_qs(urlsplit(page.url).query)["report"]
        report = app.store.get_report(report_id)
        assert editor(page).input_value() == report.text
        assert report.model == app.service.first_model

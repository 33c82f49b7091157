"""The table of findings: its value, and what a browser shows of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from rrg.labels.findings import FINDINGS, label_report
from rrg.report import Report, ReportFinding
from rrg.ui.components import findings_table, findings_value

THRESHOLDS = [0.04 + i / 100 for i in range(13)]
TEXT = "There is a small left pleural effusion. No pneumothorax. No left effusion."


def _report(text: str = TEXT, probability: float | None = 0.08) -> Report:
    findings = tuple(
        ReportFinding(finding.name, str(finding.status), finding.spans, probability) for finding in label_report(text)
    )
    decoding = {"consensus": {"samples": 32, "findings_bars": THRESHOLDS}}
    return Report("r", "s", text, (), (), findings, "m", "0" * 64, decoding, 0.1, "2026-01-01T00:00:00+00:00")


def test_a_row_has_text_classifier_reference_and_what_differs() -> None:
    value = findings_value(_report(), label_report("Heart normal."))
    row = value["rows"][FINDINGS.index("Pleural Effusion")]
    assert row["label"] == "present"
    assert row["reference"] == "–"
    assert row["threshold"] == pytest.approx(0.13)
    assert row["in_image"] is False
    assert row["flags"] == ("added", "text only")
    assert value["conflicts"] == ["The text both states and negates a left pleural effusion."]


def test_the_point_that_is_used_is_named() -> None:
    assert "decoder" in findings_value(_report(), None)["points"]
    searched = replace(_report(), decoding={"num_beams": 3})
    assert "50 %" in findings_value(searched, None)["points"]


def test_a_model_without_classifier_has_no_verdict() -> None:
    value = findings_value(_report(probability=None), None)
    assert value["has_classifier"] is False
    assert {row["in_image"] for row in value["rows"]} == {None}
    assert {row["reference"] for row in value["rows"]} == {None}


@pytest.mark.ui
def test_the_table_shows_thresholds_as_ticks_and_differences_as_words(
    run_blocks: Callable[[gr.Blocks], AbstractContextManager[str]], page: Page
) -> None:
    with gr.Blocks(analytics_enabled=False) as blocks:
        table = findings_table()
        value: Any = findings_value(_report(), label_report("Heart normal."))
        blocks.load(lambda: value, None, table)
    with run_blocks(blocks) as url:
        page.goto(url)
        row = page.locator("#findings tbody tr").filter(has_text="Pleural Effusion")
        expect(row.locator(".flag")).to_have_text(["added", "text only"])
        expect(row.locator(".verdict")).to_have_text("absent")
        expect(row.get_by_role("img", name="Counts as present from 13 %")).to_be_visible()
        place = "tick => (tick.offsetLeft + tick.offsetWidth / 2) / tick.parentElement.clientWidth"
        assert row.locator(".tick").evaluate(place) == pytest.approx(0.13, abs=0.02)
        last = page.locator("#findings tbody tr").last
        expect(last).to_contain_text("8.0 %")
        expect(last.locator(".tick")).to_have_count(0)
        expect(page.locator("#findings .conflicts")).to_contain_text("states and negates")
        expect(page.locator("#findings .summary")).to_contain_text("1 differs from the reference")

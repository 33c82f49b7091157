"""The written page: complete, offline, escaped."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from rrg.evaluate.evaluation_page import HTML, MARKDOWN, PageContent, Table, page_content, write_page
from rrg.evaluate.evaluation_page.page import html_page, markdown_page
from rrg.evaluate.evaluation_page.reliability import Reliability

HOSTILE = "<script>alert(1)</script> | `x` [a](b)"
REFERENCES = {f"s{i}": ("The heart is enlarged.", "The lungs are clear.")[i % 2] for i in range(8)}


@pytest.fixture
def content() -> PageContent:
    texts = dict.fromkeys(REFERENCES, HOSTILE)
    table = Table(HOSTILE, "a note", ("", "BLEU-4"), ((HOSTILE, "0.1"), ("floor", "0.2")))
    found = page_content(
        HOSTILE, {"Model": HOSTILE}, [table], {HOSTILE: texts, "floor": REFERENCES}, REFERENCES, notes=[HOSTILE]
    )
    score = np.linspace(0, 1, 50)
    reliability = Reliability(score, score > 0.4, score < 0.4, score)
    return PageContent(**{**found.__dict__, "classifier": reliability, "support": reliability})


def test_every_part_is_on_the_page_and_nothing_is_requested(content: PageContent) -> None:
    page = html_page(content)
    for heading in ("Notes", "Plots", "Worst studies", "Best studies"):
        assert f"<h2>{heading}" in page
    assert page.count("<svg") == 6, "ROUGE-L, F1, findings, labels, classifier, support"
    assert "Expected calibration error" in page and "Mean risk" in page
    assert "default-src 'none'" in page and "<script" not in page
    links = re.findall(r"(?<![\w:])(?:src|href)=\"(?!#|data:)([^\"]+)", page)
    assert links == []


def test_without_scores_of_a_model_their_figures_are_left_out(content: PageContent) -> None:
    page = html_page(PageContent(**{**content.__dict__, "classifier": None, "support": None}))
    assert page.count("<svg") == 4 and "calibration" not in page


def test_texts_are_escaped(content: PageContent, tmp_path: Path) -> None:
    files = write_page(content, tmp_path)
    assert [path.name for path in files] == [HTML, MARKDOWN]
    page = (tmp_path / HTML).read_text(encoding="utf-8")
    assert HOSTILE not in page and "&lt;script&gt;" in page
    lines = markdown_page(content).splitlines()
    assert not any("<script" in line.replace("\\<", "") for line in lines)
    rows = [line for line in lines if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}, "no text makes a column"

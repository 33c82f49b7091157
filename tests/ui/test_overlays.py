"""The overlay menu in a real browser, with a model that has its own maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from rrg.explanation.maps import Explanation
from rrg.inference.library import ModelLibrary
from rrg.labels.findings import FINDINGS
from rrg.ui.examples import SYNTHETIC
from tests.ui.reading import open_listed, write

pytestmark = pytest.mark.ui

CANVASES = """() => [...document.querySelectorAll("#viewer canvas.map")].map((canvas) => canvas.toDataURL())"""
FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


@pytest.fixture
def app(run_app: Callable[..., Any], tmp_path: Path, tiny_camanet: Path) -> Iterator[Any]:
    """The app with a tiny CAMANet."""
    with run_app(tmp_path, ModelLibrary(tiny_camanet)) as app:
        yield app


@pytest.fixture
def written(app: Any, page: Page) -> Page:
    """A synthetic study with its report."""
    page.goto(app.url)
    expect(_menu(page)).to_be_disabled()
    open_listed(page, SYNTHETIC[0].label)
    write(page)
    return page


@pytest.fixture
def offered(app: Any, written: Page) -> Explanation:
    """The model's own maps and those of the classifier, without those that are zero everywhere."""
    (report_id,) = parse_qs(urlsplit(written.url).query)["report"]
    report = app.store.get_report(report_id)
    found = app.service.analyse(app.service.find_study(report.study_id), report).explanation
    kept = {
        kind: tuple(heatmap for heatmap in getattr(found, kind) if heatmap.values.max() > 0)
        for kind in ("native", "findings")
    }
    assert 1 < len(kept["native"]) < len(found.native), "some of the tiny model's maps have to be zero"
    assert 1 < len(kept["findings"]) < len(found.findings)
    return replace(found, **kept)


def _menu(page: Page) -> Locator:
    return page.get_by_label("Overlay")


def _drawn(page: Page) -> list[str]:
    page.evaluate(FRAME)
    return page.evaluate(CANVASES)


def test_the_menu_lists_the_models_own_maps_and_those_of_the_classifier(written: Page, offered: Explanation) -> None:
    menu = _menu(written)
    expect(menu).to_be_enabled()
    expect(menu).to_have_value("")
    groups = menu.locator("optgroup").evaluate_all(
        "groups => groups.map((group) => [group.label, [...group.children].map((option) => option.textContent)])"
    )
    classes = [heatmap.target.removeprefix("class map: ") for heatmap in offered.native[1:]]
    assert groups == [
        ["Class map", classes],
        ["Grad-CAM of the classifier", [heatmap.target for heatmap in offered.findings]],
    ]
    assert menu.locator("> option").all_text_contents() == ["What the pointer is at", "Discriminative map"]


def test_a_chosen_map_stays_over_both_views_until_the_default_is_chosen_again(written: Page) -> None:
    menu, target = _menu(written), written.locator("#viewer .legend-target")
    plain = _drawn(written)
    menu.select_option(label="Discriminative map")
    expect(target).to_have_text("Discriminative map")
    expect(written.locator("#viewer .legend-method")).to_contain_text("CAMANet · the model's own values")
    expect(written.locator("#viewer .legend-max")).to_have_text("1.0")
    chosen = _drawn(written)
    assert all(now != before for now, before in zip(chosen, plain, strict=True))

    written.locator("#report .word").nth(1).hover()
    expect(target).to_have_text("Discriminative map")
    assert _drawn(written) == chosen

    menu.select_option("")
    written.mouse.move(5, 5)
    expect(target).to_contain_text("Point at a word")
    assert _drawn(written) == plain
    written.locator("#report .word").nth(1).hover()
    expect(written.locator("#viewer .legend-method")).to_contain_text("cross-attention")


def test_the_menu_works_by_keyboard_and_shows_the_pinned_map(written: Page, offered: Explanation) -> None:
    menu, target = _menu(written), written.locator("#viewer .legend-target")
    menu.focus()
    written.keyboard.press("ArrowDown")
    expect(target).to_have_text("Discriminative map")
    written.keyboard.press("ArrowDown")
    expect(target).to_have_text(offered.native[1].target.replace("class map", "Class map"))
    written.keyboard.press("Escape")
    expect(menu).to_have_value("")
    expect(target).to_contain_text("Point at a word")

    first, second = (heatmap.target for heatmap in offered.findings[:2])
    menu.select_option(f"finding {FINDINGS.index(first)}")
    expect(target).to_have_text(f"Kept: “{first}”")
    expect(written.locator("#findings tr.pinned")).to_contain_text(first)
    written.locator("#report .word").first.click()
    expect(menu).to_have_value("")
    expect(written.locator("#viewer .legend-method")).to_contain_text("cross-attention")
    written.locator("#findings tbody tr").filter(has_text=second).click()
    expect(menu).to_have_value(f"finding {FINDINGS.index(second)}")


def test_a_new_report_clears_the_pinned_map(written: Page) -> None:
    _menu(written).select_option(label="Discriminative map")
    written.locator("#write").click()
    expect(_menu(written)).to_have_value("")
    expect(written.locator("#status .line")).to_contain_text("Written in")
    expect(written.locator("#viewer .legend-target")).to_contain_text("Point at a word")

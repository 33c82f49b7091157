"""The card of a model: its values, its pictures, and what a browser shows of hostile texts."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from contextlib import AbstractContextManager

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from rrg.data.radiographs import Provenance, Radiograph
from rrg.evaluate.model_card import Evaluation, Figure, ModelCard
from rrg.explanation.maps import Explanation, Heatmap
from rrg.inference.library import ModelInfo
from rrg.ui.components import Example, example_pictures, model_card_view, speed_text
from rrg.ui.components.model_card import Picture
from rrg.ui.speed import Speed

HOSTILE = "<img src=x onerror=\"window.hurt='html'\"> ${window.hurt='template'} {{7*7}}"
FIGURES = (
    Figure("BLEU-4", 0.15, 0.136, 0.168, 0.177, 0.114),
    Figure("Micro-F1", 0.418, 0.332, 0.494, 0.0, None),
)
EVALUATION = Evaluation("iu_xray", "val", 296, FIGURES, True)
INFO = ModelInfo("camanet", "CAMANet", "Wang et al., 2024", True, "c" * 64, 9_400_000, "")
CARD = ModelCard(INFO, "camanet", "What it is.", 19_100_000, "IU X-Ray.", "Small findings.", EVALUATION)


def _heatmap(name: str, largest: float) -> Heatmap:
    values = np.zeros((2, 4, 4), np.float32)
    values[0, 1, 2] = largest
    return Heatmap(name, "CAMANet", "layer", "mean", None, values)


def _radiographs() -> list[Radiograph]:
    pixels = np.full((64, 64), 0.5, np.float32)
    return [Radiograph(pixels, view, None, Provenance("PNG", 16)) for view in ("frontal", "lateral")]


def _pixels(picture: Picture) -> np.ndarray:
    data = base64.b64decode(picture.image.removeprefix("data:image/webp;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_each_own_map_has_one_picture_and_the_strongest_of_a_group_is_shown() -> None:
    values = {"discriminative map": 0.0, "class map: No Finding": 2.0, "class map: Edema": 0.2, "class map: Mass": 0.9}
    native = tuple(_heatmap(name, largest) for name, largest in values.items())
    pictures = example_pictures("camanet", _radiographs(), Explanation((), (), (), native))
    assert [picture.title for picture in pictures] == ["discriminative map", "class map: Mass"]
    assert pictures[0].image == ""
    assert "Zero everywhere" in pictures[0].text
    assert pictures[1].text == "Areas that speak for this finding in the model's classifier."
    pixels = _pixels(pictures[1])
    assert pixels.shape == (512, 1024, 3)
    change = np.abs(pixels - 128).sum(axis=-1)
    row, column = np.unravel_index(change.argmax(), change.shape)
    assert 128 <= row < 256 and 256 <= column < 384, "the maximum is in row 1, column 2 of the frontal view"


def test_a_model_without_own_maps_shows_the_attention_of_its_first_sentence() -> None:
    sentences = (_heatmap("The heart is normal.", 0.4), _heatmap("No effusion.", 0.4))
    (picture,) = example_pictures("r2gen_cmn", _radiographs(), Explanation((), sentences, ()))
    assert picture.title == "The heart is normal."
    assert picture.image


def test_the_speed_is_that_of_this_process() -> None:
    assert speed_text(None) == "not yet measured here"
    assert speed_text(Speed(0.814, 1)) == "0.81 s, mean of 1 report since the start"
    assert speed_text(Speed(0.814, 12)) == "0.81 s, mean of 12 reports since the start"


@pytest.fixture
def served(
    run_blocks: Callable[[gr.Blocks], AbstractContextManager[str]],
) -> Callable[..., AbstractContextManager[str]]:
    """Serves cards; an example of each is answered with `example`."""

    def serve(*cards: ModelCard, example: Example | None = None) -> AbstractContextManager[str]:
        speeds = {}

        def seen() -> dict:
            speeds["seen"] = speeds.get("seen", 0) + 1
            return gr.update(speed=f"seen {speeds['seen']}")

        with gr.Blocks(analytics_enabled=False) as blocks:
            for card in cards:
                view = model_card_view(card, card is cards[0], None)
                view.example((example or Example()).value, None, view)
                view.seen(seen, None, view)
        return run_blocks(blocks)

    return serve


@pytest.mark.ui
def test_a_card_shows_figures_beside_floors_and_its_maps_on_demand(
    served: Callable[..., AbstractContextManager[str]], page: Page
) -> None:
    pictures = example_pictures("camanet", _radiographs(), Explanation((), (), (), (_heatmap("class map: Mass", 1.0),)))
    missing = ModelCard(
        ModelInfo("sgrrg", "SGRRG", "Wang et al., 2025", False, None, None, "No weights yet. Train it: make train X"),
        "sgrrg",
        "What it is.",
        None,
        "",
        "",
        None,
    )
    with served(CARD, missing, example=Example("done", pictures=pictures)) as url:
        page.goto(url)
        card = page.locator("#model-camanet")
        expect(card.locator("caption")).to_have_text("val split of IU X-Ray, 296 studies")
        rows = card.locator("tbody tr")
        expect(rows.nth(0)).to_have_text("BLEU-40.1500.136 to 0.1680.1770.114")
        expect(rows.nth(1)).to_have_text("Micro-F10.4180.332 to 0.4940.000–")
        expect(card.locator(".comparison")).to_contain_text("at least as much on BLEU-4.")
        expect(card.locator(".badge")).to_be_visible()
        expect(card.locator("dl")).to_contain_text("9.4 million parameters, 19 MB on disk")
        expect(card.locator("dl")).to_contain_text("sha256 " + "c" * 12)
        card.get_by_text("Training data").click()
        expect(card.get_by_text("c" * 64)).to_be_visible()
        expect(card.locator("dl")).to_contain_text("seen")
        expect(card.locator(".maps li")).to_have_count(2)

        card.get_by_role("button", name="Show its maps").focus()
        page.keyboard.press("Enter")
        expect(card.get_by_role("img")).to_have_accessible_name("class map: Mass of CAMANet over a synthetic study")
        assert card.get_by_role("img").evaluate("image => image.naturalWidth") == 1024

        other = page.locator("#model-sgrrg")
        expect(other.locator(".badge")).to_be_hidden()
        expect(other.locator("code")).to_have_text("make train X")
        expect(other.locator(".measured")).to_be_hidden()
        expect(other.get_by_role("button", name="Show its maps")).to_have_count(0)


@pytest.mark.ui
def test_texts_of_a_folder_of_weights_are_never_executed(
    served: Callable[..., AbstractContextManager[str]], page: Page
) -> None:
    info = ModelInfo("x", HOSTILE, HOSTILE, True, HOSTILE, 1, f"{HOSTILE}: {HOSTILE}")
    evaluation = Evaluation(HOSTILE, HOSTILE, 1, (Figure(HOSTILE, 0.1, 0, 1, 0.1, 0.1),), False)
    failed = Example("failed", HOSTILE, 0, (Picture(HOSTILE, HOSTILE, ""),))
    with served(ModelCard(info, "x", HOSTILE, 1, HOSTILE, HOSTILE, evaluation), example=failed) as url:
        page.goto(url)
        card = page.locator("#model-x")
        card.get_by_role("button", name="Show its maps").click()
        expect(card.locator(".pictures figcaption")).to_contain_text(HOSTILE)
        expect(card.locator(".progress.failed")).to_contain_text(HOSTILE)
        expect(card.locator("h3")).to_have_text(HOSTILE)
        expect(card.locator(".comparison")).to_contain_text("Measured with other weights")
        assert page.evaluate("window.hurt") is None
        expect(card.locator("img")).to_have_count(0)

"""The viewer on a page of its own, with phantoms whose only bright spot is known."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image
from playwright.sync_api import Page

from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.studies import Study
from rrg.explanation.maps import Explanation, Heatmap, Region
from rrg.report import Report, Sentence, Word
from rrg.ui.components import dropped_files, maps_value, report_text, report_value, viewer, views_value
from rrg.ui.images import image_route
from rrg.ui.theme import CSS, theme

GRID = 8
"""Cells of a side of the maps."""
BOX = (
    ":is(#viewer, #other):is(#viewer, #other) { flex: none; width: 640px; height: 620px; } #spacer { height: 3000px; }"
)
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


def radiograph(pixels: np.ndarray, view: Any = "frontal", spacing: tuple[float, float] | None = None) -> Radiograph:
    return Radiograph(pixels.astype(np.float32), view, spacing, Provenance("PNG", 16))


def spotted(
    height: int, width: int, row: int, column: int, view: Any = "frontal", spacing: tuple[float, float] | None = None
) -> Radiograph:
    """Black, with one bright spot, round on the screen, at the centre of a cell of the map."""
    row_mm, column_mm = spacing or (1.0, 1.0)
    y = (np.arange(height)[:, None] + 0.5 - (row + 0.5) / GRID * height) * row_mm
    x = (np.arange(width)[None] + 0.5 - (column + 0.5) / GRID * width) * column_mm
    radius = 0.012 * height * row_mm
    return radiograph(np.exp(-(y**2 + x**2) / (2 * radius**2)), view, spacing)


def heatmap(target: str, *cells: tuple[int, int, int], views: int = 1, description: str = "") -> Heatmap:
    """A map that is 0.4 in the cells (view, row, column) and 0 elsewhere."""
    values = np.zeros((views, GRID, GRID), np.float32)
    for cell in cells:
        values[cell] = 0.4
    return Heatmap(target, "cross-attention", "layer 3", "mean over heads", None, values, description)


@dataclass(frozen=True)
class Case:
    """A study that the page shows, with its maps."""

    images: tuple[Radiograph, ...]
    words: tuple[Heatmap, ...] = ()
    native: tuple[Heatmap, ...] = ()
    regions: tuple[Region, ...] = ()
    findings: tuple[Heatmap, ...] = ()

    def report(self) -> Report:
        text = " ".join(word.target for word in self.words)
        ends = np.cumsum([len(word.target) + 1 for word in self.words]).tolist()
        words = [
            Word(w.target, end - 1 - len(w.target), end - 1, 0, 0.9) for w, end in zip(self.words, ends, strict=True)
        ]
        sentences = (Sentence(text, 0, len(text)),)
        return Report(
            "r", "s", text, tuple(words), sentences, (), "plain", "a" * 64, {}, 0.1, "2026-01-01T00:00:00+00:00"
        )


@dataclass
class Shown:
    """The viewer in a browser."""

    page: Page
    ratio: float
    case: Case

    def stage(self, index: int = 0) -> Any:
        return self.page.locator("#viewer .stage").nth(index)

    def settle(self) -> None:
        """Wait until the full resolution is painted."""
        self.page.wait_for_timeout(250)
        self.page.evaluate(FRAMES)

    def picture(self, index: int = 0) -> np.ndarray:
        """What the screen shows of a view: [height, width, 3] in pixels of the screen, int."""
        self.settle()
        data = self.page.screenshot(clip=self.stage(index).bounding_box())
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    def plain(self, index: int = 0) -> np.ndarray:
        """The canvas of the radiograph alone, grey values [height, width]."""
        self.settle()
        url = self.stage(index).locator("canvas.image").evaluate("canvas => canvas.toDataURL()")
        data = base64.b64decode(url.split(",")[1])
        return np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)

    def at(self, x: float, y: float, index: int = 0) -> tuple[float, float]:
        """Position on the page of a position (shares of width and height) in a view."""
        box = self.stage(index).bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def drag(self, start: tuple[float, float], change: tuple[float, float], button: Any = "left") -> None:
        self.page.mouse.move(*start)
        self.page.mouse.down(button=button)
        self.page.mouse.move(start[0] + change[0], start[1] + change[1], steps=4)
        self.page.mouse.up(button=button)

    def send(self, name: str, **detail: Any) -> None:
        """Send an event of the page, as the report does."""
        event = json.dumps({"channel": "read"} | detail)
        self.page.evaluate(f"window.dispatchEvent(new CustomEvent('{name}', {{ detail: {event} }}))")

    def marks(self, index: int = 0) -> list[str]:
        self.page.evaluate(FRAMES)
        return self.stage(index).locator(".mark").all_text_contents()

    def readout(self, index: int = 0) -> str:
        self.page.evaluate(FRAMES)
        return (self.stage(index).locator(".readout").text_content() or "").replace("\u202f", " ")


@contextmanager
def serving(cases: dict[str, Case]) -> Iterator[tuple[str, dict[str, Study]]]:
    """A page with two viewers and a report at `?study=<name>`, and its studies; images of a removed one are gone."""
    studies = {name: Study(name, case.images) for name, case in cases.items()}

    values = {name: views_value(study) for name, study in studies.items()}

    def pick(name: str) -> list[Any]:
        if name not in cases:
            return [gr.skip()] * 3
        case = cases[name]
        maps = maps_value(Explanation(case.words, (), case.findings, case.native, case.regions))
        views = [gr.update(value=values[name], maps=maps) for _ in ("viewer", "other")]
        return [*views, report_value(case.report()) if case.words else None]

    def load(request: gr.Request) -> list[Any]:
        return pick(request.query_params.get("study", ""))

    with gr.Blocks(analytics_enabled=False) as blocks:
        files = dropped_files()
        keys = [("J", "Next study"), ("Ctrl+Enter", "Save and next")]
        shown = viewer(files=files, swappable=True, boxable=True, page_keys=keys)
        report = report_text()
        other = viewer("other", "other")
        told = gr.Textbox(label="Told", interactive=True)
        gr.HTML("<div id='spacer'></div>")
        picked = gr.Textbox(label="Pick")
        picked.submit(pick, picked, [shown, other, report])
        blocks.load(load, None, [shown, other, report])
        files.upload(lambda paths: [" ".join(path.rsplit("/", 1)[-1] for path in paths), None], files, [told, files])
        shown.swap(lambda: "swapped", None, told)
    try:
        _, url, _ = blocks.launch(
            prevent_thread_lock=True,
            quiet=True,
            run_history=False,
            max_file_size="1mb",
            footer_links=[],
            theme=theme(),
            css=BOX,
            css_paths=CSS,
            app_kwargs={"routes": [image_route(lambda study_id, _viewer: studies.get(study_id))]},
        )
        yield url, studies
    finally:
        blocks.close(verbose=False)

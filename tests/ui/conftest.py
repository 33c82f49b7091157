"""A model library that needs no weights, and the app running on it in a thread."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from rrg.data.quality import check, refuse
from rrg.data.studies import Study
from rrg.decoding.progress import Progress, ProgressCallback
from rrg.errors import InputError
from rrg.explanation.maps import Explanation, Heatmap
from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.inference.badges import Badge
from rrg.inference.blank_check import BlankCheck
from rrg.inference.library import ModelInfo
from rrg.labels.findings import FINDINGS, label_report
from rrg.report import Note, Report, ReportFinding, Sentence, Word
from rrg.ui.app import create_app, launch_options
from rrg.ui.mcp import send_json
from rrg.ui.security import Security
from rrg.ui.security.limits import Limits
from rrg.ui.service import Service
from rrg.ui.settings import CHECKOUT, OAUTH, Settings
from scripts.browser import launch_chromium

WEIGHTS = "a" * 64
LIMIT = 200_000
"""Milliseconds after which a wait of the browser fails: below the limit of a test, so that the message names it."""


def split(text: str) -> tuple[tuple[Word, ...], tuple[Sentence, ...]]:
    """Words and sentences of a text."""
    sentences = [Sentence(m.group(), m.start(), m.end()) for m in re.finditer(r"[^.\s][^.]*\.?", text)]
    words = [
        Word(m.group(), m.start(), m.end(), sentence, 0.9)
        for sentence, s in enumerate(sentences)
        for m in re.finditer(r"[^\s.]+|\.", text)
        if s.start <= m.start() < s.end
    ]
    return tuple(words), tuple(sentences)


class FakeReporter:
    """Generates a text that depends on the pixels and the model name; the maximum of each map is in a known cell."""

    weights_sha256 = WEIGHTS

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def check(self, study: Study) -> tuple[Note, ...]:
        return check(study.radiographs())

    def report(self, study: Study, progress: ProgressCallback | None = None, *, checked: bool = False) -> Report:
        notes = self.check(study) if checked else ()
        refuse(notes)
        if progress is not None:
            progress(Progress("sampling", 1, 4, words=3))
        radiographs = study.radiographs()
        pixels = "".join(radiograph.sha256 for radiograph in radiographs)
        brightness = float(np.mean([radiograph.pixels.mean() for radiograph in radiographs]))
        views = {1: "one view", 2: "two views"}[len(radiographs)]
        text = self.text.replace("VIEWS", views).replace("BRIGHTNESS", f"{brightness * 1000:.0f}")
        words, sentences = split(text)
        findings = tuple(
            ReportFinding(finding.name, str(finding.status), finding.spans, (index + 1) / 15)
            for index, finding in enumerate(label_report(text))
        )
        return Report(
            report_id=hashlib.sha256((self.name + study.id + pixels).encode()).hexdigest()[:24],
            study_id=study.id,
            text=text,
            words=words,
            sentences=sentences,
            findings=findings,
            model=self.name,
            weights_sha256=WEIGHTS,
            decoding={"num_beams": 3},
            seconds=0.25,
            created_at="2026-01-01T00:00:00+00:00",
            notes=notes,
        )

    def explain_text(self, study: Study, report: Report, text: str) -> Explanation:
        """The maps of a report with this text; the word "unknown" has none."""
        if not text.strip(" ."):
            raise InputError("There is no word in this text, so there is no map of it. Write a sentence.")
        words, sentences = split(text)
        explanation = self.explain(study, replace(report, text=text, words=words, sentences=sentences))
        without = {index for index, word in enumerate(words) if word.text == "unknown"}
        nothing = np.zeros_like(explanation.words[0].values)
        maps = (
            replace(heatmap, values=nothing) if index in without else heatmap
            for index, heatmap in enumerate(explanation.words)
        )
        return replace(explanation, words=tuple(maps), without_map=frozenset(without))

    def explain(self, study: Study, report: Report) -> Explanation:
        views = len(study.radiographs())

        def heatmap(target: str, method: str, span: tuple[int, int] | None, cell: int) -> Heatmap:
            values = np.full((views, 4, 4), 0.01, dtype=np.float32)
            values[:, cell // 4 % 4, cell % 4] = 0.4
            return Heatmap(target, method, "layer 3", "mean over heads", span, values)

        return Explanation(
            words=tuple(
                heatmap(w.text, "cross-attention", (w.start, w.end), index) for index, w in enumerate(report.words)
            ),
            sentences=tuple(
                heatmap(f"sentence {index + 1}", "cross-attention", (s.start, s.end), index)
                for index, s in enumerate(report.sentences)
            ),
            findings=tuple(heatmap(name, "Grad-CAM", None, index) for index, name in enumerate(FINDINGS[:13])),
        )

    def badges(self, study: Study, report: Report) -> tuple[Badge, ...]:
        return (Badge("candidates disagree", f"{self.name} is in doubt."),) if self.name == "terse" else ()

    def blank_check(self, study: Study, report: Report, progress: ProgressCallback | None = None) -> BlankCheck:
        return BlankCheck(self.name == "terse", "Blank.", 0.25)


class FakeLibrary:
    """Two models that run and one without weights."""

    TEXTS = {
        "plain": "The heart is normal in size. There is a small left pleural effusion. Seen in VIEWS, BRIGHTNESS.",
        "terse": "No acute cardiopulmonary abnormality in VIEWS, BRIGHTNESS.",
    }

    def __init__(self, texts: dict[str, str] | None = None) -> None:
        self.texts = texts or self.TEXTS

    def list(self) -> list[ModelInfo]:
        known = [
            ModelInfo(name, name.title(), "Test et al., 2026", True, WEIGHTS, 1_200_000, "") for name in self.texts
        ]
        return [*known, ModelInfo("missing", "Missing", "Test et al., 2025", False, None, None, "Train it first.")]

    def reporter(self, name: str, progress: ProgressCallback | None = None) -> FakeReporter:
        del progress
        if name == "missing":
            raise InputError("The model missing has no weights. Train it: python train/train.py missing.")
        if name not in self.texts:
            raise InputError(f"There is no model {name!r}. Known models: plain, terse, missing.")
        return FakeReporter(name, self.texts[name])


def documented_example(name: str, url: str, page: str = "docs/api.md") -> str:
    """The Python example of a page that names `name`, for the app at `url`."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    (example,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if name in block)
    return re.sub(r"http://127\.0\.0\.1:7860/?", url, example)


@dataclass
class RunningApp:
    url: str
    settings: Settings
    store: FeedbackStore
    blocks: gr.Blocks
    service: Service


@contextmanager
def running(
    home: Path,
    library: object | None = None,
    data: Path | None = None,
    texts: dict[str, str] | None = None,
    changes: dict[str, Any] | None = None,
    limits: Limits | None = None,
    mcp: bool = False,
    **further: object,
) -> Iterator[RunningApp]:
    """The app on a free port, with a store of its own in `home`.

    `changes` are settings, `limits` those of requests, and `further` are options of `launch`.
    """
    home.mkdir(parents=True, exist_ok=True)
    settings = Settings(home, "127.0.0.1", 0, sqlite_url(home / "rrg.sqlite3"), home / "weights", data, mcp=mcp)
    settings = replace(settings, **(changes or {}))
    store = FeedbackStore(settings.database_url)
    service = Service(settings, library or FakeLibrary(texts), store)  # pyright: ignore[reportArgumentType]
    blocks = create_app(service, settings.auth == OAUTH)
    options = (
        launch_options(settings, service, Security(settings, service.audit, limits)) | {"server_port": None} | further
    )
    try:
        _, url, _ = blocks.launch(**options, prevent_thread_lock=True, quiet=True)
        send_json(blocks)
        yield RunningApp(url, settings, store, blocks, service)
    finally:
        blocks.close(verbose=False)
        store.close()


@pytest.fixture
def fake_library() -> FakeLibrary:
    return FakeLibrary()


@pytest.fixture(scope="session")
def run_app() -> Callable[..., AbstractContextManager[RunningApp]]:
    """Starts another app: `with run_app(home, ...) as app`."""
    return running


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """One app for the tests of a module."""
    with running(tmp_path_factory.mktemp("home")) as started:
        yield started


@pytest.fixture(scope="session")
def connect() -> Callable[[str], Client]:
    """Connects a client without limits of time, which a busy machine would exceed."""
    return lambda url: Client(url, verbose=False, httpx_kwargs={"timeout": None})


@pytest.fixture
def radiograph_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a 16-bit PNG whose pixels depend on `seed`; its name would identify a patient."""

    def write(seed: int = 0, name: str = "SMITH_JOHN_1950.png") -> Path:
        rows, columns = np.mgrid[0:256, 0:256] / 255
        noise = np.random.default_rng(seed).normal(0, 0.05, (256, 256))
        pixels = np.clip(np.hypot(rows - 0.5, columns - 0.4) + noise, 0, 1)
        path = tmp_path / str(seed) / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((pixels * 65535).astype(np.uint16)).save(path, format="PNG")
        return path

    return write


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real browser: the system's, else the one that Playwright installed."""
    with sync_playwright() as playwright:
        try:
            browser = launch_chromium(playwright.chromium)
        except PlaywrightError as error:
            pytest.skip(f"needs a Chromium (`playwright install chromium`): {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A new tab with empty storage. Questions of the browser ("leave this page?") are answered with yes."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    # Waits end when their condition holds. The limit is only for conditions that never do.
    tab.set_default_timeout(LIMIT)
    expect.set_options(timeout=LIMIT)
    tab.on("dialog", lambda dialog: dialog.accept())
    yield tab
    context.close()

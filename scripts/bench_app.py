"""Benchmark of the app as its readers have it: `make bench`, or python scripts/bench_app.py --help.

The app runs as a process of its own with the bundled models. A browser measures from a click to the report on the
page, and from pointing at a word to its map. Then programs ask for reports over HTTP. Compare only figures of one
machine with little other load.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import tyro
from bench_start import Started, memory, started
from browser import launch_chromium
from gradio_client import Client, handle_file
from playwright.sync_api import Page, expect, sync_playwright

from rrg.data.annotation import read_annotation
from rrg.data.phantom.data_folder import write_phantoms
from rrg.data.studies import ImageFile, Study
from rrg.errors import InputError
from rrg.inference.library import ModelLibrary
from rrg.ui.settings import Settings

WAIT = 600_000
"""Milliseconds after which a step of the browser fails."""
STAGGER = 0.5
"""Seconds between two clients that ask at once: their order is then the order of arrival."""

WRITE = """async () => {
  const status = document.querySelector("#status .line"), report = document.querySelector("#report");
  const text = () => report.querySelector(".word") || !report.querySelector(".partial").hidden;
  const when = (node, found) => new Promise((done) => {
    const look = () => { if (found()) { observer.disconnect(); done(performance.now() - clicked); } };
    const observer = new MutationObserver(look);
    observer.observe(node, { childList: true, subtree: true, characterData: true, attributes: true });
  });
  const clicked = performance.now();
  document.querySelector("#write").click();
  return await Promise.all([when(report, text), when(status, () => status.textContent.startsWith("Written in"))]);
}"""
"""Writes a report; milliseconds from the click to the first words, and to the report with its maps."""

POINT = """async (selector) => {
  const times = [];
  for (const word of document.querySelectorAll(selector)) {
    const pointed = performance.now();
    word.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
    times.push(performance.now() - pointed); // the map is painted before the event ends
    await new Promise((done) => requestAnimationFrame(done));
  }
  return times;
}"""


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one model, one entry a study or word."""

    first_words: list[float]
    report: list[float]
    overlay: list[float]


def main(
    data: Path | None = None,
    models: tuple[str, ...] = (),
    studies: int = 30,
    memory_studies: int = 200,
    clients: int = 20,
    size: int = 512,
) -> None:
    """Measure the app and print a table.

    Args:
        data: Folder with annotation.json and images; without it, synthetic studies.
        models: Names of models; without any, all that have weights.
        studies: Studies whose report is written on the page, for each model.
        memory_studies: Studies that are reported in turn by all models, for the memory of the process; 0 for none.
        clients: Programs that ask for a report at once; 0 for none.
        size: Side of the synthetic images in pixels.
    """
    known = ModelLibrary(Settings.from_env().weights).list()
    names = list(models) or [info.name for info in known if info.available]
    if unknown := set(names) - {info.name for info in known if info.available}:
        raise InputError(f"There are no weights of: {', '.join(sorted(unknown))}.")
    if studies < 1:
        raise InputError("At least one study is needed.")
    with TemporaryDirectory() as folder:
        if data is None:
            data = Path(folder) / "studies"
            write_phantoms(data, max(studies + 1, min(memory_studies, 40), clients), size=size)
        listed = read_annotation(data)
        with started(Path(folder) / "home", "--data", str(data)) as app:
            print(f"first page after {app.seconds:.1f} s; {len(listed)} studies of {data.name}", flush=True)
            _print_latency(app, names, listed[: studies + 1])
            if clients:
                _print_clients(app, names[0], listed, clients)
            if memory_studies:
                _print_memory(app, names, listed, memory_studies)


def _print_latency(app: Started, names: Sequence[str], studies: Sequence[Study]) -> None:
    print(f"\n{'ms, p50 / p95':<14}{'click to words':>18}{'to report + maps':>18}{'point to map':>18}")
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright.chromium)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(WAIT)
        expect.set_options(timeout=WAIT)
        for name in names:
            latency = _latency(page, app.url, name, studies)
            figures = (latency.first_words, latency.report, latency.overlay)
            print(f"{name:<14}" + "".join(f"{_percentiles(figure):>18}" for figure in figures), flush=True)
        if len(names) > 1:
            print(f"{f'{len(names)} compared':<14}{'':>36}{_percentiles(_compared(page, names)):>18}", flush=True)
        browser.close()


def _latency(page: Page, url: str, model: str, studies: Sequence[Study]) -> Latency:
    """Write a report on each study by a model, and point at its words. The first study is the warm-up."""
    first_words, reports, overlays = [], [], []
    for number, study in enumerate(studies):
        page.goto(f"{url}?study={study.id}&model={model}")
        expect(page.locator("#viewer canvas[data-ready]").first).to_be_visible()
        expect(page.locator("#status .line")).to_contain_text("Ready")
        words, report = page.evaluate(WRITE)
        if number:
            first_words.append(words)
            reports.append(report)
            overlays += page.evaluate(POINT, "#report .word")
    return Latency(first_words, reports, overlays)


def _compared(page: Page, names: Sequence[str]) -> list[float]:
    """Point at the words of the reports that models wrote on the open study, side by side."""
    page.get_by_role("tab", name="Compare", exact=True).click()
    expect(page.locator("#comparison th.column").first).to_be_visible()
    page.locator("#compare-bar input[type=checkbox]").evaluate_all(
        "(boxes, names) => boxes.forEach((box) => box.checked !== names.includes(box.value) && box.click())",
        list(names),
    )
    expect(page.locator("#compare-status .line")).to_contain_text(f"{len(names)} of {len(names)} written")
    expect(page.locator("#comparison th.column")).to_have_count(len(names))
    page.locator("#comparison .word").first.hover()
    expect(page.locator("#comparison th.column .caption").first).to_contain_text("max")  # the maps are there
    return page.evaluate(POINT, "#comparison .word")


def _print_clients(app: Started, model: str, studies: Sequence[Study], count: int) -> None:
    """Ask for reports at once, each by a client of its own, and compare the order of answers with that of arrival."""
    programs = [Client(app.url, verbose=False, httpx_kwargs={"timeout": None}) for _ in range(count)]
    finished: list[int] = []
    jobs = []
    begun = time.perf_counter()
    for number, program in enumerate(programs):
        files = _files(studies[number % len(studies)])
        job = program.submit(*files, model, api_name="/report")
        job.add_done_callback(lambda _, number=number: finished.append(number))
        jobs.append(job)
        time.sleep(STAGGER)
    failed = [error for job in jobs if (error := job.exception()) is not None]
    seconds = time.perf_counter() - begun
    order = sum(one > other for one, other in itertools.pairwise(finished))
    print(
        f"\n{count} clients at once: {count - len(failed)} got a report, all after {seconds:.1f} s; "
        f"{order} answered before one that came earlier"
    )
    if failed:
        raise InputError(f"{len(failed)} programs got no report. The first: {failed[0]}")


def _print_memory(app: Started, names: Sequence[str], studies: Sequence[Study], count: int) -> None:
    """Resident memory of the app while all models report in turn; flat once each model has been loaded."""
    program = Client(app.url, verbose=False, httpx_kwargs={"timeout": None})
    marks = {min(2 * len(names), count), *(count * share // 4 for share in (1, 2, 3, 4))}
    print(f"\nmemory with RRG_MEMORY={os.environ.get('RRG_MEMORY') or '2GB'}, reports by {len(names)} models in turn")
    for number in range(1, count + 1):
        files = _files(studies[number % len(studies)])
        program.predict(*files, names[number % len(names)], api_name="/report")
        if number in marks:
            print(f"{memory(app.process):>8.0f} MB after {number} studies", flush=True)


def _files(study: Study) -> list:
    """Frontal and lateral file of a study, for a program; None for a missing view."""
    images = {image.view: image for image in study.images if isinstance(image, ImageFile)}
    frontal = images.get("frontal") or images.get("unknown")
    return [handle_file(_on_disk(image, study.id)) if image else None for image in (frontal, images.get("lateral"))]


def _on_disk(image: ImageFile, study_id: str) -> Path:
    """The file of an image; that of an archive is written into the folder of temporary files."""
    if image.member is None:
        return image.path
    file = Path(gettempdir()) / f"rrg-bench-{study_id}-{image.view}{Path(image.member.name).suffix}"
    file.write_bytes(image.member.read())
    return file


def _percentiles(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.1f} / -" if values else "-"
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return f"{cuts[9]:.1f} / {cuts[18]:.1f}"


if __name__ == "__main__":
    try:
        tyro.cli(main, description=__doc__)
    except InputError as error:
        sys.exit(str(error))

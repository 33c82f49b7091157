"""Start of the app as a process of its own: time to the first page, and memory with one model and with all.

Part of `make bench`.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

from rrg.data.phantom import make_phantom
from rrg.errors import InputError

CHECKOUT = Path(__file__).resolve().parents[1]
STARTS = 3
POLL = 0.02
"""Seconds between two questions whether the page is there."""


def measure_start(models: Sequence[str]) -> dict[str, float]:
    """Seconds to the first page (median of `STARTS`), and resident memory in MB of the process of the app.

    Memory is measured when the page answers, after the first report of the first model, and after one report of each.
    The app itself loads the model that it offers first: name that one first.
    """
    seconds, figures = [], {}
    with TemporaryDirectory() as folder:
        for run in range(STARTS):
            with started(Path(folder) / str(run)) as app:
                seconds.append(app.seconds)
                if run < STARTS - 1:
                    continue
                figures["memory_page_mb"] = memory(app.process)
                frontal, lateral = _files(Path(folder))
                client = Client(app.url, verbose=False, httpx_kwargs={"timeout": None})
                for model in models:
                    client.predict(handle_file(frontal), handle_file(lateral), model, api_name="/report")
                    figures.setdefault("memory_one_model_mb", memory(app.process))
                figures["memory_all_models_mb"] = memory(app.process)
    return {"first_page_s": statistics.median(seconds)} | figures


def render_start(figures: dict[str, float], models: int) -> str:
    """One line for the table of the benchmark."""
    return (
        f"start of the app: first page after {figures['first_page_s']:.1f} s; memory "
        f"{figures['memory_page_mb']:.0f} MB with the page, {figures['memory_one_model_mb']:.0f} MB after a report, "
        f"{figures['memory_all_models_mb']:.0f} MB after one of each of {models} models"
    )


@dataclass(frozen=True)
class Started:
    """The running app."""

    process: int
    """Id of its process."""
    url: str
    seconds: float
    """From the start of the process to the first page."""


@contextmanager
def started(home: Path, *arguments: str) -> Iterator[Started]:
    """Start the app with a home of its own, and further arguments of app.py, and wait for its page."""
    port = _free_port()
    environment = os.environ | {"RRG_HOME": str(home), "HOST": "127.0.0.1", "PORT": str(port)}
    environment.pop("DATABASE_URL", None)  # the reports of the benchmark go into a database of its own
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "app.py", *arguments],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        while not _answers(url):
            if process.poll() is not None:
                output = process.stdout.read().decode(errors="replace") if process.stdout else ""
                raise InputError(f"The app did not start: {output.strip()[-500:]}")
            time.sleep(POLL)
        yield Started(process.pid, url, time.perf_counter() - begun)
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=None).status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _files(folder: Path) -> list[Path]:
    """A synthetic study as two PNG files, frontal first."""
    paths = []
    for radiograph in make_phantom(0, 512).study.radiographs():
        path = folder / f"{radiograph.view}.png"
        Image.fromarray(np.round(radiograph.pixels * 255).astype(np.uint8)).save(path)
        paths.append(path)
    return paths


def memory(process: int) -> float:
    """Resident memory of a process in MB."""
    answer = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True)
    return int(answer.stdout) * 1024 / 1e6

"""The line of text that says how far a report is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rrg.decoding.progress import Progress

_STEPS = {
    "loading model": "Loading the model",
    "reading images": "Reading the images",
    "encoding images": "Encoding the images",
    "greedy search": "Writing",
    "beam search": "Writing",
    "sampling": "Writing candidates",
    "scoring": "Choosing among the candidates",
}


def progress_text(progress: Progress) -> str:
    """Return the line for a state of progress: "32 candidates, 18 written"."""
    if progress.step == "sampling":
        return f"{progress.total} candidates, {progress.done} written"
    return f"{_STEPS[progress.step]}, {progress.words} words" if progress.words else _STEPS[progress.step]

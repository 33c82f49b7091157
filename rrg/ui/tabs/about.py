"""The About tab: what the app is, what it keeps, and its keys."""

from __future__ import annotations

import gradio as gr

from rrg.ui.examples import ATTRIBUTION
from rrg.ui.service import Service
from rrg.ui.tabs.read.layout import KEYS

_TEXT = """
## What this is
Models write the findings section of a chest X-ray report from one or two images. You see where a model looked, and
correct its text. **Research use only, not a medical device.** Reports are written by a model and are often wrong.

## What is kept
- Images: PNG, JPEG, WebP or DICOM, with or without a suffix. Names and headers are not kept. Uploaded files are deleted
  from the server within minutes; their pixels stay in its memory for as long as there is room.
- Reports and corrections are stored in the database of this server, with the name or code that you enter as reader.
- Drafts and your name stay in the browser tab and are deleted when it closes.
- The page makes no request to any other server. Only a public example is downloaded, when you choose it.

## Keys
{keys}
"""


def build(service: Service) -> None:
    """Build the tab in the current Blocks."""
    del service
    with gr.Column(elem_classes="prose-page"):
        rows = [*(f"| {key} | {meaning} |" for key, meaning in KEYS), "| ? | Keys of the viewer |"]
        gr.Markdown(_TEXT.replace("{keys}", "\n".join(["| key | does |", "|---|---|", *rows])))
        gr.Markdown(ATTRIBUTION, elem_classes="hint")

"""The vote between two reports whose models are hidden."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rrg.feedback import Vote
from rrg.feedback.records import MAX_REASON
from rrg.ui.components.element import element


def vote_form(elem_id: str = "vote") -> gr.HTML:
    """Build the component. Its value is `vote_value(...)`, or None outside of blind mode; its prop `failure` is a text.

    Its events are `vote` (`{choice, reason, reader}`) and `again`, which asks for another pair.
    """
    return element("vote_form", elem_id, value=None, failure=None, longest=MAX_REASON)


def vote_value(ready: bool, vote: Vote | None = None, titles: tuple[str, str] | None = None) -> dict[str, Any]:
    """Describe the state of a vote: whether both reports are `ready`, and the stored vote with the models' titles."""
    if vote is None or titles is None:
        return {"ready": ready, "vote": None}
    return {
        "ready": ready,
        "vote": {"choice": vote.choice, "reason": vote.reason, "reader": vote.reader, "titles": list(titles)},
    }

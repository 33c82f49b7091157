"""The Models tab: a card for each model, the one that is offered first at the head."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from rrg.ui.components import Example, example_pictures, model_card_view, speed_text
from rrg.ui.events import error_message
from rrg.ui.model_queue import Done, Running, Waiting
from rrg.ui.progress import progress_text
from rrg.ui.security.sessions import current_session
from rrg.ui.service import Service

_INTRO = """<h2 class="hidden-text">Models</h2>
<p>BLEU-4, ROUGE-L and CIDEr compare the words of a report with those of its reference, F1 its findings. Each figure
stands beside what two trivial baselines reach: one constant report for all studies, and the report of the train study
with the most similar image. The model with the highest mean of ROUGE-L and micro-F1 on val is offered first.</p>
"""


def build(service: Service) -> None:
    """Build the tab in the current Blocks and connect its events."""
    options: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
    first = service.first_model
    gr.HTML(_INTRO, padding=False, elem_id="models-intro")
    with gr.Column(elem_id="models"):
        for card in sorted(service.cards.values(), key=lambda card: card.info.name != first):
            name = card.info.name
            view = model_card_view(card, name == first, service.speed.of(name))
            view.example(_shown(service, name), None, view, trigger_mode="once", **options)
            view.seen(_measured(service, name), None, view, queue=False, **options)


async def example(service: Service, model: str, client: str | None, address: str = "") -> AsyncIterator[Example]:
    """Show the maps of a model on a synthetic study, after each step of the way there."""
    step = 0
    try:
        job = service.queue.run(lambda tell: service.explain_example(model, tell), client, address)
        async for state in job:
            match state:
                case Waiting(ahead):
                    yield Example(
                        "busy", "Waiting for the model" if ahead == 0 else f"Waiting: {ahead} before this one"
                    )
                case Running(str(text)):
                    step += 1
                    yield Example("busy", text, step)
                case Running(progress) if progress is not None:
                    yield Example("busy", progress_text(progress), step)
                case Done((study, explanation)):
                    pictures = await asyncio.to_thread(
                        example_pictures, service.cards[model].architecture, study.radiographs(), explanation
                    )
                    yield Example("done", pictures=pictures)
    except Exception as error:
        yield Example("failed", error_message(error))


def _shown(service: Service, model: str) -> Callable[..., AsyncIterator[dict[str, Any]]]:
    async def run(request: gr.Request) -> AsyncIterator[dict[str, Any]]:
        address = current_session(request).address
        async for state in example(service, model, request.session_hash, address):
            yield state.value()

    return run


def _measured(service: Service, model: str) -> Callable[[], Any]:
    return lambda: gr.update(speed=speed_text(service.speed.of(model)))

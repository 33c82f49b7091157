"""The card of a model that went on training on corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes import Recipe
from rrg.data.files import write_text
from training.feedback.figures import Comparison, render

_FRONT_MATTER = """---
library_name: transformers
tags: [medical, radiology, chest-x-ray, report-generation]
license: other
---
"""


@dataclass(frozen=True)
class Card:
    """What a card says of the training, beside the figures."""

    name: str
    start: str
    """Model that training started from."""
    start_sha256: str
    method: str
    trained: int
    """Corrections that the model was trained on."""
    trained_readers: int
    pairs: int
    """Corrections whose corrected and generated reports differ for the model."""
    stopping: int
    held_out: int
    total: int
    """Corrections in all three parts."""
    total_readers: int
    originals: int
    """Original studies in an epoch."""
    test_studies: int
    """Corrections of studies in the split test."""
    recipe: Recipe


def write_card(path: Path, card: Card, comparisons: Sequence[Comparison]) -> None:
    """Write README.md of a folder of weights."""
    recipe = card.recipe
    preference = (
        f"; direct preference optimisation on {card.pairs} pairs of a corrected and a generated report (beta "
        f"{recipe.preference_beta:g}, weight {recipe.preference_weight:g})"
        if recipe.preference_weight
        else ""
    )
    test = (
        f"\n\n**{card.test_studies} of the corrections are of studies in the split test.** Figures of this model on "
        "that split say nothing."
        if card.test_studies
        else ""
    )
    readers = f"{card.total} by {card.total_readers} readers. {card.trained} of them, by {card.trained_readers} readers"
    paragraphs = [
        f"# {card.name}",
        f"{card.start} after further training on corrections by readers. **Research use only; not a medical device.** "
        "Its reports are often wrong.",
        f"**Start.** `{card.start}`, weights sha256 `{card.start_sha256[:12]}`.",
        f"**Corrections.** {readers}, are the training data; {card.stopping} chose the checkpoint together with val "
        f"studies, and {card.held_out} are held out for the figures. All corrections of a study are in one part.{test}",
        f"**Recipe.** Likelihood of the corrected reports{preference}. Image encoder frozen; {recipe.optimizer}, "
        f"learning rate {recipe.lr_rest:g}, at most {recipe.epochs} epochs of {card.trained} corrections and "
        f"{card.originals} original train studies. `recipe.json` has all of it.",
        "**Decoding.** As that of the start.",
        "**Results** of the model before and after, by its own decoding. The share of an error is counted by the rule "
        "labeler on the studies where the error can occur; `feedback.json` has all figures.",
        *(render(comparison) for comparison in comparisons),
    ]
    write_text(path, _FRONT_MATTER + "\n\n".join(paragraphs) + "\n")

"""Generation settings of a recipe: beam search in training, MBR decoding in the saved model if the recipe has it."""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig

from recipes import Recipe
from rrg.data.tokenizer import UNKNOWN, WORD_START, ReportTokenizer


def search_settings(recipe: Recipe, tokenizer: ReportTokenizer, **further: Any) -> GenerationConfig:
    """Beam search with the recipe's length penalty, and the words that are never generated; with `further` settings."""
    vocabulary, end = tokenizer.get_vocab(), tokenizer.eos_token_id
    suppressed = (piece for word in (UNKNOWN, *recipe.suppressed_words) for piece in (word, WORD_START + word))
    return GenerationConfig(
        num_beams=recipe.beams,
        length_penalty=recipe.length_penalty if recipe.beams > 1 else 1.0,  # transformers refuses it without beams
        max_length=recipe.max_length,
        no_repeat_ngram_size=recipe.no_repeat_ngram,
        suppress_tokens=[vocabulary[piece] for piece in suppressed if piece in vocabulary],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=end,
        **further,
    )


def final_settings(recipe: Recipe, tokenizer: ReportTokenizer) -> GenerationConfig:
    """`search_settings`, and the recipe's MBR decoding as `consensus`: the generation_config.json of a saved model."""
    if recipe.mbr is None:
        return search_settings(recipe, tokenizer)
    return search_settings(recipe, tokenizer, consensus=recipe.mbr.to_dict())

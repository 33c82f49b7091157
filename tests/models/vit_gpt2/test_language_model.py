"""The language model and its masks."""

from __future__ import annotations

import pytest
import torch

from rrg.errors import InputError
from rrg.models.vit_gpt2.language_model import prefix_mask
from tests.models.vit_gpt2.small import model_of


def test_biogpt_has_no_cross_attention() -> None:
    with pytest.raises(InputError, match="prefix"):
        model_of(language_model="biogpt", fusion="cross_attention")


def test_the_prefix_mask_is_causal_and_hides_missing_mapped_tokens() -> None:
    mask = prefix_mask(torch.tensor([[True, False, True]]), 0, 5, torch.float32)[0, 0] == 0
    for query in range(5):
        for key in range(5):
            assert bool(mask[query, key]) == (key == query or (key < query and key != 1))
    later = prefix_mask(torch.tensor([[True, False, True]]), 3, 5, torch.float32)[0, 0] == 0
    assert torch.equal(later, mask[3:])

"""Which parameters each training stage changes."""

from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional as F

from recipes import RECIPES
from rrg.models.vit_gpt2.model import ViTGPT2, ViTGPT2Config
from tests.models.vit_gpt2.small import WORDS, model_of, study


@pytest.mark.parametrize("fusion", ["prefix", "cross_attention"])
def test_the_first_stage_changes_the_mapping_network_and_no_pretrained_weight(fusion: str) -> None:
    model = model_of(fusion=fusion)
    frozen = RECIPES["vit_gpt2"]["published_stage1"].frozen_parameters
    assert frozen is not None
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(re.match(frozen, name) is None)
    model.image_encoder.requires_grad_(False)
    before = {name: value.clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):  # a gate of 0 blocks the gradient in the first step
        model(**study(model), labels=F.pad(WORDS[:, 1:], (0, 1))).loss.backward()
        optimizer.step()
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert {"mapper.queries", "view_embedding.weight"} <= moved
    assert not [name for name in moved if name.startswith(("vit.", "image_encoder."))]
    learned = [name for name in moved if name.startswith("language_model.")]
    assert all("cross" in name for name in learned)
    assert bool(learned) == (fusion == "cross_attention")


def test_the_second_stage_trains_the_last_four_blocks_of_the_vit_alone() -> None:
    frozen = RECIPES["vit_gpt2"]["published"].frozen_parameters
    assert frozen is not None
    with torch.device("meta"):
        model = ViTGPT2(ViTGPT2Config())
    learning = {name for name, _ in model.named_parameters() if re.match(frozen, name) is None}
    blocks = {
        int(match[1]) for name in learning if (match := re.match(r"image_encoder\.backbone\.layers\.(\d+)\.", name))
    }
    assert blocks == {8, 9, 10, 11}
    assert "language_model.transformer.wte.weight" in learning

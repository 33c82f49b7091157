"""Pretrained ViT and language model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, ViTConfig, ViTModel

from rrg.errors import InputError
from tests.models.vit_gpt2.small import model_of


def test_pretrained_parts_are_loaded_from_local_folders(tmp_path: Path) -> None:
    torch.manual_seed(5)
    vision = ViTModel(
        ViTConfig(
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=48,
            image_size=64,
            patch_size=16,
        )
    )
    language = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=30, n_embd=32, n_layer=2, n_head=4, n_inner=48, n_positions=64, bos_token_id=0, eos_token_id=0
        )
    )
    vision.save_pretrained(tmp_path / "vit")
    language.save_pretrained(tmp_path / "gpt2")
    model = model_of(vit_input="pixels", vit_grid=4, fusion="cross_attention")
    model.load_pretrained_parts(tmp_path / "vit", tmp_path / "gpt2")
    torch.testing.assert_close(model.vision.layers[1].state_dict(), vision.layers[1].state_dict())
    torch.testing.assert_close(
        model.language_model.state_dict()["transformer.wte.weight"], language.state_dict()["transformer.wte.weight"]
    )
    with pytest.raises(InputError, match="another size"):
        model_of(hidden_size=16, num_heads=2, mapper_heads=2).load_pretrained_parts(None, tmp_path / "gpt2")

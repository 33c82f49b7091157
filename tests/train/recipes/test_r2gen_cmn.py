"""The published recipe of R2GenCMN."""

from __future__ import annotations

import torch

from recipes import RECIPES
from rrg.models.r2gen_cmn import R2GenCMN


def test_the_published_recipe_has_the_published_number_of_parameters() -> None:
    sizes = RECIPES["r2gen_cmn"]["published_iu"]
    with torch.device("meta"):
        model = R2GenCMN(R2GenCMN.config_class(vocab_size=761, **sizes.config))
    heads = sum(
        p.numel()
        for n, p in model.named_parameters()
        if n.startswith(("image_encoder.findings", "image_encoder.views"))
    )
    assert sum(p.numel() for p in model.parameters()) - heads == 59_053_369  # unique parameters of the published model

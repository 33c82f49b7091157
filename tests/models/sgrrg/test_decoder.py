"""The decoder that attends to image and regions."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from rrg.models.sgrrg.decoder import RegionDecoder


def test_a_study_without_regions_skips_the_attention_to_regions() -> None:
    torch.manual_seed(0)
    decoder = RegionDecoder(2, 16, 2, 16, 0.0).eval()
    x, image, regions = torch.randn(2, 5, 16), torch.randn(2, 6, 16), torch.randn(2, 29, 16)
    described = torch.zeros(2, 29, dtype=torch.bool)
    described[1, 3:7] = True
    before = decoder(x, image, regions, None, None, described, need_weights=True)
    for layer in decoder.layers:
        nn.init.normal_(cast(Any, layer).region_attention.output.weight)
        nn.init.normal_(cast(Any, layer).norms[2].weight)
    after = decoder(x, image, regions, None, None, described, need_weights=True)
    assert torch.equal(before.hidden[0], after.hidden[0])
    assert (before.hidden[1] - after.hidden[1]).abs().max() > 1e-3
    assert before.region_attentions is not None
    for weights in before.region_attentions:
        assert weights[0].abs().max() == 0
        torch.testing.assert_close(weights[1].sum(-1), torch.ones(2, 5))
        assert weights[1][..., ~described[1]].abs().max() == 0

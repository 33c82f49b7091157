"""The attention rollout of the ViT."""

from __future__ import annotations

import torch

from rrg.models.vit_gpt2.vit import attention_rollout


def test_rollout_is_that_of_a_loop_over_heads_and_layers() -> None:
    generator = torch.Generator().manual_seed(2)
    attentions = tuple(torch.rand(2, 3, 5, 5, generator=generator).softmax(-1) for _ in range(3))
    for image in range(2):
        flow = torch.eye(5)
        for weights in attentions:
            mixed = torch.zeros(5, 5)
            for head in range(3):
                mixed += weights[image, head] / 3
            for token in range(5):
                mixed[token] = 0.5 * mixed[token] + 0.5 * torch.eye(5)[token]
            flow = mixed @ flow
        torch.testing.assert_close(attention_rollout(attentions)[image], flow[0, 1:])

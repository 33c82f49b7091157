"""Attention, norms, positions and masks against independent definitions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import DynamicCache, EncoderDecoderCache

from rrg.layers.transformer import Decoder, Encoder, MultiHeadAttention, UnbiasedLayerNorm, causal_mask, sinusoid


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(16, 4, 0.0).eval(), nn.MultiheadAttention(16, 4, batch_first=True).eval()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)
    x, source = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    mask = torch.tensor([[True] * 5, [True, True, False, False, True]])
    expected, weights = theirs(x, source, source, key_padding_mask=~mask, average_attn_weights=False)
    for need_weights in (False, True):
        out, own_weights = ours(x, source, mask[:, None, None, :], need_weights=need_weights)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own_weights, weights, atol=1e-6, rtol=1e-5)


def test_heads_must_divide_the_hidden_size() -> None:
    with pytest.raises(ValueError, match="multiple"):
        MultiHeadAttention(10, 4, 0.0)


def test_the_norm_divides_by_the_unbiased_std_plus_eps() -> None:
    norm = UnbiasedLayerNorm(4)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        norm.bias.fill_(0.5)
    x = [1.0, 2.0, 4.0, 9.0]
    std = math.sqrt(sum((v - 4) ** 2 for v in x) / 3)
    expected = [(i + 1) * (v - 4) / (std + 1e-6) + 0.5 for i, v in enumerate(x)]
    assert norm(torch.tensor(x)).tolist() == pytest.approx(expected, rel=1e-5)
    assert norm(torch.ones(4)).isfinite().all()


def test_positions_alternate_sine_and_cosine() -> None:
    code = sinusoid(torch.tensor([0, 7]), 6, torch.float32)
    expected = [f(7 / 10000 ** (i / 6)) for i in (0, 2, 4) for f in (math.sin, math.cos)]
    assert code[0].tolist() == [0, 1, 0, 1, 0, 1]
    assert code[1].tolist() == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_a_word_attends_to_itself_and_the_unpadded_words_before_it(ids: list[int]) -> None:
    ids[0] = 0
    mask = causal_mask(torch.tensor([ids]))
    assert mask is not None
    for query in range(len(ids)):
        for key in range(len(ids)):
            assert mask[0, 0, query, key].item() == (key <= query and (key == 0 or ids[key] != 0))


def test_several_words_after_a_past_attend_to_the_past_and_each_other_causally() -> None:
    mask = causal_mask(torch.tensor([[5, 6]]), past_length=2)
    assert mask is not None
    assert mask[0, 0].tolist() == [[True, True, True, False], [True, True, True, True]]
    assert causal_mask(torch.tensor([[5]]), past_length=2) is None


def test_masked_tokens_do_not_change_the_encoding_of_the_others() -> None:
    torch.manual_seed(0)
    encoder = Encoder(2, 16, 4, 24, 0.0).eval()
    x, mask = torch.randn(1, 6, 16), torch.tensor([[True] * 4 + [False] * 2])
    other = torch.cat([x[:, :4], torch.randn(1, 2, 16)], dim=1)
    torch.testing.assert_close(encoder(x, mask)[:, :4], encoder(other, mask)[:, :4])
    torch.testing.assert_close(encoder(x, mask)[:, :4], encoder(x[:, :4]))


def test_the_image_is_projected_once_for_a_whole_report() -> None:
    torch.manual_seed(0)
    decoder = Decoder(2, 16, 4, 24, 0.0).eval()
    calls = []
    decoder.layers[0].cross_attention.key.register_forward_hook(lambda *_: calls.append(1))
    cache, memory = EncoderDecoderCache(DynamicCache(), DynamicCache()), torch.randn(1, 5, 16)
    for _ in range(4):
        decoder(torch.randn(1, 1, 16), memory, None, None, cache)
    assert len(calls) == 1
    assert cache.get_seq_length() == 4

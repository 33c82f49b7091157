"""The CPU shortcuts of the memory change no response."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from rrg.layers import memory_transformer
from rrg.layers.memory_transformer import MemoryTransformer

SIZES = SimpleNamespace(
    hidden_size=16,
    num_heads=4,
    ffn_size=16,
    dropout=0.0,
    memory_slots=20,
    topk=4,
    num_encoder_layers=1,
    num_decoder_layers=1,
    vocab_size=12,
)


@pytest.fixture
def transformer() -> MemoryTransformer:
    torch.manual_seed(0)
    transformer = MemoryTransformer(SIZES)
    torch.nn.init.normal_(transformer.memory)
    return transformer.eval()


def test_many_tokens_query_the_memory_in_parts(transformer: MemoryTransformer, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, memory = torch.randn(3, 7, 16), transformer.project_memory()
    whole = transformer.respond(tokens, memory)
    queries: list[int] = []
    transformer.read.register_forward_hook(lambda _, inputs, __: queries.append(inputs[0].shape[1]))
    monkeypatch.setattr(memory_transformer, "_QUERY_BATCH", 8)
    torch.testing.assert_close(transformer.respond(tokens, memory), whole)
    assert queries == [8, 8, 5]


def test_each_word_and_position_queries_the_memory_once(transformer: MemoryTransformer) -> None:
    ids, memory = torch.tensor([[0, 5, 5, 7], [0, 5, 6, 7], [0, 4, 6, 7]]), transformer.project_memory()
    queries: list[int] = []
    transformer.read.register_forward_hook(lambda _, inputs, __: queries.append(inputs[0].shape[:2].numel()))
    responded = transformer._respond_to_words(ids, 2, memory)
    torch.testing.assert_close(responded, transformer.respond(transformer.words(ids, 2), memory))
    assert queries == [6, 12], "six different pairs of word and position"

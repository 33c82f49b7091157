"""The published systems once more, straight from their mathematics, on weights under the authors' names.

Nothing here comes from `rrg`: the backbones are torchvision's, and every step computes the whole prefix anew, without
a cache. `test_full_size.py` compares converted checkpoints with it, word by word.

Shapes: B studies or beams, N visual tokens, T words, M slots of a memory, D hidden size.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

State = dict[str, Tensor]
NextWord = Callable[[Tensor], Tensor]
"""Words with BOS [B, T] -> log-probabilities [B, V] of the next one."""


def read_images(pictures: Sequence[Image.Image]) -> Tensor:
    """The authors' transform of test images: [V, 3, 224, 224]."""
    transform = torchvision.transforms.Compose(
        [
            torchvision.transforms.Resize((224, 224)),
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    return torch.stack([transform(picture.convert("RGB")) for picture in pictures])


def beam_search(next_word: NextWord, beams: int, limit: int) -> list[int]:
    """Words of one study after BOS, up to the first end, by the search of the R2Gen code.

    An ended beam is copied to the finished ones and keeps its place, with 1,000 less. There is no early stop.
    """
    words, sums = torch.zeros(1, 1, dtype=torch.long), torch.zeros(1)  # only BOS
    finished: list[tuple[float, list[int]]] = []
    for step in range(limit):
        totals = sums[:, None] + next_word(words)  # [K,V]
        sums, index = totals.flatten().topk(beams)
        words = torch.cat((words[index // totals.shape[1]], index[:, None] % totals.shape[1]), dim=1)
        for beam in range(beams):
            if words[beam, -1] == 0 or step == limit - 1:
                finished.append((float(sums[beam]), words[beam, 1:].tolist()))
                sums[beam] -= 1000
    best = max(finished, key=lambda entry: entry[0])[1]
    return list(itertools.takewhile(lambda word: word != 0, best))


# Parts of all systems -------------------------------------------------------------------------------------------------


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def heads_of(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)  # [...,n,D] -> [...,heads,n,D/heads]


def attend(
    state: State, name: str, x: Tensor, over: Tensor, heads: int, mask: Tensor | None = None, k: int = 0
) -> Tensor:
    """Multi-head attention; with `k` each head of each token keeps its k highest scores alone."""
    query, key, value = (
        heads_of(linear(state, f"{name}.linears.{i}", y), heads) for i, y in enumerate((x, over, over))
    )  # [B,H,n,D/H]
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    if k:
        best, slots = scores.topk(k, dim=-1)
        scores = torch.full_like(scores, -math.inf).scatter(-1, slots, best)
    read = (scores.softmax(-1) @ value).transpose(-3, -2).flatten(-2)
    return linear(state, f"{name}.linears.3", read)


def unbiased_norm(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    deviation = x.var(-1, unbiased=True, keepdim=True).sqrt()
    return gain * (x - x.mean(-1, keepdim=True)) / (deviation + 1e-6) + shift


def positions(length: int, size: int, first: int = 0) -> Tensor:
    angle = torch.arange(first, first + length)[:, None] * torch.exp(
        torch.arange(0, size, 2) * (-math.log(10000.0) / size)
    )
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2)  # [T,D]: sin, cos, sin, cos, ...


def embed(state: State, name: str, words: Tensor, first: int = 0) -> Tensor:
    table = state[name]
    return table[words] * math.sqrt(table.shape[1]) + positions(words.shape[1], table.shape[1], first)


def word_mask(words: Tensor) -> Tensor:
    """[B,1,T,T]: a word attends to itself and those before it, but not to padding; BOS always counts."""
    valid = words > 0
    valid[:, 0] = True
    return (valid[:, None, :] & torch.ones(words.shape[1], words.shape[1], dtype=torch.bool).tril())[:, None]


def feed_forward(state: State, name: str, x: Tensor, activation: Callable[[Tensor], Tensor] = F.relu) -> Tensor:
    return linear(state, f"{name}.w_2", activation(linear(state, f"{name}.w_1", x)))


def layers(state: State, stack: str) -> list[str]:
    numbers = {
        int(key.removeprefix(f"{stack}.layers.").split(".")[0]) for key in state if key.startswith(f"{stack}.layers.")
    }
    return [f"{stack}.layers.{i}" for i in sorted(numbers)]


# R2GenCMN and XProNet -------------------------------------------------------------------------------------------------

HEADS = 8
MODEL = "encoder_decoder.model"


def named_norm(state: State, name: str, x: Tensor) -> Tensor:
    first, second = ("a_2", "b_2") if f"{name}.a_2" in state else ("gamma", "beta")
    return unbiased_norm(x, state[f"{name}.{first}"], state[f"{name}.{second}"])


def encoder(state: State, x: Tensor) -> Tensor:
    for layer in layers(state, f"{MODEL}.encoder"):
        normed = named_norm(state, f"{layer}.sublayer.0.norm", x)
        x = x + attend(state, f"{layer}.self_attn", normed, normed, HEADS)
        x = x + feed_forward(state, f"{layer}.feed_forward", named_norm(state, f"{layer}.sublayer.1.norm", x))
    return named_norm(state, f"{MODEL}.encoder.norm", x)


def decoder(state: State, x: Tensor, image: Tensor, mask: Tensor, norm: Callable[[str, Tensor], Tensor]) -> Tensor:
    for layer in layers(state, f"{MODEL}.decoder"):
        normed = norm(f"{layer}.sublayer.0.norm", x)
        x = x + attend(state, f"{layer}.self_attn", normed, normed, HEADS, mask)
        x = x + attend(state, f"{layer}.src_attn", norm(f"{layer}.sublayer.1.norm", x), image, HEADS)
        x = x + feed_forward(state, f"{layer}.feed_forward", norm(f"{layer}.sublayer.2.norm", x))
    return linear(state, "encoder_decoder.logit", named_norm(state, f"{MODEL}.decoder.norm", x)).log_softmax(-1)


def backbone_state(state: State) -> State:
    prefix = "visual_extractor.model."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def resnet_tokens(state: State, images: Tensor) -> Tensor:
    """[V,3,224,224] -> the projected tokens [1,V*49,D]."""
    backbone = nn.Sequential(*list(torchvision.models.resnet101().children())[:-2]).eval()
    backbone.load_state_dict(backbone_state(state))
    tokens = backbone(images).flatten(2).transpose(1, 2).flatten(0, 1)[None]
    return F.relu(linear(state, "encoder_decoder.att_embed.0", tokens))


def each_once(vector_of: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor], Tensor]:
    """Text [B,T,D] of words [B,T] by `vector_of(word [1,1], position)`, which is called once for each pair."""
    vector = functools.cache(lambda word, position: vector_of(torch.tensor([[word]]), position)[0, 0])
    return lambda words: torch.stack([torch.stack([vector(w, i) for i, w in enumerate(row)]) for row in words.tolist()])


def r2gen_cmn(state: State, images: Tensor) -> NextWord:
    memory, k = state["encoder_decoder.memory_matrix"], 32

    def respond(x: Tensor) -> Tensor:
        return x + attend(state, "encoder_decoder.cmn", x, memory[None], HEADS, k=k)

    tokens = respond(resnet_tokens(state, images))
    image = encoder(state, tokens + positions(tokens.shape[1], tokens.shape[2]))

    text = each_once(lambda word, i: respond(embed(state, f"{MODEL}.tgt_embed.0.lut.weight", word, i)))

    def next_word(words: Tensor) -> Tensor:
        return decoder(state, text(words), image, word_mask(words), lambda name, x: named_norm(state, name, x))[:, -1]

    return next_word


def xpronet(state: State, images: Tensor) -> NextWord:
    """With all 14 labels given, in the order of the file."""
    memory, k = linear(state, "encoder_decoder.dim_reduction", state["encoder_decoder.protypes"]), 15

    def fuse(x: Tensor, name: str) -> Tensor:
        return linear(
            state, name, torch.cat((x, attend(state, "encoder_decoder.cmn", x, memory[None], HEADS, k=k)), -1)
        )

    tokens = fuse(resnet_tokens(state, images), "encoder_decoder.fuse_feature")
    image = encoder(state, tokens + positions(tokens.shape[1], tokens.shape[2]))

    text = each_once(
        lambda word, i: fuse(embed(state, f"{MODEL}.tgt_embed.0.lut.weight", word, i), f"{MODEL}.fuse_feature")
    )

    def next_word(words: Tensor) -> Tensor:
        return decoder(state, text(words), image, word_mask(words), lambda name, x: named_norm(state, name, x))[:, -1]

    return next_word


# CAMANet --------------------------------------------------------------------------------------------------------------


def relational_memory(state: State, embedded: Tensor) -> Tensor:
    """Embedded words [B,T,D] -> the flattened memory after each [B,T,3*D]."""
    name, slots = f"{MODEL}.rm", 3
    memory = torch.eye(slots, embedded.shape[2]).expand(len(embedded), -1, -1)
    steps = []
    for word in embedded.unbind(1):
        word = word[:, None]  # [B,1,D]
        attended = memory + attend(state, f"{name}.attn", memory, torch.cat((memory, word), 1), HEADS)
        hidden = F.relu(linear(state, f"{name}.mlp.0", attended))
        attended = attended + F.relu(linear(state, f"{name}.mlp.2", hidden))
        gates = linear(state, f"{name}.W", word) + linear(state, f"{name}.U", memory.tanh())
        write, keep = gates.chunk(2, dim=-1)
        memory = write.sigmoid() * attended.tanh() + keep.sigmoid() * memory
        steps.append(memory.flatten(1))
    return torch.stack(steps, dim=1)


def camanet(state: State, images: Tensor) -> NextWord:
    backbone = torchvision.models.densenet121().features.eval()
    backbone.load_state_dict(backbone_state(state))
    tokens = F.relu(backbone(images)).flatten(2).transpose(1, 2)  # [V,49,C]
    probabilities = linear(state, "visual_extractor.head", tokens.mean(1).mean(0)).sigmoid()  # [14]
    tokens = tokens.flatten(0, 1)  # [N,C]
    activation = F.relu(state["visual_extractor.head.weight"] @ tokens.T)  # [14,N]
    activation = (activation * (probabilities >= 0.5)[:, None]).amax(0)
    activation = activation - activation.min()
    activation = activation / activation.max().clamp(min=1e-12)
    foreground = named_norm(state, "fore_back_learn.fore_norm", activation @ tokens)
    tokens = torch.cat((foreground[None], tokens))[None]  # [1,1+N,C]
    image = encoder(state, F.relu(linear(state, "encoder_decoder.att_embed.0", tokens)))[:, 1:]

    def next_word(words: Tensor) -> Tensor:
        text = embed(state, f"{MODEL}.tgt_embed.0.lut.weight", words)
        memory = relational_memory(state, text)

        def norm(name: str, x: Tensor) -> Tensor:
            gain, shift = (
                state[f"{name}.{part}"]
                + linear(state, f"{name}.mlp_{part}.2", F.relu(linear(state, f"{name}.mlp_{part}.0", memory)))
                for part in ("gamma", "beta")
            )
            return unbiased_norm(x, gain, shift)

        return decoder(state, text, image, word_mask(words), norm)[:, -1]

    return next_word


# SGRRG ----------------------------------------------------------------------------------------------------------------


def layer_norm(state: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def plain_encoder(state: State, stack: str, x: Tensor, mask: Tensor | None = None) -> Tensor:
    for layer in layers(state, stack):
        normed = layer_norm(state, f"{layer}.sublayer.0.norm", x)
        x = x + attend(state, f"{layer}.self_attn", normed, normed, HEADS, mask)
        x = x + feed_forward(state, f"{layer}.feed_forward", layer_norm(state, f"{layer}.sublayer.1.norm", x), F.gelu)
    return layer_norm(state, f"{stack}.norm", x)


def predicted_regions(state: State, tokens: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens [49,C] and boxes [29,4] in pixels -> the numbers of the described regions [K], and a vector of each."""
    query = linear(state, "region_selector.ff", tokens.mean(0))[None]
    memory = linear(state, "region_selector.mem_proj", state["region_selector.memory"])
    read = attend(state, "region_selector.cmn", query[None], memory[None], 32, k=32)[0]
    fused = F.gelu(linear(state, "region_selector.fuse_proj.0", torch.cat((query, read), -1)))
    chosen = (linear(state, "region_selector.region_head", fused)[0].sigmoid() > 0.2).nonzero()[:, 0]
    maps = tokens.T.unflatten(1, (7, 7))[None]
    pooled = torchvision.ops.roi_pool(maps, [boxes], output_size=1, spatial_scale=7 / 224).flatten(1)  # [29,C]
    hidden = F.gelu(layer_norm(state, "attribute_predictor.ff.1", linear(state, "attribute_predictor.ff.0", pooled)))
    graph, vectors = "scene_graph_encoder", []
    kinds, table = state[f"{graph}.token_type_embeddings.weight"], state[f"{graph}.att_embedding.weight"]
    sizes = [len(state[f"attribute_predictor.attribute_heads.{region}.bias"]) for region in range(len(boxes))]
    for region in chosen.tolist():
        logits = linear(state, f"attribute_predictor.attribute_heads.{region}", hidden[region])
        ids = (logits.sigmoid() > 0.5).nonzero()[:, 0] + sum(sizes[:region])
        node = linear(state, f"{graph}.proj", hidden[region])[None] + kinds[region]
        attributes = layer_norm(state, f"{graph}.att_norm", table[ids] + kinds[-1])
        encoded = plain_encoder(state, f"{graph}.sg_encoder", torch.cat((node, attributes))[None])
        vectors.append(encoded[0].amax(0))
    return chosen, torch.stack(vectors)


def sgrrg_log_probabilities(state: State, tokens: Tensor, boxes: Tensor, words: Tensor) -> Tensor:
    """Patch tokens [49,C] of the backbone, boxes [29,4] in pixels, words with BOS [1,T] -> [1,T,V]."""
    _, regions = predicted_regions(state, tokens, boxes)
    image = F.gelu(layer_norm(state, "att_embed.1", linear(state, "att_embed.0", tokens)))[None]
    image = plain_encoder(state, "vision_encoder", image)
    x, mask = embed(state, "word_embedding.word_embedding.lut.weight", words), word_mask(words)
    for layer in layers(state, "decoder"):
        normed = layer_norm(state, f"{layer}.sublayer.0.norm", x)
        x = x + attend(state, f"{layer}.self_attn", normed, normed, HEADS, mask)
        x = x + attend(state, f"{layer}.cross_attn_img", layer_norm(state, f"{layer}.sublayer.1.norm", x), image, HEADS)
        normed = layer_norm(state, f"{layer}.sublayer.2.norm", x)
        x = x + attend(state, f"{layer}.cross_attn_sg", normed, regions[None], HEADS)
        x = x + feed_forward(state, f"{layer}.feed_forward", layer_norm(state, f"{layer}.sublayer.3.norm", x), F.gelu)
    return linear(state, "rrg_head", layer_norm(state, "decoder.norm", x)).log_softmax(-1)

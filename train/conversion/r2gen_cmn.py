"""Published checkpoints of R2GenCMN."""

from __future__ import annotations

from conversion.keys import KeyTable
from conversion.published import FINDINGS_HEAD, NO_CLASSIFIER, VIEWS_HEAD, Published, length, transformer_sizes

MEMORY_NETWORK_KEYS: KeyTable = (
    (r"visual_extractor\.model\.(?P<stage>[014567])\.(?P<tail>.+)", "image_encoder.backbone.{stage:resnet}.{tail}"),
    (r"encoder_decoder\.att_embed\.0\.(?P<tail>weight|bias)", "project.0.{tail}"),
    (r"encoder_decoder\.memory_matrix", "memory"),
    (r"encoder_decoder\.cmn\.linears\.(?P<linear>\d)\.(?P<tail>.+)", "read.{linear:projection}.{tail}"),
    (r"encoder_decoder\.model\.cmn\.linears\.(?P<linear>\d)\.(?P<tail>.+)", "read.{linear:projection}.{tail}"),
    (r"encoder_decoder\.model\.tgt_embed\.0\.lut\.weight", "words.table.weight"),
    (r"encoder_decoder\.model\.(?:src_embed\.0|tgt_embed\.1)\.pe", ""),
    (r"encoder_decoder\.logit\.(?P<tail>.+)", "head.{tail}"),
    (
        r"encoder_decoder\.model\.encoder\.layers\.(?P<i>\d+)\.self_attn\.linears\.(?P<linear>\d)\.(?P<tail>.+)",
        "visual_encoder.layers.{i}.attention.{linear:projection}.{tail}",
    ),
    (
        r"encoder_decoder\.model\.decoder\.layers\.(?P<i>\d+)\.self_attn\.linears\.(?P<linear>\d)\.(?P<tail>.+)",
        "text_decoder.layers.{i}.self_attention.{linear:projection}.{tail}",
    ),
    (
        r"encoder_decoder\.model\.decoder\.layers\.(?P<i>\d+)\.src_attn\.linears\.(?P<linear>\d)\.(?P<tail>.+)",
        "text_decoder.layers.{i}.cross_attention.{linear:projection}.{tail}",
    ),
    (
        r"encoder_decoder\.model\.(?P<stack>encoder|decoder)\.layers\.(?P<i>\d+)\.feed_forward\.w_(?P<w>[12])\.(?P<tail>.+)",
        "{stack:stack}.layers.{i}.feed_forward.{w:ffn}.{tail}",
    ),
    (
        r"encoder_decoder\.model\.(?P<stack>encoder|decoder)\.layers\.(?P<i>\d+)\.sublayer\.(?P<k>\d)\.norm\.(?P<n>[ab])_2",
        "{stack:stack}.layers.{i}.norms.{k}.{n:norm}",
    ),
    (r"encoder_decoder\.model\.(?P<stack>encoder|decoder)\.norm\.(?P<n>[ab])_2", "{stack:stack}.norm.{n:norm}"),
)
"""R2GenCMN and XProNet have these weights."""

_KEYS: KeyTable = tuple(
    (theirs, ours if not ours or ours.startswith(("image_encoder.", "project.")) else f"transformer.{ours}")
    for theirs, ours in MEMORY_NETWORK_KEYS
)

PUBLISHED = Published(
    keys=_KEYS,
    differences=(
        "Greedy search of the authors' code divides the probability of a word that would repeat a trigram by four, "
        "unless --block_trigrams 0 is given; here it does not. Their default is beam search, where that option has no "
        "effect. With --beam_size 1 alone their code samples.",
    ),
    sizes=transformer_sizes("transformer.", memory_slots=length("transformer.memory")),
    absent=(FINDINGS_HEAD, VIEWS_HEAD),
    has_classes=False,
    warning=NO_CLASSIFIER,
)

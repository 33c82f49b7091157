"""Published checkpoints of CAMANet."""

from __future__ import annotations

from conversion.keys import KeyTable
from conversion.published import ALPHABETICAL, VIEWS_HEAD, Published, Shapes, transformer_sizes

_KEYS: KeyTable = (
    (r"visual_extractor\.head\.(?P<tail>.+)", "image_encoder.findings.{tail}"),
    (r"visual_extractor\.model\.(?P<tail>.+)", "image_encoder.backbone.features.{tail}"),
    (r"fore_back_learn\.(?:fore_)?norm\.(?P<n>gamma|beta)", "foreground_norm.{n:norm}"),
    (r"fore_back_learn\.back_norm\.(?:gamma|beta)", ""),
    (r"encoder_decoder\.att_embed\.0\.(?P<tail>weight|bias)", "project.0.{tail}"),
    (r"encoder_decoder\.model\.tgt_embed\.0\.lut\.weight", "words.table.weight"),
    (r"encoder_decoder\.model\.tgt_embed\.1\.pe", ""),
    (r"encoder_decoder\.logit\.(?P<tail>.+)", "head.{tail}"),
    (
        r"encoder_decoder\.model\.rm\.attn\.linears\.(?P<linear>\d)\.(?P<tail>.+)",
        "text_decoder.memory.attention.{linear:projection}.{tail}",
    ),
    (r"encoder_decoder\.model\.rm\.mlp\.(?P<tail>.+)", "text_decoder.memory.mlp.{tail}"),
    (r"encoder_decoder\.model\.rm\.(?P<gates>[WU])\.(?P<tail>.+)", "text_decoder.memory.{gates:gates}.{tail}"),
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
        r"encoder_decoder\.model\.decoder\.layers\.(?P<i>\d+)\.sublayer\.(?P<k>\d)\.norm\.mlp_(?P<c>gamma|beta)\.(?P<tail>.+)",
        "text_decoder.layers.{i}.norms.{k}.{c:condition}.{tail}",
    ),
    (
        r"encoder_decoder\.model\.(?P<stack>encoder|decoder)\.layers\.(?P<i>\d+)\.sublayer\.(?P<k>\d)\.norm\.(?P<n>gamma|beta)",
        "{stack:stack}.layers.{i}.norms.{k}.{n:norm}",
    ),
    (r"encoder_decoder\.model\.(?P<stack>encoder|decoder)\.norm\.(?P<n>gamma|beta)", "{stack:stack}.norm.{n:norm}"),
)
"""The norm of CAMANet's background belongs to an option that no published script enables."""


def _relational_slots(shapes: Shapes) -> int:
    """The networks of the conditional norm have all slots of the relational memory, concatenated, as input."""
    return shapes["text_decoder.layers.0.norms.0.gain.0.weight"][1] // shapes["project.0.weight"][0]


PUBLISHED = Published(
    keys=_KEYS,
    sizes=transformer_sizes("", memory_slots=_relational_slots),
    absent=(VIEWS_HEAD,),
    switches={"legacy_consistency": True},
    classes={"published_iu": ALPHABETICAL},
    differences=("Beam size 1 is greedy search; the search that their code calls greedy does not run.",),
)

"""Published checkpoints of SGRRG."""

from __future__ import annotations

from conversion.keys import KeyTable
from conversion.published import VIEWS_HEAD, Published, Shapes, length, transformer_sizes

_STACKS = r"(?P<stack>vision_encoder|scene_graph_encoder\.sg_encoder|decoder)"

_KEYS: KeyTable = (
    (r"visual_extractor\.model\..+\.(?:attn_mask|relative_position_index)", ""),
    # timm now has the downsampling between two stages at the start of the later one
    (
        r"visual_extractor\.model\.layers\.(?P<i>\d)\.downsample\.(?P<tail>.+)",
        "image_encoder.backbone.layers.{i:next_stage}.downsample.{tail}",
    ),
    (r"visual_extractor\.model\.(?P<tail>.+)", "image_encoder.backbone.{tail}"),
    (r"dis_head\.disease_head\.(?P<tail>.+)", "image_encoder.findings.{tail}"),
    (r"att_embed\.(?P<tail>[01]\..+)", "project.{tail}"),
    (r"word_embedding\.word_embedding\.lut\.weight", "words.table.weight"),
    (r"word_embedding\.pe", ""),
    (r"rrg_head\.(?P<tail>.+)", "head.{tail}"),
    (r"region_selector\.memory", "region_selector.memory"),
    (r"region_selector\.ff\.(?P<tail>.+)", "region_selector.query.{tail}"),
    (r"region_selector\.mem_proj\.(?P<tail>.+)", "region_selector.project.{tail}"),
    (
        r"region_selector\.cmn\.linears\.(?P<linear>\d)\.(?P<tail>.+)",
        "region_selector.read.{linear:projection}.{tail}",
    ),
    (r"region_selector\.fuse_proj\.(?P<tail>.+)", "region_selector.fuse.{tail}"),
    (r"region_selector\.region_head\.(?P<tail>.+)", "region_selector.head.{tail}"),
    (r"attribute_predictor\.ff\.(?P<tail>.+)", "attribute_predictor.network.{tail}"),
    (r"attribute_predictor\.attribute_heads\.(?P<tail>.+)", "attribute_predictor.heads.{tail}"),
    (r"scene_graph_encoder\.proj\.(?P<tail>.+)", "scene_graph_encoder.project.{tail}"),
    (r"scene_graph_encoder\.token_type_embeddings\.weight", "scene_graph_encoder.kinds.weight"),
    (r"scene_graph_encoder\.att_embedding\.weight", "scene_graph_encoder.attributes.weight"),
    (r"scene_graph_encoder\.att_norm\.(?P<tail>.+)", "scene_graph_encoder.norm.{tail}"),
    (
        r"decoder\.layers\.(?P<i>\d+)\.(?P<a>self_attn|cross_attn_img|cross_attn_sg)\.linears\.(?P<linear>\d)\.(?P<tail>.+)",
        "text_decoder.layers.{i}.{a:attention}.{linear:projection}.{tail}",
    ),
    (
        _STACKS + r"\.layers\.(?P<i>\d+)\.self_attn\.linears\.(?P<linear>\d)\.(?P<tail>.+)",
        "{stack:stack}.layers.{i}.attention.{linear:projection}.{tail}",
    ),
    (
        _STACKS + r"\.layers\.(?P<i>\d+)\.feed_forward\.w_(?P<w>[12])\.(?P<tail>.+)",
        "{stack:stack}.layers.{i}.feed_forward.{w:ffn}.{tail}",
    ),
    (
        _STACKS + r"\.layers\.(?P<i>\d+)\.sublayer\.(?P<k>\d)\.norm\.(?P<tail>.+)",
        "{stack:stack}.layers.{i}.norms.{k}.{tail}",
    ),
    (_STACKS + r"\.norm\.(?P<tail>.+)", "{stack:stack}.norm.{tail}"),
)
"""Masks and indices of the Swin backbone are computed from its sizes."""


def _attribute_sizes(shapes: Shapes) -> tuple[int, ...]:
    heads = sum(name.startswith("attribute_predictor.heads.") and name.endswith(".weight") for name in shapes)
    return tuple(shapes[f"attribute_predictor.heads.{region}.weight"][0] for region in range(heads))


PUBLISHED = Published(
    keys=_KEYS,
    sizes=transformer_sizes(
        "",
        region_size=length("region_selector.query.weight"),
        memory_slots=length("region_selector.memory"),
        attribute_sizes=_attribute_sizes,
    ),
    absent=(VIEWS_HEAD,),
    limit_counts_bos=True,
    warning="The input of the published test is the scene graph of the reference with detected boxes; the converted "
    "model predicts the graph in boxes of an atlas. Attributes are shown by number: the checkpoint does not name them.",
    differences=(
        "The published beam search lets an ended beam go on and mixes up the lengths of beams. Here beam search is the "
        "usual one with the same score, the mean log-probability: log-probabilities are equal, words may differ.",
    ),
)

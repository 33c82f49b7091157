"""Authors' names of weights -> ours: one table an architecture, and what has to be put into another order."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from rrg.errors import InputError
from rrg.labels.findings import FINDINGS

_PROJECTIONS = dict(enumerate(("query", "key", "value", "output")))
_RESNET = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


_MEMORY_NETWORK_KEYS: tuple[tuple[str, str], ...] = (
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
"""Author's key (regular expression) -> our key; an empty one is a constant that we compute."""

R2GEN_CMN_KEYS: tuple[tuple[str, str], ...] = tuple(
    (theirs, ours if not ours or ours.startswith(("image_encoder.", "project.")) else f"transformer.{ours}")
    for theirs, ours in _MEMORY_NETWORK_KEYS
)

XPRONET_KEYS: tuple[tuple[str, str], ...] = (
    *(row for row in _MEMORY_NETWORK_KEYS if row[1] != "memory"),
    (r"encoder_decoder\.protypes", "prototypes"),
    (r"encoder_decoder\.dim_reduction\.(?P<tail>.+)", "reduce.{tail}"),
    (r"encoder_decoder\.fuse_feature\.(?P<tail>.+)", "visual_fusion.{tail}"),
    (r"encoder_decoder\.model\.fuse_feature\.(?P<tail>.+)", "text_fusion.{tail}"),
)
"""XProNet is R2GenCMN with prototypes in place of the memory matrix, and fusion layers."""

CAMANET_KEYS: tuple[tuple[str, str], ...] = (
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
"""The norm of CAMANet's background belongs to an option that no published script switches on."""

ALPHABETICAL = tuple(sorted(FINDINGS))
"""Order of the labels that CAMANet was trained with on IU X-Ray; its author says that of MIMIC-CXR is another."""

ALPHABETICAL_NO_FINDING_LAST = (*(name for name in ALPHABETICAL if name != "No Finding"), "No Finding")
"""Order of the labels that XProNet was trained with on MIMIC-CXR; on IU X-Ray it is that of FINDINGS."""

_SGRRG_STACKS = r"(?P<stack>vision_encoder|scene_graph_encoder\.sg_encoder|decoder)"

SGRRG_KEYS: tuple[tuple[str, str], ...] = (
    (r"visual_extractor\.model\..+\.(?:attn_mask|relative_position_index)", ""),
    # timm now puts the step between two stages at the beginning of the later one
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
        _SGRRG_STACKS + r"\.layers\.(?P<i>\d+)\.self_attn\.linears\.(?P<linear>\d)\.(?P<tail>.+)",
        "{stack:stack}.layers.{i}.attention.{linear:projection}.{tail}",
    ),
    (
        _SGRRG_STACKS + r"\.layers\.(?P<i>\d+)\.feed_forward\.w_(?P<w>[12])\.(?P<tail>.+)",
        "{stack:stack}.layers.{i}.feed_forward.{w:ffn}.{tail}",
    ),
    (
        _SGRRG_STACKS + r"\.layers\.(?P<i>\d+)\.sublayer\.(?P<k>\d)\.norm\.(?P<tail>.+)",
        "{stack:stack}.layers.{i}.norms.{k}.{tail}",
    ),
    (_SGRRG_STACKS + r"\.norm\.(?P<tail>.+)", "{stack:stack}.norm.{tail}"),
)
"""Masks and indices of the Swin backbone follow from its sizes."""

_TRANSLATIONS = {
    "projection": {str(i): name for i, name in _PROJECTIONS.items()},
    "stack": {
        "encoder": "visual_encoder",
        "vision_encoder": "visual_encoder",
        "scene_graph_encoder.sg_encoder": "scene_graph_encoder.encoder",
        "decoder": "text_decoder",
    },
    "attention": {
        "self_attn": "self_attention",
        "cross_attn_img": "cross_attention",
        "cross_attn_sg": "region_attention",
    },
    "next_stage": {"0": "1", "1": "2", "2": "3"},
    "ffn": {"1": "0", "2": "3"},
    "norm": {"a": "weight", "b": "bias", "gamma": "weight", "beta": "bias"},
    "condition": {"gamma": "gain", "beta": "shift"},
    "gates": {"W": "word_gates", "U": "memory_gates"},
    "resnet": _RESNET,
}


def _translate(template: str, groups: dict[str, str]) -> str:
    def fill(match: re.Match[str]) -> str:
        value = groups[match["name"]]
        return _TRANSLATIONS[match["table"]][value] if match["table"] else value

    return re.sub(r"\{(?P<name>\w+)(?::(?P<table>\w+))?\}", fill, template)


def translate_keys(state: dict[str, Tensor], table: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
    """An author's state dict under our names.

    Raises InputError for keys the table does not know, and where two names of one tensor hold different values.
    """
    ours: dict[str, Tensor] = {}
    unknown = []
    for key, tensor in state.items():
        key = key.removeprefix("module.")
        found = next(((m, new) for old, new in table if (m := re.fullmatch(old, key))), None)
        if found is None:
            unknown.append(key)
            continue
        match, template = found
        if not template:
            continue
        name = _translate(template, match.groupdict())
        if name in ours and not torch.equal(ours[name], tensor):
            raise InputError(
                f"The checkpoint holds two different tensors for {name}; it is damaged or of another model."
            )
        ours[name] = tensor
    if unknown:
        raise InputError(
            f"The checkpoint has {len(unknown)} keys that this architecture does not know, the first: "
            f"{', '.join(unknown[:5])}. Choose the architecture it was trained with."
        )
    return ours


def reorder_findings(state: dict[str, Tensor], order: tuple[str, ...]) -> dict[str, Tensor]:
    """Our state dict with what belongs to the classes that `order` names put into the order of FINDINGS.

    These are the rows of the findings classifier and, in XProNet, each class's block of prototypes. Raises InputError
    when the names are not those of the 14 classes.
    """
    if sorted(order) != sorted(FINDINGS):
        raise InputError(f"The classes have to be these, in the order of the labels: {', '.join(sorted(FINDINGS))}.")
    places = [order.index(name) for name in FINDINGS]

    def reordered(tensor: Tensor) -> Tensor:
        return tensor.unflatten(0, (len(FINDINGS), -1))[places].flatten(0, 1)

    of_classes = ("image_encoder.findings.", "prototypes")
    return {name: reordered(tensor) if name.startswith(of_classes) else tensor for name, tensor in state.items()}

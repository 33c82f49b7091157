"""Published checkpoints of XProNet."""

from __future__ import annotations

from conversion.keys import KeyTable
from conversion.published import (
    ALPHABETICAL_NO_FINDING_LAST,
    FINDINGS_HEAD,
    NO_CLASSIFIER,
    VIEWS_HEAD,
    Published,
    length,
    transformer_sizes,
)
from conversion.r2gen_cmn import MEMORY_NETWORK_KEYS
from rrg.labels.findings import FINDINGS

_KEYS: KeyTable = (
    *(row for row in MEMORY_NETWORK_KEYS if row[1] != "memory"),
    (r"encoder_decoder\.protypes", "prototypes"),
    (r"encoder_decoder\.dim_reduction\.(?P<tail>.+)", "reduce.{tail}"),
    (r"encoder_decoder\.fuse_feature\.(?P<tail>.+)", "visual_fusion.{tail}"),
    (r"encoder_decoder\.model\.fuse_feature\.(?P<tail>.+)", "text_fusion.{tail}"),
)
"""XProNet is R2GenCMN with prototypes in place of the memory matrix, and fusion layers."""

PUBLISHED = Published(
    keys=_KEYS,
    sizes=transformer_sizes(
        "",
        prototypes_per_class=lambda shapes: shapes["prototypes"][0] // len(FINDINGS),
        prototype_size=length("prototypes", 1),
    ),
    absent=(FINDINGS_HEAD, VIEWS_HEAD),
    # The zero classifier gives every class a probability of 0.5, so that every class is above the threshold 0.
    switches={"legacy_padded_average": True, "finding_thresholds": (0.0,) * len(FINDINGS)},
    classes={"published_iu": FINDINGS, "published_mimic": ALPHABETICAL_NO_FINDING_LAST},
    warning=f"{NO_CLASSIFIER} It cannot choose prototypes by itself either: every word and patch may attend to all of "
    "them (finding_thresholds = 0), where the published test chooses them by the labels of the reference report. Train "
    "the classifier (train/train.py xpronet --start-from) before you use its reports.",
    differences=(
        "The published test gives the model the labels of the reference report; without them it has no answer. With "
        "all 14 labels given it writes the words of the converted model.",
        "Beam size 1 is greedy search; the search that their code calls greedy does not run.",
    ),
)

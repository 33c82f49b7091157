"""Reading of published checkpoints, and the mapping of their weight names to ours; one file per architecture."""

from __future__ import annotations

from conversion import camanet, r2gen_cmn, sgrrg, xpronet
from conversion.published import Published

PUBLISHED: dict[str, Published] = {
    "r2gen_cmn": r2gen_cmn.PUBLISHED,
    "camanet": camanet.PUBLISHED,
    "xpronet": xpronet.PUBLISHED,
    "sgrrg": sgrrg.PUBLISHED,
}
"""Architectures with a known checkpoint format."""

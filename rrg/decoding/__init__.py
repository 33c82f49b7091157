"""Decode encoded studies to reports: greedy and beam search, sampling, minimum Bayes risk (MBR) decoding.

The entry point is `rrg.decoding.generate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rrg.decoding.generation import generate

__all__ = ["generate"]


def __getattr__(name: str) -> Any:
    """Import `generate` on first use: it imports torch, which the list of models does not need."""
    if name == "generate":
        from rrg.decoding.generation import generate

        return generate
    raise AttributeError(f"module 'rrg.decoding' has no attribute {name!r}")

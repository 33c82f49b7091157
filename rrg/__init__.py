"""Radiology report generation from chest X-rays: train, compare, explain and correct."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rrg.report import Report
    from rrg.reporter import Reporter

__all__ = ["Report", "Reporter"]


def __getattr__(name: str) -> Any:
    """Load on first use: the reporter brings torch and transformers, which take seconds."""
    if name == "Reporter":
        from rrg.reporter import Reporter

        return Reporter
    if name == "Report":
        from rrg.report import Report

        return Report
    raise AttributeError(f"module 'rrg' has no attribute {name!r}")

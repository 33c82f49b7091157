"""Radiology report generation from chest X-rays: train, compare, explain and correct."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rrg.inference.reporter import Reporter
    from rrg.report import Report

__all__ = ["Report", "Reporter", "register"]


def register() -> None:
    """Register the architectures with transformers: its auto classes and pipelines then load `weights/NAME`.

    An explicit call, because it imports torch and all models, which takes seconds.
    """
    from rrg.inference.auto_classes import register

    register()


def __getattr__(name: str) -> Any:
    """Import `Report` and `Reporter` on first use: the reporter imports torch and transformers, which takes seconds."""
    if name == "Reporter":
        from rrg.inference.reporter import Reporter

        return Reporter
    if name == "Report":
        from rrg.report import Report

        return Report
    raise AttributeError(f"module 'rrg' has no attribute {name!r}")

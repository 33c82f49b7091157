"""The command line of training: a subcommand for each architecture, each with its own options."""

from __future__ import annotations

from collections.abc import Sequence

import tyro

from recipes import RECIPES
from rrg.models import ARCHITECTURES
from training.run import Run


def parse(arguments: Sequence[str] | None = None, description: str | None = None) -> Run:
    """Parse arguments (default: those of the process) to a run. Exits with a message for unknown options."""
    runs = {
        name: (
            f"Train {ARCHITECTURES[name].title}.",
            Run(name, data=tyro.MISSING, out=tyro.MISSING),
        )
        for name in RECIPES
    }
    return tyro.extras.overridable_config_cli(runs, description=description, args=arguments)

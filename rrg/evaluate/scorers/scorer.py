"""The interface of a scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rrg.evaluate.significance import Measure


class Scorer(Protocol):
    """Scores the reports of several systems against the same references."""

    @property
    def group(self) -> str:
        """Name of its group of figures, such as "chexbert"."""
        ...

    @property
    def description(self) -> str:
        """What the figures depend on: model, version, settings. Stored and printed beside them."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The metrics that a short table shows, of those that `measures` gives."""
        ...

    def measures(
        self, systems: Mapping[str, Sequence[str]], references: Sequence[str]
    ) -> dict[str, dict[str, Measure]]:
        """System -> metric -> measure; the texts of each system are in the order of the references."""
        ...

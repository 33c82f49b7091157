"""The pair of a blind vote: which two models, and which of them is A."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from rrg.feedback import Vote


@dataclass(frozen=True)
class Ballot:
    """A pair that was drawn. It stays on the server, in the state of the session."""

    vote_id: str
    """Random id of the vote. It is the seed of the pair, so it is not sent to the page before the vote."""
    study_id: str
    models: tuple[str, str]
    """Names of the models that are shown as A and B."""
    reports: tuple[str, str] | None = None
    """Ids of the reports that were shown; None until both are written."""
    vote: Vote | None = None
    """The stored vote. Names are shown from then on."""

    @classmethod
    def draw(cls, study_id: str, models: Sequence[str], vote_id: str | None = None) -> Ballot:
        """Draw two of the models and their sides at random; `vote_id` repeats a pair."""
        vote_id = vote_id or uuid4().hex
        first, second = random.Random(vote_id).sample(sorted(models), 2)
        return cls(vote_id, study_id, (first, second))

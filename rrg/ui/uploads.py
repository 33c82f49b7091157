"""The in-memory cache of the studies read from uploads."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from cachetools import LRUCache

from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study
from rrg.ui.security.sessions import NOBODY, Viewer


@dataclass(frozen=True)
class _Cached:
    study: Study
    owners: frozenset[str]
    """Ids of the viewers who opened it."""


class StudyCache:
    """LRU cache of studies by id, bounded by the bytes of their pixels. Safe for concurrent threads; RAM only.

    A study is there only for those who opened it: its id follows from its pixels, and addresses carry ids.
    """

    def __init__(self, max_bytes: int = 192 * 2**20) -> None:
        # A study larger than the whole cache counts as exactly full: it is cached alone instead of being rejected.
        self._studies: LRUCache[str, _Cached] = LRUCache(
            max_bytes, getsizeof=lambda cached: min(_bytes(cached.study), max_bytes)
        )
        self._lock = Lock()

    def put(self, study: Study, viewer: Viewer = NOBODY) -> None:
        """Cache a study that a viewer opened; the least recently used ones are dropped to make room."""
        with self._lock:
            before = self._studies.get(study.id)
            owners = before.owners if before else frozenset()
            self._studies[study.id] = _Cached(study, owners | {viewer.id})

    def get(self, study_id: str, viewer: Viewer = NOBODY) -> Study | None:
        """Return a cached study by its id; None for an unknown one and for one that the viewer may not see."""
        with self._lock:
            cached = self._studies.get(study_id)
        return cached.study if cached and (viewer.sees_all or viewer.id in cached.owners) else None


def _bytes(study: Study) -> int:
    return sum(image.pixels.nbytes for image in study.images if isinstance(image, Radiograph))

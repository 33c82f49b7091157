"""Uploads: deletion of their files, and the in-memory cache of the studies read from them."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock

from cachetools import LRUCache

from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study

UPLOAD_AGE = 600
"""Age in seconds at which an uploaded file is deleted."""


def delete_old_uploads(folder: Path) -> None:
    """Delete uploaded files older than `UPLOAD_AGE`, which remain when a process is killed."""
    for path in folder.rglob("*"):
        if path.is_file() and time.time() - path.stat().st_mtime > UPLOAD_AGE:
            path.unlink(missing_ok=True)


class StudyCache:
    """LRU cache of studies by id, bounded by the bytes of their pixels. Safe for concurrent threads; RAM only."""

    def __init__(self, max_bytes: int = 192 * 2**20) -> None:
        # A study larger than the whole cache counts as exactly full: it is cached alone instead of being rejected.
        self._studies: LRUCache[str, Study] = LRUCache(max_bytes, getsizeof=lambda study: min(_bytes(study), max_bytes))
        self._lock = Lock()

    def put(self, study: Study) -> None:
        """Cache a study; the least recently used ones are dropped to make room."""
        with self._lock:
            self._studies[study.id] = study

    def get(self, study_id: str) -> Study | None:
        """Return a cached study by its id, or None."""
        with self._lock:
            return self._studies.get(study_id)


def _bytes(study: Study) -> int:
    return sum(image.pixels.nbytes for image in study.images if isinstance(image, Radiograph))

"""What is uploaded: how long its file lives, and the short memory in which opened studies wait for their report."""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study

UPLOAD_AGE = 600
"""Seconds after which an uploaded file is deleted."""


def delete_left_uploads(folder: Path) -> None:
    """Delete old uploads that a killed process could not delete itself."""
    for path in folder.rglob("*"):
        if path.is_file() and time.time() - path.stat().st_mtime > UPLOAD_AGE:
            path.unlink(missing_ok=True)


class StudyShelf:
    """Studies opened lately, by id, in memory only. The oldest go first when their pixels exceed `max_bytes`."""

    def __init__(self, max_bytes: int = 192 * 2**20) -> None:
        self._max_bytes = max_bytes
        self._studies: OrderedDict[str, Study] = OrderedDict()
        self._lock = Lock()

    def put(self, study: Study) -> None:
        with self._lock:
            self._studies.pop(study.id, None)
            self._studies[study.id] = study
            while len(self._studies) > 1 and sum(map(_bytes, self._studies.values())) > self._max_bytes:
                self._studies.popitem(last=False)

    def get(self, study_id: str) -> Study | None:
        with self._lock:
            return self._studies.get(study_id)


def _bytes(study: Study) -> int:
    return sum(image.pixels.nbytes for image in study.images if isinstance(image, Radiograph))

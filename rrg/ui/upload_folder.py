"""The folder of uploaded files: one for each process, which clears it at its end and what others left at its start."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from threading import Event, Thread

from filelock import FileLock, Timeout

from rrg.errors import InputError

UPLOAD_AGE = 600
"""Age in seconds at which an uploaded file is deleted."""
SWEEP = 60
"""Seconds between two deletions of old files."""


def delete_old_uploads(folder: Path) -> None:
    """Delete uploaded files older than `UPLOAD_AGE`, such as those of an upload that broke off."""
    for path in folder.rglob("*"):
        try:
            if path.is_file() and time.time() - path.stat().st_mtime > UPLOAD_AGE:
                path.unlink()
        except FileNotFoundError:
            continue  # Gradio moved or deleted it


class UploadFolder:
    """A folder for the uploads of this process, below one that the processes of an installation share.

    A process holds a lock as long as it lives, however it ends. So the next one knows which folders are left over.
    """

    def __init__(self, parent: Path) -> None:
        """Delete what dead processes left, and make the folder. Raises InputError where that is not possible."""
        try:
            self._make(parent)
        except OSError as error:
            raise InputError(
                f"Uploads cannot be kept in {parent} ({error.strerror}). Make it writable, or set RRG_HOME to another "
                "folder."
            ) from error
        self._closed = Event()
        self._sweeper = Thread(target=self._sweep, daemon=True)
        self._sweeper.start()

    def _make(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        with FileLock(parent / ".lock"):  # two processes that start together
            for entry in parent.iterdir():
                if entry.name != ".lock" and entry.suffix == ".lock":
                    _delete_if_dead(entry)
                elif entry.is_dir() and not _lock_of(entry).exists():
                    delete_old_uploads(entry)  # of a version without locks, whose process may still run
            self.path = parent / f"process-{os.getpid()}-{time.time_ns():x}"
            self._lock = FileLock(_lock_of(self.path))
            self._lock.acquire()
        self.path.mkdir(mode=0o700)

    def close(self) -> None:
        """Delete the folder. It may be closed twice."""
        self._closed.set()
        self._sweeper.join()
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        _lock_of(self.path).unlink(missing_ok=True)

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP):
            delete_old_uploads(self.path)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _delete_if_dead(lock: Path) -> None:
    """Delete the folder of a process that no longer holds its lock."""
    try:
        with FileLock(lock, timeout=0):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
    except Timeout:
        return  # it runs

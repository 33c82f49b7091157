"""A mirror of all records in a private dataset repository of the Hugging Face Hub, for a Space that may lose its disk.

The database is the truth. Each process appends the records that are not in the folder yet to a file of its own, and a
`CommitScheduler` uploads the files that changed. A line has the number of the ledger's entry: should two processes send
a record, it can be told.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from huggingface_hub import CommitScheduler, HfApi
from sqlalchemy import select

from rrg.feedback import ledger
from rrg.feedback.database import Database
from rrg.feedback.records import Head
from rrg.feedback.tables import LedgerRow

logger = logging.getLogger(__name__)

MINUTES = 5.0
"""Minutes between two uploads."""
_CHUNK = 200


class Mirror:
    """Sends the records of a database to a dataset repository, in threads of its own. Nothing waits for it."""

    def __init__(
        self, database: Database, repository: str, folder: Path, *, minutes: float = MINUTES, api: HfApi | None = None
    ) -> None:
        """Prepare a mirror; `start` starts it.

        Args:
            database: the records.
            repository: name of the dataset repository, `owner/name`. It is made with the first record, private.
            folder: local files of the mirror, `RRG_HOME/mirror`.
            minutes: time between two uploads.
            api: access to the hub; by default that of the token in HF_TOKEN.
        """
        self._database = database
        self._repository = repository
        self._folder = folder
        self._minutes = minutes
        self._api = api
        self._file = folder / f"records-{uuid4().hex}.jsonl"
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._scheduler: _Scheduler | None = None
        self._size = 0  # bytes of the file that are whole lines
        self._written = 0  # number of the newest record in a file
        self._sent = 0
        self._failure: str | None = None

    def start(self) -> None:
        """Start sending. Returns at once."""
        threading.Thread(target=self._connect, daemon=True, name="mirror").start()

    def stop(self) -> None:
        """Stop sending. Records that were not sent are sent after the next start."""
        self._stopped.set()
        if self._scheduler is not None:
            self._scheduler.stop()

    def status(self) -> str:
        """Say in a sentence how many records are not sent yet, and why."""
        with self._database.reading() as session:
            head = ledger.head(session)
        waiting = (head.number if head else 0) - self._sent
        if self._failure is not None:
            return (
                f"The mirror in {self._repository} cannot be reached ({self._failure}). "
                f"{waiting} records wait; they are safe in the database and will be sent later."
            )
        if waiting > 0:
            return f"{waiting} records are not in the mirror {self._repository} yet."
        return f"All {self._sent} records are in the mirror {self._repository}."

    def _connect(self) -> None:
        """Wait for the first record, then make the repository and start the scheduler; try again until it succeeds."""
        while not self._stopped.is_set():
            try:
                if self._has_records():
                    self._resume()
                    self._scheduler = _Scheduler(
                        self._push,
                        repo_id=self._repository,
                        repo_type="dataset",
                        private=True,
                        folder_path=self._folder,
                        allow_patterns="*.jsonl",
                        every=self._minutes,
                        hf_api=self._api,
                    )
                    return
            except Exception as error:
                self._fail(error)
            self._stopped.wait(self._minutes * 60)

    def _push(self, upload: Callable[[], Any]) -> Any:
        """Write the new records and upload the files that changed."""
        with self._lock:
            try:
                self._write()
                written = self._written
                result = upload()
            except Exception as error:
                self._fail(error)
                raise
            self._sent, self._failure = written, None
            return result

    def _fail(self, error: Exception) -> None:
        text = str(error).strip().splitlines()
        reason = text[0][:200] if text else type(error).__name__
        self._failure = f"{reason}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        logger.warning("The mirror of the corrections cannot be reached: %s", reason)

    def _has_records(self) -> bool:
        with self._database.reading() as session:
            return ledger.head(session) is not None

    def _resume(self) -> None:
        """Find the newest record in the files of earlier processes, which the scheduler uploads again if need be."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        heads = [head for file in self._folder.glob("*.jsonl") for head in _last_head(file)]
        with self._database.reading() as session:
            known = [head.number for head in heads if ledger.contains(session, head)]
        self._written = max(known, default=0)

    def _write(self) -> None:
        """Append the records that are not in a file yet."""
        with self._database.reading() as session, self._file.open("ab") as file:
            file.truncate(self._size)  # what a full disk cut off
            while True:
                rows = select(LedgerRow).where(LedgerRow.number > self._written).order_by(LedgerRow.number)
                entries = session.scalars(rows.limit(_CHUNK)).all()
                if not entries:
                    break
                records = ledger.records(session, entries)
                for entry in entries:
                    line = {
                        "number": entry.number,
                        "kind": entry.kind,
                        "record_id": entry.record_id,
                        "record_sha256": entry.record_sha256,
                        "sha256": entry.sha256,
                        "record": records.get((entry.kind, entry.record_id)),
                    }
                    file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                self._size = file.tell()
                self._written = entries[-1].number


class _Scheduler(CommitScheduler):
    """A scheduler that has the new records written before each upload."""

    def __init__(self, push: Callable[[Callable[[], Any]], Any], **options: Any) -> None:
        self._push = push  # first: the scheduler starts to upload when it is made
        super().__init__(**options)

    def push_to_hub(self) -> Any:
        return self._push(super().push_to_hub)


def _last_head(file: Path) -> Iterator[Head]:
    """Yield the newest entry of a file. A line that a crash cut off is removed."""
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        file.write_bytes(whole)
    lines = whole.splitlines()
    if lines:
        last = json.loads(lines[-1])
        yield Head(last["number"], last["sha256"])

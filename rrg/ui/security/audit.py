"""The audit log: who did what to which record, as JSON lines. It holds no text of a report and no file name."""

from __future__ import annotations

import json
import logging
import re
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

_ID = re.compile(r"[A-Za-z0-9._:@-]{1,80}")

logger = logging.getLogger(__name__)


class AuditLog:
    """Writes RRG_HOME/audit.jsonl, and keeps `kept` older files of `size` bytes. Safe for concurrent threads."""

    def __init__(self, path: Path, size: int = 10 * 2**20, kept: int = 10) -> None:
        with suppress(OSError):  # each line that cannot be written is an error in the log
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = RotatingFileHandler(path, maxBytes=size, backupCount=kept, encoding="utf-8", delay=True)
        self._file.handleError = self._failed

    def record(self, action: str, user: str = "", record: str = "", address: str = "") -> None:
        """Append one line.

        Args:
            action: what was done, such as "log in".
            user: name of the user, or id of the session.
            record: id of the record. What is no id, such as a text, is left out.
            address: address of the client.
        """
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "user": user[:80],
            "action": action,
            "record": record if _ID.fullmatch(record) else "",
            "address": address,
        }
        message = json.dumps(line)
        self._file.handle(logging.LogRecord("audit", logging.INFO, "", 0, message, None, None))
        self._file.close()  # the next line opens it again: lines are rare, and a program may rotate the file

    def _failed(self, record: logging.LogRecord) -> None:
        del record
        logger.error("The audit log cannot be written. Free space on the disk, or make its folder writable.")

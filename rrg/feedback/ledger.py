"""The ledger: a hash chain over all records in the order of saving, with which a change of any of them is found.

Entry n holds the SHA-256 of its record and the SHA-256 of entry n - 1 with that. The form of both is fixed for good:
a migration that adds a column leaves it NULL in older records, and NULL is not hashed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import ColumnElement, String, cast, select
from sqlalchemy.orm import Session

from rrg.feedback.records import Head, Problem
from rrg.feedback.tables import (
    Base,
    CorrectionRow,
    FlagRow,
    LedgerRow,
    ReportRow,
    VoteRow,
    WorklistItemRow,
    WorklistRow,
    WorklistSkipRow,
)

START = "0" * 64
"""Stands for the hash before the first entry."""
IDS: dict[str, tuple[type[Base], tuple[str, ...]]] = {
    "report": (ReportRow, ("report_id",)),
    "correction": (CorrectionRow, ("correction_id",)),
    "flag": (FlagRow, ("number",)),
    "vote": (VoteRow, ("vote_id",)),
    "worklist": (WorklistRow, ("name",)),
    "worklist item": (WorklistItemRow, ("worklist", "reader", "position")),
    "worklist skip": (WorklistSkipRow, ("number",)),
}
"""Kinds of records, with their tables and the columns that identify them. Their values, joined by "/", are the id."""
_CHUNK = 500
_UNREADABLE = "unreadable"


def record_hash(values: Mapping[Any, Any]) -> str:
    """Return the SHA-256 of a record in hex: of its columns as JSON with sorted names, without those that are None."""
    present = {name: value for name, value in values.items() if value is not None}
    return hashlib.sha256(json.dumps(present, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def entry_hash(previous: str, number: int, kind: str, record_id: str, record_sha256: str) -> str:
    """Return the SHA-256 of an entry in hex, given that of the entry before."""
    return hashlib.sha256(f"{previous}\n{number}\n{kind}\n{record_id}\n{record_sha256}".encode()).hexdigest()


def record_id_of(values: Mapping[Any, Any], identity: Sequence[str]) -> str:
    """Return the id of a record, given its columns and the names of those that identify it."""
    return "/".join(str(values[name]) for name in identity)


def save(session: Session, row: Base) -> None:
    """Insert the row of a record, and its entry. The transaction must be the only one that writes."""
    session.add(row)
    session.flush()  # the database gives the number
    kind, identity = next((kind, identity) for kind, (table, identity) in IDS.items() if isinstance(row, table))
    last = head(session) or Head(0, START)
    values = {column.key: getattr(row, column.key) for column in row.__table__.columns}
    number, record_id, record_sha256 = last.number + 1, record_id_of(values, identity), record_hash(values)
    chained = entry_hash(last.sha256, number, kind, record_id, record_sha256)
    session.add(LedgerRow(number=number, kind=kind, record_id=record_id, record_sha256=record_sha256, sha256=chained))


def head(session: Session) -> Head | None:
    """Return the newest entry, or None without records."""
    newest = select(LedgerRow.number, LedgerRow.sha256).order_by(LedgerRow.number.desc()).limit(1)
    row = session.execute(newest).first()
    return Head(row.number, row.sha256) if row else None


def contains(session: Session, noted: Head) -> bool:
    """Whether an entry is in the ledger as it was noted."""
    entry = session.get(LedgerRow, noted.number)
    return entry is not None and entry.sha256 == noted.sha256


def records(session: Session, entries: Sequence[LedgerRow]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the columns of the records that entries name, by kind and id, as far as they are there.

    Raises ValueError for a record whose JSON is broken.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for kind in IDS:
        found |= _records(session, kind, [entry.record_id for entry in entries if entry.kind == kind])
    return found


def verify(session: Session, noted: Head | None = None) -> Iterator[Problem]:
    """Yield what does not agree with the ledger, in its order, then the records that are not in it.

    The chain alone cannot show that its newest entries were cut off with their records. `noted` can: a head that was
    written down elsewhere.
    """
    expected, previous = 1, START
    found_noted = noted is None
    for entries in _chunks(session):
        stored = _record_hashes(session, entries)
        for entry in entries:
            chained = entry_hash(previous, entry.number, entry.kind, entry.record_id, entry.record_sha256)
            if entry.number != expected:
                yield Problem(expected, "entry", str(expected), "removed")
            elif entry.sha256 != chained:
                yield Problem(entry.number, "entry", str(entry.number), "changed")
            elif (record_sha256 := stored.get((entry.kind, entry.record_id))) is None:
                yield Problem(entry.number, entry.kind, entry.record_id, "removed")
            elif record_sha256 != entry.record_sha256:
                yield Problem(entry.number, entry.kind, entry.record_id, "changed")
            found_noted = found_noted or noted == Head(entry.number, entry.sha256)
            expected, previous = entry.number + 1, entry.sha256
    if noted is not None and not found_noted:
        yield Problem(noted.number, "entry", str(noted.number), "removed" if noted.number >= expected else "changed")
    yield from _without_entry(session)


def _chunks(session: Session) -> Iterator[Sequence[LedgerRow]]:
    last = 0
    while True:
        rows = select(LedgerRow).where(LedgerRow.number > last).order_by(LedgerRow.number).limit(_CHUNK)
        entries = session.scalars(rows).all()
        if not entries:
            return
        yield entries
        last = entries[-1].number
        session.expunge_all()


def _record_hashes(session: Session, entries: Sequence[LedgerRow]) -> dict[tuple[str, str], str]:
    """Return the hashes of those records that are there, of the ones that entries name."""
    hashes = {}
    for kind in IDS:
        ids = [entry.record_id for entry in entries if entry.kind == kind]
        try:
            hashes |= _hashes(session, kind, ids)
        except ValueError:  # a record with broken JSON: the others are read alone
            for record_id in ids:
                hashes[kind, record_id] = _UNREADABLE
                with suppress(ValueError):
                    hashes |= _hashes(session, kind, [record_id])
    return hashes


def _hashes(session: Session, kind: str, ids: Sequence[str]) -> dict[tuple[str, str], str]:
    return {name: record_hash(record) for name, record in _records(session, kind, ids).items()}


def _records(session: Session, kind: str, ids: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    table, identity = IDS[kind]
    columns = table.__table__.columns
    if identity == ("number",):
        named = columns["number"].in_([int(record_id) for record_id in ids])
    else:
        named = _id_column(table, identity).in_(ids)
    rows = session.execute(select(*columns).where(named)).mappings() if ids else ()
    found = ({column.name: row[column.name] for column in columns} for row in rows)
    return {(kind, record_id_of(record, identity)): record for record in found}


def _id_column(table: type[Base], identity: Sequence[str]) -> ColumnElement[str]:
    """The ids of the records of a table."""
    first, *others = (cast(table.__table__.columns[name], String) for name in identity)
    for column in others:
        first = first + "/" + column
    return first


def _without_entry(session: Session) -> Iterator[Problem]:
    for kind, (table, identity) in IDS.items():
        record_id = _id_column(table, identity)
        known = select(LedgerRow.number).where(LedgerRow.kind == kind, LedgerRow.record_id == record_id)
        for (found,) in session.execute(select(record_id).where(~known.exists()).order_by(record_id)):
            yield Problem(None, kind, found, "inserted")

"""Content items of DICOM structured reports (PS3.3 C.17.3), as pydicom datasets."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import Dataset
from pydicom.sr.coding import Code

CONTAINS = "CONTAINS"
CONCEPT_MOD = "HAS CONCEPT MOD"
OBS_CONTEXT = "HAS OBS CONTEXT"


def container(concept: Code, items: Iterable[Dataset], relation: str | None = CONTAINS) -> Dataset:
    """A container with its items; `relation` to its parent is None for the root."""
    item = _item("CONTAINER", concept, relation)
    item.ContinuityOfContent = "SEPARATE"
    item.ContentSequence = list(items)
    return item


def text(concept: Code, value: str, relation: str = CONTAINS) -> Dataset:
    """A text of any length without control characters; a tab becomes a blank, which not every reader accepts."""
    item = _item("TEXT", concept, relation)
    item.TextValue = value.replace("\t", " ").replace("\n", "\r\n")
    return item


def code(concept: Code, value: Code, relation: str) -> Dataset:
    """A coded value."""
    item = _item("CODE", concept, relation)
    item.ConceptCodeSequence = [coded(value)]
    return item


def uid(concept: Code, value: str, relation: str) -> Dataset:
    """A reference to a UID."""
    item = _item("UIDREF", concept, relation)
    item.UID = value
    return item


def person(concept: Code, value: str, relation: str) -> Dataset:
    """The name of a person, as `person_name` gives it."""
    item = _item("PNAME", concept, relation)
    item.PersonName = value
    return item


def person_name(name: str) -> str:
    """A name as a single component of VR PN: its delimiters become blanks, and 64 characters remain at most."""
    plain = "".join(" " if character in "^=\\\n\t" else character for character in name)
    return " ".join(plain.split())[:64].rstrip()


def coded(value: Code) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = value.value
    item.CodingSchemeDesignator = value.scheme_designator
    item.CodeMeaning = value.meaning
    return item


def _item(value_type: str, concept: Code, relation: str | None) -> Dataset:
    item = Dataset()
    if relation is not None:
        item.RelationshipType = relation
    item.ValueType = value_type
    item.ConceptNameCodeSequence = [coded(concept)]
    return item

"""Content items of structured reports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from rrg.ui.export.sr_items import CONTAINS, OBS_CONTEXT, container, person, person_name, text
from rrg.ui.export.text import printable


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Dr Example", "Dr Example"),
        ("A^B=C\\D\nE", "A B C D E"),
        ("יעל", "יעל"),
        ("x" * 200, "x" * 64),
    ],
)
def test_a_name_fits_its_value_representation(name: str, kept: str) -> None:
    assert person_name(name) == kept


@given(st.text(st.characters()))
def test_any_name_is_accepted(name: str) -> None:
    with config.disable_value_validation():
        strict = Dataset()
    strict.PersonName = person_name(printable(name))
    assert len(str(strict.PersonName)) <= 64
    item = person(codes.DCM.PersonObserverName, person_name(printable(name)), OBS_CONTEXT)
    assert (item.ValueType, item.RelationshipType) == ("PNAME", OBS_CONTEXT)


def test_a_root_has_no_relation_and_children_have() -> None:
    root = container(codes.LN.XRayReport, [text(codes.DCM.Finding, "one\ntwo")], relation=None)
    assert "RelationshipType" not in root
    child = root.ContentSequence[0]
    assert (child.RelationshipType, child.ValueType) == (CONTAINS, "TEXT")
    assert child.TextValue == "one\r\ntwo"
    assert child.ConceptNameCodeSequence[0].CodeMeaning == "Finding"

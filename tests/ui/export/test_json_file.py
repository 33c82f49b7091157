"""The JSON file: a round trip of every record."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from rrg.feedback import Correction
from rrg.report import Report
from rrg.ui.export.json_file import SCHEMA_VERSION, to_json


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def loads(content: bytes) -> dict:
    return json.loads(content.decode("utf-8"), parse_constant=refuse)


def test_records_come_back_as_they_were(make_export) -> None:
    exported = make_export()
    record = loads(to_json(exported))
    assert (record["schema"], record["schema_version"]) == ("rrg/exported-study", SCHEMA_VERSION)
    assert Report.from_dict(record["report"]) == exported.report
    assert Correction(**record["correction"]) == exported.correction
    assert record["reference"] == exported.reference
    assert record["notes"] == list(exported.notes)
    assert (record["exported_at"], record["app_version"]) == ("2026-03-05T12:00:00+00:00", "0.1.0")
    assert record["study"]["indication"] == "Cough for three weeks."
    assert "not a medical device" in record["disclaimer"]


def test_images_are_described_by_hash_and_provenance(make_export) -> None:
    exported = make_export()
    for image, radiograph in zip(loads(to_json(exported))["study"]["images"], exported.radiographs, strict=True):
        assert image["pixels_sha256"] == radiograph.sha256
        assert (image["height"], image["width"]) == radiograph.pixels.shape
        assert image["view"] == radiograph.view
        assert image["provenance"]["changes"] == list(radiograph.provenance.changes)
        assert image["spacing_mm"] == (list(radiograph.spacing_mm) if radiograph.spacing_mm else None)


def test_findings_of_all_texts_are_in_one_table(make_export) -> None:
    rows = {row["name"]: row for row in loads(to_json(make_export()))["findings"]["rows"]}
    assert rows["Cardiomegaly"] == {
        "name": "Cardiomegaly",
        "report": "absent",
        "probability": 2 / 16,
        "correction": "present",
        "reference": "present",
    }
    alone = loads(to_json(make_export(correction=None, reference=None)))
    assert alone["correction"] is None and alone["differences"] is None
    assert {row["correction"] for row in alone["findings"]["rows"]} == {None}


def test_maps_are_raw_values_or_left_out(make_export) -> None:
    exported = make_export()
    for described, heatmap in zip(loads(to_json(exported))["maps"], exported.maps, strict=True):
        np.testing.assert_array_equal(np.array(described["values"], np.float32), heatmap.values)
        assert described["shape"] == list(heatmap.values.shape)
        assert [described[name] for name in ("target", "method", "layer", "reduction")] == [
            heatmap.target,
            heatmap.method,
            heatmap.layer,
            heatmap.reduction,
        ]
    assert all("values" not in described for described in loads(to_json(exported, with_maps=False))["maps"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_does_not_know_become_null(make_export, value: float) -> None:
    base = make_export()
    exported = make_export(
        maps=(dataclasses.replace(base.maps[0], values=np.full((2, 1, 1), value, np.float32)),),
        report=dataclasses.replace(base.report, decoding={"nested": [{"value": value}]}),
    )
    record = loads(to_json(exported))
    assert record["maps"][0]["values"] == [[[None]], [[None]]]
    assert record["report"]["decoding"] == {"nested": [{"value": None}]}


def test_hostile_texts_come_back_exactly(make_export, hostile_texts) -> None:
    notes = loads(to_json(make_export(notes=hostile_texts)))["notes"]
    assert notes == [text.replace("\ud800", "\ufffd") for text in hostile_texts]

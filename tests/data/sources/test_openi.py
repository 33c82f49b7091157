"""Reading of the Indiana University collection, from tiny downloads with invented reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrg.data.sources.openi import read_openi, read_openi_csv
from rrg.data.studies import ImageFile
from rrg.errors import InputError

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
  <uId id="CXR{number}"/>
  <MedlineCitation><Article><Abstract>
    <AbstractText Label="COMPARISON">None.</AbstractText>
    <AbstractText Label="INDICATION">Cough &amp; fever</AbstractText>
    <AbstractText Label="FINDINGS">{findings}</AbstractText>
    <AbstractText Label="IMPRESSION"/>
  </Abstract></Article></MedlineCitation>
  <MeSH><major>normal</major></MeSH>
  <parentImage id="CXR{number}_1_IM-0001-3001"><figureId>F1</figureId><caption>{caption}</caption></parentImage>
  <parentImage id="CXR{number}_1_IM-0001-4001"><figureId>F2</figureId></parentImage>
</eCitation>
"""


def write_xml(folder: Path, number: int, findings: str = "Clear lungs.", caption: str = "Xray Chest PA") -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.xml").write_text(XML.format(number=number, findings=findings, caption=caption))


def test_xml_reports_are_read(tmp_path: Path) -> None:
    images = tmp_path / "png"
    for number in (10, 9, 2):
        write_xml(tmp_path / "ecgen-radiology", number, findings="" if number == 9 else "Clear  lungs.")
    studies = read_openi(tmp_path, images)
    assert [study.id for study in studies] == ["CXR2", "CXR9", "CXR10"]
    first = studies[0]
    assert (first.report, first.indication, first.impression) == ("Clear  lungs.", "Cough & fever", None)
    assert first.images == (
        ImageFile(images / "CXR2_1_IM-0001-3001.png", "frontal"),
        ImageFile(images / "CXR2_1_IM-0001-4001.png", "unknown"),
    )
    assert studies[1].report is None
    assert first.split is None


@pytest.mark.parametrize(
    ("caption", "view"),
    [
        ("Xray Chest PA and Lateral", "unknown"),
        ("Chest, 2 views, frontal and lateral", "unknown"),
        ("Portable AP chest", "frontal"),
        ("Lateral view of the chest", "lateral"),
        ("PATIENT HAPPY", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_view_is_known_only_if_the_caption_names_one(tmp_path: Path, caption: str, view: str) -> None:
    write_xml(tmp_path, 1, caption=caption)
    assert read_openi(tmp_path, tmp_path)[0].images[0].view == view


def test_invalid_xml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no XML report"):
        read_openi(tmp_path, tmp_path)
    (tmp_path / "1.xml").write_text("<eCitation>")
    with pytest.raises(InputError, match=r"1\.xml is not valid XML"):
        read_openi(tmp_path, tmp_path)
    (tmp_path / "1.xml").write_text("<eCitation/>")
    with pytest.raises(InputError, match=r"1\.xml is not a report of the Indiana collection"):
        read_openi(tmp_path, tmp_path)


REPORTS = """uid,MeSH,Problems,image,indication,comparison,findings,impression
10,normal,normal,"PA, lateral",Cough,None.,"Clear lungs, normal heart.",Normal.
2,normal,normal,Chest PA,,,,Scar.
"""
PROJECTIONS = """uid,filename,projection
10,10_IM-0002-2001.dcm.png,Lateral
10,10_IM-0002-1001.dcm.png,Frontal
2,2_IM-0001-1001.dcm.png,Oblique
"""


def test_csv_tables_are_read(tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text(REPORTS, encoding="utf-8-sig")
    (tmp_path / "projections.csv").write_text(PROJECTIONS)
    first, second = read_openi_csv(tmp_path / "reports.csv", tmp_path / "projections.csv", tmp_path / "png")
    assert (first.id, first.report, first.indication, first.impression) == ("CXR2", None, None, "Scar.")
    assert [image.view for image in first.images] == ["unknown"]
    assert (second.id, second.report) == ("CXR10", "Clear lungs, normal heart.")
    assert second.images == (
        ImageFile(tmp_path / "png" / "10_IM-0002-2001.dcm.png", "lateral"),
        ImageFile(tmp_path / "png" / "10_IM-0002-1001.dcm.png", "frontal"),
    )


def test_missing_tables_and_columns_are_refused(tmp_path: Path) -> None:
    reports, projections = tmp_path / "reports.csv", tmp_path / "projections.csv"
    reports.write_text(REPORTS)
    with pytest.raises(InputError, match=r"no table .*projections\.csv"):
        read_openi_csv(reports, projections, tmp_path)
    projections.write_text(REPORTS)
    with pytest.raises(InputError, match="no column filename, projection"):
        read_openi_csv(reports, projections, tmp_path)

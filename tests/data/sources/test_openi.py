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


def test_leftovers_of_operating_systems_are_skipped(tmp_path: Path) -> None:
    write_xml(tmp_path, 1)
    (tmp_path / "._1.xml").write_bytes(b"\0\5\x16\7Mac OS X")
    assert [study.id for study in read_openi(tmp_path, tmp_path)] == ["CXR1"]
    (tmp_path / "1.xml").unlink()
    with pytest.raises(InputError, match="holds no XML report"):
        read_openi(tmp_path, tmp_path)


def test_two_reports_of_one_study_are_refused(tmp_path: Path) -> None:
    write_xml(tmp_path / "first", 1)
    write_xml(tmp_path / "second", 1)
    with pytest.raises(InputError, match=r"first/1\.xml and .*second/1\.xml have the same uId, CXR1\. "):
        read_openi(tmp_path, tmp_path)


def test_an_image_without_id_is_refused(tmp_path: Path) -> None:
    write_xml(tmp_path, 1)
    file = tmp_path / "1.xml"
    file.write_text(file.read_text().replace(' id="CXR1_1_IM-0001-4001"', ""))
    with pytest.raises(InputError, match=r"1\.xml: 1 parentImage of study CXR1 without an id"):
        read_openi(tmp_path, tmp_path)


def test_xml_of_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1.xml").write_text('<?xml version="1.0" encoding="no-such"?><eCitation/>')
    with pytest.raises(InputError, match=r"1\.xml is not valid XML"):
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


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2,normal,normal,Chest PA,,,Clear.,Scar.", r"reports\.csv: the uid 2 has two reports"),
        ("2b,normal,normal,Chest PA,,,Clear.,Scar.", r"reports\.csv: the uid '2b' is no number"),
        (",normal,normal,Chest PA,,,Clear.,Scar.", r"reports\.csv: the uid '' is no number"),
    ],
)
def test_rows_that_are_not_one_study_are_refused(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "reports.csv").write_text(f"{REPORTS}{row}\n")
    (tmp_path / "projections.csv").write_text(PROJECTIONS)
    with pytest.raises(InputError, match=message):
        read_openi_csv(tmp_path / "reports.csv", tmp_path / "projections.csv", tmp_path)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text(REPORTS)
    (tmp_path / "projections.csv").write_bytes(b"uid,filename,projection\n1,\xff\xfe,x\n")
    with pytest.raises(InputError, match=r"projections\.csv is not a CSV table in UTF-8"):
        read_openi_csv(tmp_path / "reports.csv", tmp_path / "projections.csv", tmp_path)

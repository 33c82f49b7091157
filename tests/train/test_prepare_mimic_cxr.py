"""Preparation of MIMIC-CXR, from a tiny download of the same layout with invented patients and reports."""

from __future__ import annotations

from pathlib import Path

import pytest
import tyro

from prepare_mimic_cxr import PrepareMimicCxr, main
from rrg.data.annotation import read_annotation

ROWS = [
    # dicom, subject, study, view, split, findings, image exists
    ("a1", 10000001, 50000001, "PA", "train", "Clear lungs.", True),
    ("a2", 10000001, 50000001, "LATERAL", "train", "Clear lungs.", True),
    ("b1", 10000002, 50000002, "AP", "validate", "Clear lungs.", True),
    ("c1", 10000003, 50000003, "LATERAL", "test", "Clear lungs.", True),
    ("d1", 10000004, 50000004, "PA", "test", "", True),
    ("e1", 10000005, 50000005, "PA", "test", "Clear lungs.", False),
]


@pytest.fixture
def download(tmp_path: Path) -> Path:
    metadata, split = ["dicom_id,subject_id,study_id,ViewPosition"], ["dicom_id,study_id,subject_id,split"]
    for dicom, subject, study, view, name, findings, exists in ROWS:
        metadata.append(f"{dicom},{subject},{study},{view}")
        split.append(f"{dicom},{study},{subject},{name}")
        report = tmp_path / "reports" / "files" / f"p10/p{subject}/s{study}.txt"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(f" FINDINGS: {findings}\n\n IMPRESSION: Normal.\n")
        image = tmp_path / "jpg" / "files" / f"p10/p{subject}/s{study}/{dicom}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        if exists:
            image.write_bytes(b"picture")
    (tmp_path / "jpg" / "mimic-cxr-2.0.0-metadata.csv").write_text("\n".join(metadata))
    (tmp_path / "jpg" / "mimic-cxr-2.0.0-split.csv").write_text("\n".join(split))
    return tmp_path


def prepare(download: Path, *arguments: str) -> None:
    paths = ["--jpg", str(download / "jpg"), "--reports", str(download / "reports"), "--out", str(download / "out")]
    main(tyro.cli(PrepareMimicCxr, args=[*paths, *arguments]))


def test_frontal_studies_with_findings_are_selected(download: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(download)
    studies = read_annotation(download / "out")
    assert [(study.id, study.split, study.report) for study in studies] == [
        ("s50000001", "train", "Clear lungs."),
        ("s50000002", "val", "Clear lungs."),
    ]
    assert [image.path.name for study in studies for image in study.images] == ["a1.jpg", "b1.jpg"]
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert printed == [
        "5 studies in the download",
        "dropped 1 no FINDINGS section (or no report)",
        "dropped 1 no frontal image",
        "dropped 1 an image file is missing",
        "kept 1 in train",
        "kept 1 in val",
    ]


def test_a_blank_findings_section_is_dropped(download: Path) -> None:
    """A reference of "___" cannot be compared with."""
    report = download / "reports" / "files" / "p10" / "p10000002" / "s50000002.txt"
    report.write_text(" FINDINGS:  ___\n\n IMPRESSION:  ___\n")
    prepare(download)
    assert [study.id for study in read_annotation(download / "out")] == ["s50000001"]


def test_reports_with_headings_of_views_are_selected(download: Path) -> None:
    report = download / "reports" / "files" / "p10" / "p10000004" / "s50000004.txt"
    report.write_text(" PA AND LATERAL VIEWS OF THE CHEST:  Left opacity.\n \n IMPRESSION:  Pneumonia.\n")
    prepare(download)
    assert {study.id: study.report for study in read_annotation(download / "out")}["s50000004"] == "Left opacity."


def test_all_views_selects_lateral_studies_too(download: Path) -> None:
    prepare(download, "--views", "all")
    studies = read_annotation(download / "out")
    assert [[image.view for image in study.images] for study in studies] == [
        ["frontal", "lateral"],
        ["frontal"],
        ["lateral"],
    ]

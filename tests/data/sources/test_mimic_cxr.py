"""Reading of MIMIC-CXR, from a tiny download of the same layout with invented patients and reports."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from rrg.data.sources.mimic_cxr import read_mimic_cxr
from rrg.errors import InputError

METADATA = """dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows
aa-1,10000001,50000001,CHEST (PA AND LAT),LATERAL,3056
aa-2,10000001,50000001,CHEST (PA AND LAT),PA,3056
aa-3,10000001,50000001,CHEST (PA AND LAT),AP,3056
bb-1,10000001,50000002,CHEST,LL,3056
cc-1,11000003,50000003,CHEST,,3056
dd-1,11000004,50000004,CHEST,AP,3056
"""
SPLIT = """dicom_id,study_id,subject_id,split
aa-1,50000001,10000001,train
aa-2,50000001,10000001,train
aa-3,50000001,10000001,train
bb-1,50000002,10000001,train
cc-1,50000003,11000003,validate
dd-1,50000004,11000004,test
"""
REPORT = """                                 FINAL REPORT
 INDICATION:  Invented cough.

 FINDINGS:

 The lungs are clear.
 The heart is normal.

 IMPRESSION:

 Normal.
"""


@pytest.fixture
def download(tmp_path: Path) -> Path:
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").write_text(METADATA)
    (tmp_path / "mimic-cxr-2.0.0-split.csv").write_text(SPLIT)
    write_report(tmp_path, "p10/p10000001/s50000001.txt", REPORT)
    write_report(tmp_path, "p11/p11000003/s50000003.txt", " IMPRESSION: Normal.\n")
    return tmp_path


def write_report(download: Path, name: str, text: str) -> None:
    path = download / "reports" / "files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (download / "files").mkdir(exist_ok=True)


def test_studies_have_report_split_and_first_frontal_image(download: Path) -> None:
    studies = read_mimic_cxr(download, download / "reports")
    assert [(study.id, study.split) for study in studies] == [
        ("s50000001", "train"),
        ("s50000002", "train"),
        ("s50000003", "val"),
        ("s50000004", "test"),
    ]
    first = studies[0]
    assert first.report == "The lungs are clear. The heart is normal."
    assert (first.indication, first.impression) == ("Invented cough.", "Normal.")
    (image,) = first.images
    assert image.view == "frontal"
    assert image.path == download / "files" / "p10" / "p10000001" / "s50000001" / "aa-2.jpg"
    assert [len(study.images) for study in studies] == [1, 0, 0, 1]
    assert [study.report for study in studies[1:]] == [None, None, None]


def test_all_views_are_read(download: Path) -> None:
    studies = read_mimic_cxr(download, download / "reports", views="all")
    assert [[image.view for image in study.images] for study in studies] == [
        ["lateral", "frontal", "frontal"],
        ["lateral"],
        ["unknown"],
        ["frontal"],
    ]


def test_compressed_tables_give_the_same_studies(download: Path) -> None:
    expected = [(study.id, study.images) for study in read_mimic_cxr(download, download / "reports")]
    for name in ("metadata", "split"):
        table = download / f"mimic-cxr-2.0.0-{name}.csv"
        table.with_suffix(".csv.gz").write_bytes(gzip.compress(table.read_bytes()))
        table.unlink()
    assert [(study.id, study.images) for study in read_mimic_cxr(download, download / "reports")] == expected


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (
            "split",
            "bb-1,50000002,10000001,train",
            "bb-1,50000002,10000001,test",
            "10000001 is in the splits train and test",
        ),
        ("split", "dd-1,50000004,11000004,test\n", "", "11000004 is in the metadata table but not in the split"),
        ("split", "validate", "dev", "names a split 'dev'"),
        ("split", "validate", "dev", r"split\.csv names a split 'dev' for patient 11000003"),
        ("metadata", "ViewPosition", "View", "no column ViewPosition"),
        ("metadata", "aa-3", "aa-2", r"metadata\.csv: the dicom_id aa-2 of study s50000001 is there twice"),
        (
            "metadata",
            "dd-1,11000004,50000004",
            "dd-1,11000004,50000003",
            r"metadata\.csv: study s50000003 has the subject_id 11000003 and 11000004",
        ),
    ],
)
def test_inconsistent_tables_are_refused(download: Path, table: str, old: str, new: str, message: str) -> None:
    path = download / f"mimic-cxr-2.0.0-{table}.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_mimic_cxr(download, download / "reports")


def test_a_table_with_byte_order_mark_is_read(download: Path) -> None:
    for name in ("metadata", "split"):
        table = download / f"mimic-cxr-2.0.0-{name}.csv"
        table.write_text(table.read_text(), encoding="utf-8-sig")
    assert len(read_mimic_cxr(download, download / "reports")) == 4


def test_a_truncated_table_is_refused(download: Path) -> None:
    table = download / "mimic-cxr-2.0.0-split.csv"
    table.with_suffix(".csv.gz").write_bytes(gzip.compress(table.read_bytes())[:-12])
    table.unlink()
    with pytest.raises(InputError, match=r"split\.csv\.gz is not a whole CSV table"):
        read_mimic_cxr(download, download / "reports")


def test_a_missing_folder_or_table_is_named_in_the_error(download: Path) -> None:
    with pytest.raises(InputError, match=r"no folder `files`.*mimic-cxr-reports\.zip"):
        read_mimic_cxr(download, download / "files")
    (download / "mimic-cxr-2.0.0-split.csv").unlink()
    with pytest.raises(InputError, match=r"no mimic-cxr-2\.0\.0-split\.csv"):
        read_mimic_cxr(download, download / "reports")

"""Preparation of IU X-Ray, from a tiny download with invented reports."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from prepare_iu_xray import PrepareIuXray, main, split_at_random
from rrg.data.annotation import read_annotation
from rrg.data.studies import Study
from rrg.errors import InputError

SCRIPT = Path(__file__).parents[2] / "train" / "prepare_iu_xray.py"


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """Twelve patients: 1-10 complete; 11 without findings; 12 with one image; of 10 an image is missing."""
    (tmp_path / "png").mkdir()
    reports = ["uid,MeSH,Problems,image,indication,comparison,findings,impression"]
    projections = ["uid,filename,projection"]
    for uid in range(1, 13):
        reports.append(f"{uid},normal,normal,Chest,Cough,None.,{'' if uid == 11 else f'Clear lungs {uid}.'},Normal.")
        for number, view in enumerate(["Frontal", "Lateral"][: 1 if uid == 12 else 2]):
            projections.append(f"{uid},{uid}_IM-{number}.dcm.png,{view}")
            if (uid, number) != (10, 1):
                (tmp_path / "png" / f"{uid}_IM-{number}.dcm.png").write_bytes(b"picture")
    (tmp_path / "reports.csv").write_text("\n".join(reports))
    (tmp_path / "projections.csv").write_text("\n".join(projections))
    return tmp_path


def prepare(download: Path, *arguments: str) -> list[Study]:
    given = ["--reports", "reports.csv", "--projections", "projections.csv", "--images", "png", "--out", "out"]
    paths = [word if word.startswith("--") else str(download / word) for word in given]
    main(tyro.cli(PrepareIuXray, args=[*paths, *arguments]))
    return read_annotation(download / "out")


def test_the_number_of_dropped_studies_is_printed_by_rule(download: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studies = prepare(download)
    assert {study.id for study in studies} == {f"CXR{uid}" for uid in range(1, 10)}
    assert all([image.view for image in study.images] == ["frontal", "lateral"] for study in studies)
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert printed == [
        "12 studies in the download",
        "dropped 0 not in the given annotation",
        "dropped 1 no FINDINGS section",
        "dropped 1 fewer than 2 images",
        "dropped 1 an image file is missing",
        "kept 6 in train",
        "kept 1 in val",
        "kept 2 in test",
    ]


def test_the_random_split_depends_on_the_seed(download: Path) -> None:
    def splits(seed: int) -> dict[str, str | None]:
        return {study.id: study.split for study in prepare(download, "--seed", str(seed))}

    assert splits(1) == splits(1)
    assert splits(1) != splits(2)


def test_split_sizes_do_not_depend_on_the_order() -> None:
    studies = [Study(f"CXR{number}", ()) for number in range(997)]
    assigned = split_at_random(studies, seed=3)
    assert sorted(study.id for study in assigned) == sorted(study.id for study in studies)
    counts = [sum(study.split == split for study in assigned) for split in ("train", "val", "test")]
    assert counts == pytest.approx([697.9, 99.7, 199.4], abs=1)
    again = split_at_random(studies[::-1], seed=3)
    assert [(study.id, study.split) for study in again] == [(study.id, study.split) for study in assigned]


def test_a_published_split_is_used_with_its_ids(download: Path) -> None:
    published = {"train": [{"id": "CXR2_IM-0652"}, {"id": "CXR11_IM-1"}], "val": [{"id": "CXR1_1_IM-0001"}], "test": []}
    (download / "published.json").write_text(json.dumps(published))
    given = ["--split-from", str(download / "published.json")]
    assert [(study.id, study.split) for study in prepare(download, *given)] == [
        ("CXR2_IM-0652", "train"),
        ("CXR1_1_IM-0001", "val"),
    ]
    with pytest.raises(InputError, match="lists no test studies"):
        prepare(download, *given, "--keep-rest")
    (download / "published.json").write_text(json.dumps({**published, "test": [{"id": "CXR3_IM-7"}]}))
    studies = prepare(download, *given, "--keep-rest")
    extra = [study.id for study in studies if study.split == "extra"]
    assert extra == [f"CXR{uid}" for uid in (4, 5, 6, 7, 8, 9, 12)]


def test_a_study_in_two_published_splits_is_refused(download: Path) -> None:
    """Both ids are of patient 2, so the second would silently replace the first."""
    published = {"train": [{"id": "CXR2_IM-0652"}], "test": [{"id": "CXR2_IM-0652-1001"}]}
    (download / "published.json").write_text(json.dumps(published))
    with pytest.raises(InputError, match=r"published\.json: The ids .* \(split train\) and .* \(split test\) .*CXR2"):
        prepare(download, "--split-from", str(download / "published.json"))
    assert not (download / "out").exists()


def test_two_rows_of_one_study_are_refused_before_anything_is_written(download: Path) -> None:
    with (download / "reports.csv").open("a") as file:
        file.write("\n3,normal,normal,Chest,Cough,None.,Clear.,Normal.")
    with pytest.raises(InputError, match="the uid 3 has two reports"):
        prepare(download)
    assert not (download / "out").exists()


def test_a_blank_report_counts_as_no_findings(download: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports = download / "reports.csv"
    reports.write_text(reports.read_text().replace("Clear lungs 3.", "___."))
    assert "CXR3" not in {study.id for study in prepare(download)}
    assert "dropped       2  no FINDINGS section" in capsys.readouterr().out


@pytest.fixture
def two_copies(tmp_path: Path) -> Path:
    """Four studies in Open-i's layout; two are there a second time, beside leftovers of operating systems."""
    folder = tmp_path / "xml"
    for name, number in (("a", 1), ("a", 2), ("a", 3), ("a", 4), ("copy", 1), ("copy", 2)):
        file = folder / name / f"{number}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        images = [f"CXR{number}_IM-{view}" for view in (1001, 2001)]
        file.write_text(
            f'<eCitation><uId id="CXR{number}"/><AbstractText Label="FINDINGS">The heart is normal.</AbstractText>'
            + "".join(f'<parentImage id="{image}"/>' for image in images)
            + "</eCitation>"
        )
        (tmp_path / "png").mkdir(exist_ok=True)
        for image in images:
            (tmp_path / "png" / f"{image}.png").write_bytes(b"picture")
    for leftover in ("xml/._1.xml", "xml/a/.DS_Store", "png/Thumbs.db", "png/._CXR1_IM-1001.png"):
        (tmp_path / leftover).write_bytes(b"\0\5\x16\7Mac OS X")
    return tmp_path


def test_copies_are_refused_and_leftovers_are_skipped(two_copies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = PrepareIuXray(two_copies / "xml", two_copies / "png", two_copies / "out")
    with pytest.raises(InputError, match=r"a/1\.xml and .*copy/1\.xml have the same uId, CXR1"):
        main(options)
    assert not (two_copies / "out").exists()
    shutil.rmtree(two_copies / "xml" / "copy")
    main(options)
    assert {study.id for study in read_annotation(two_copies / "out")} == {"CXR1", "CXR2", "CXR3", "CXR4"}
    assert "skipped       4  files of the operating system" in capsys.readouterr().out


def test_invalid_options_are_refused(download: Path) -> None:
    with pytest.raises(InputError, match="--projections"):
        main(PrepareIuXray(download / "reports.csv", download / "png", download / "out"))
    (download / "published.json").write_text(json.dumps({"train": [{"id": "x"}]}))
    with pytest.raises(InputError, match="begins with CXR"):
        prepare(download, "--split-from", str(download / "published.json"))
    assert not (download / "out").exists()


def test_the_script_prints_the_error_message_without_traceback(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--reports", str(tmp_path), "--images", str(tmp_path), "--out", "out"]
    ended = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(SCRIPT.parents[1])}, capture_output=True)
    assert ended.returncode == 1
    assert ended.stderr.decode().startswith(f"{tmp_path} holds no XML report.")
    assert list(tmp_path.iterdir()) == []

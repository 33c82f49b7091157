"""Preparation of IU X-Ray, from a tiny download with invented reports."""

from __future__ import annotations

import json
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

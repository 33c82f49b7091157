"""Reading plain folders of images as studies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rrg.data.image_folder import read_folder
from rrg.errors import InputError
from tests.data.images import grey_of, write_image


def test_each_image_and_each_sub_folder_is_a_study(tmp_path: Path, dicom_file: Path) -> None:
    write_image(tmp_path / "one.png", 10)
    write_image(tmp_path / "two" / "front.jpg", 20)
    write_image(tmp_path / "two" / "side.PNG", 30)
    shutil.copy(dicom_file, tmp_path / "1.2.840.113")
    for name in ("notes.txt", ".hidden.png", "two/notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "empty").mkdir()
    studies = read_folder(tmp_path)
    assert [(study.id, len(study.images)) for study in studies] == [("1.2.840.113", 1), ("one", 1), ("two", 2)]
    assert grey_of(studies[1].radiographs()[0]) == 10


@pytest.fixture
def dicom_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose content alone shows that it is DICOM."""
    path = tmp_path_factory.mktemp("dicom") / "file"
    path.write_bytes(bytes(128) + b"DICM")
    return path


def test_a_folder_without_valid_studies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no image"):
        read_folder(tmp_path)
    with pytest.raises(InputError, match="There is no folder"):
        read_folder(tmp_path / "absent")
    write_image(tmp_path / "a.png", 1)
    write_image(tmp_path / "a.jpg", 1)
    with pytest.raises(InputError, match="are named a"):
        read_folder(tmp_path)
    (tmp_path / "a.jpg").unlink()
    for number in range(3):
        write_image(tmp_path / "b" / f"{number}.png", 1)
    with pytest.raises(InputError, match="holds 3 images"):
        read_folder(tmp_path)

"""Studies: reading annotation.json with a folder or tar of images, plain folders, and which radiographs are used."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
import tarfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rrg.data.studies import ImageFile, Study, read_annotation, read_folder
from rrg.errors import InputError

GREYS = {"a/0.png": 40, "a/1.png": 80, "b/0.png": 120, "p10/s1/c.png": 160, "d/2.png": 200}


def write_image(path: Path, grey: int) -> None:
    """A picture that can be told by its grey; its gradient keeps it from being refused as blank."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((256, 256), grey, dtype=np.uint8)
    pixels[:, 128:] += np.arange(128, dtype=np.uint8) // 4
    Image.fromarray(pixels).save(path)


def grey_of(study_image: Any) -> int:
    radiograph = study_image.read() if isinstance(study_image, ImageFile) else study_image
    return round(float(radiograph.pixels[0, 0]) * 255)


def record(study_id: str, names: list[str], **fields: Any) -> dict[str, Any]:
    return {"id": study_id, "report": "Clear lungs.", "image_path": names, **fields}


ANNOTATION = {
    "train": [record("a", ["a/0.png", "a/1.png"], view=["lateral", "frontal"], indication="Cough.", impression="")],
    "val": [record("b", ["b/0.png"])],
    "extra": [{**record("p10", ["p10/s1/c.png"]), "report": ""}, record("d", ["d/2.png", "b/0.png"])],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, grey in GREYS.items():
        write_image(tmp_path / "images" / name, grey)
    (tmp_path / "annotation.json").write_text(json.dumps(ANNOTATION))
    return tmp_path


def pack(folder: Path, prefix: str = "images") -> Path:
    """Replace images/ by images.tar."""
    with tarfile.open(folder / "images.tar", "w") as tar:
        tar.add(folder / "images", prefix)
    shutil.rmtree(folder / "images")
    return folder


def rewrite(folder: Path, annotation: Any) -> None:
    (folder / "annotation.json").write_text(json.dumps(annotation))


def test_an_annotation_is_read_split_by_split(folder: Path) -> None:
    studies = read_annotation(folder)
    assert [(study.id, study.split) for study in studies] == [
        ("a", "train"),
        ("b", "val"),
        ("p10", "extra"),
        ("d", "extra"),
    ]
    assert [study.id for study in read_annotation(folder, "extra")] == ["p10", "d"]
    first = studies[0]
    assert (first.report, first.indication, first.impression) == ("Clear lungs.", "Cough.", None)
    assert [image.view for image in first.images] == ["lateral", "frontal"]
    assert [image.view for image in studies[3].images] == ["unknown", "unknown"]
    assert studies[2].report is None


@pytest.mark.parametrize("prefix", ["images", "", "./images"])
def test_a_tar_gives_the_same_images_as_a_folder(folder: Path, prefix: str) -> None:
    expected = [[grey_of(image) for image in study.images] for study in read_annotation(folder)]
    pack(folder, prefix)
    assert [[grey_of(image) for image in study.images] for study in read_annotation(folder)] == expected
    assert expected[0] == [40, 80]


def test_a_tar_is_read_from_threads_and_other_processes(folder: Path) -> None:
    images = [image for study in read_annotation(pack(folder)) for image in study.images] * 8
    greys = [grey_of(image) for image in images]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(grey_of, images)) == greys
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as workers:
        assert list(workers.map(grey_of, images)) == greys
    assert grey_of(pickle.loads(pickle.dumps(images[0]))) == greys[0]


def test_a_tar_that_is_written_again_is_read_again(folder: Path) -> None:
    pack(folder)
    assert grey_of(read_annotation(folder, "val")[0].images[0]) == 120
    for name, grey in GREYS.items():
        write_image(folder / "images" / "shifted" / name, 10)
        write_image(folder / "images" / name, grey + 7)
    pack(folder)
    assert grey_of(read_annotation(folder, "val")[0].images[0]) == 127


def test_a_missing_image_is_named(folder: Path) -> None:
    (folder / "images" / "b" / "0.png").unlink()
    assert [study.id for study in read_annotation(folder, "train")] == ["a"]
    with pytest.raises(InputError, match=r"1 images.*b/0\.png.*remove their records"):
        read_annotation(folder, "val")
    pack(folder)
    with pytest.raises(InputError, match=r"b/0\.png"):
        read_annotation(folder, "val")


def test_an_image_that_goes_away_later_is_named(folder: Path) -> None:
    (study,) = read_annotation(folder, "val")
    (folder / "images" / "b" / "0.png").unlink()
    with pytest.raises(InputError, match=r"b/0\.png does not exist"):
        study.radiographs()


def test_a_bad_image_is_named(folder: Path) -> None:
    (folder / "images" / "b" / "0.png").write_text("no picture")
    with pytest.raises(InputError, match=r"b/0\.png: "):
        read_annotation(folder, "val")[0].radiographs()


@pytest.mark.parametrize(
    "name", ["../secret.png", "a/../../secret.png", "/etc/secret.png", "..\\secret.png", "C:/x.png"]
)
def test_no_path_leads_out_of_the_images(folder: Path, name: str) -> None:
    write_image(folder / "secret.png", 1)
    rewrite(folder, {"train": [record("a", [name])]})
    with pytest.raises(InputError, match="outside of the images"):
        read_annotation(folder)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ([], "not an R2Gen annotation"),
        ({"train": ["a"]}, "not an R2Gen annotation"),
        ({"train": [{"image_path": ["a/0.png"]}]}, "has no id"),
        ({"train": [record("a", [])]}, "no image_path"),
        ({"train": [record("a", ["a/0.png"], view=["frontal", "lateral"])]}, "1 images and the views"),
        ({"train": [record("a", ["a/0.png"], view=["oblique"])]}, "frontal, lateral, unknown"),
        ({"train": [record("a", ["a/0.png"])], "val": [record("a", ["a/1.png"])]}, "splits train and val"),
    ],
)
def test_a_wrong_annotation_is_refused(folder: Path, annotation: Any, message: str) -> None:
    rewrite(folder, annotation)
    with pytest.raises(InputError, match=message):
        read_annotation(folder)


def test_what_is_absent_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match="It has: train, val, extra"):
        read_annotation(folder, "test")
    (folder / "annotation.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        read_annotation(folder)
    (folder / "annotation.json").unlink()
    with pytest.raises(InputError, match=r"There is no .*annotation\.json"):
        read_annotation(folder)
    rewrite(folder, ANNOTATION)
    shutil.rmtree(folder / "images")
    with pytest.raises(InputError, match=r"neither images/ nor images\.tar"):
        read_annotation(folder)
    with tarfile.open(folder / "images.tar", "w:gz"):
        pass
    with pytest.raises(InputError, match="uncompressed tar"):
        read_annotation(folder)


@pytest.mark.parametrize(
    ("views", "used"),
    [
        (["frontal"], [0]),
        (["lateral"], [0]),
        (["lateral", "frontal"], [1, 0]),
        (["frontal", "frontal", "lateral"], [0, 2]),
        (["lateral", "lateral", "frontal", "frontal"], [2, 0]),
        (["lateral", "lateral", "lateral"], [0, 1]),
        (["unknown", "unknown", "unknown"], [0, 1]),
        (["unknown", "unknown", "frontal"], [2, 0]),
        (["unknown", "lateral"], [0, 1]),
    ],
)
def test_one_frontal_and_one_lateral_radiograph_are_used(tmp_path: Path, views: list, used: list[int]) -> None:
    for number in range(len(views)):
        write_image(tmp_path / f"{number}.png", 20 * number)
    images = tuple(ImageFile(tmp_path / f"{number}.png", view) for number, view in enumerate(views))
    for study in (Study("s", images), Study("s", tuple(image.read() for image in images))):
        radiographs = study.radiographs()
        assert [grey_of(radiograph) // 20 for radiograph in radiographs] == used
        assert [radiograph.view for radiograph in radiographs] == [views[number] for number in used]


def test_a_study_without_image_has_no_radiographs() -> None:
    with pytest.raises(InputError, match="Study s has no image"):
        Study("s", ()).radiographs()


def test_a_plain_folder_holds_a_study_for_each_image_or_sub_folder(tmp_path: Path, dicom_file: Path) -> None:
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
    """A file that is DICOM by its content alone."""
    path = tmp_path_factory.mktemp("dicom") / "file"
    path.write_bytes(bytes(128) + b"DICM")
    return path


def test_a_folder_that_cannot_be_studies_is_refused(tmp_path: Path) -> None:
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


def test_the_shared_studies_are_read(shared_data: Path) -> None:
    studies = read_annotation(shared_data / "iu_xray")
    counts = {split: sum(study.split == split for study in studies) for split in ("train", "val", "extra")}
    assert counts == {"train": 2069, "val": 296, "extra": 871}
    radiographs = studies[-1].radiographs()
    assert radiographs[0].pixels.shape == (256, 256)
    assert len(radiographs) == min(2, len(studies[-1].images))

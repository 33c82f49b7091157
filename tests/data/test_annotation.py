"""Reading annotation.json with a folder or tar of images."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
import tarfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rrg.data.annotation import read_annotation, read_reported
from rrg.errors import InputError
from tests.data.images import grey_of, write_image

GREYS = {"a/0.png": 40, "a/1.png": 80, "b/0.png": 120, "p10/s1/c.png": 160, "d/2.png": 200}


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


def test_an_annotation_is_read_by_split(folder: Path) -> None:
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
def test_images_in_a_tar_equal_images_in_a_folder(folder: Path, prefix: str) -> None:
    expected = [[grey_of(image) for image in study.images] for study in read_annotation(folder)]
    pack(folder, prefix)
    assert [[grey_of(image) for image in study.images] for study in read_annotation(folder)] == expected
    assert expected[0] == [40, 80]


def test_a_tar_is_read_from_threads_and_processes(folder: Path) -> None:
    images = [image for study in read_annotation(pack(folder)) for image in study.images] * 8
    greys = [grey_of(image) for image in images]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(grey_of, images)) == greys
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as workers:
        assert list(workers.map(grey_of, images)) == greys
    assert grey_of(pickle.loads(pickle.dumps(images[0]))) == greys[0]


def test_a_rewritten_tar_is_indexed_again(folder: Path) -> None:
    pack(folder)
    assert grey_of(read_annotation(folder, "val")[0].images[0]) == 120
    for name, grey in GREYS.items():
        write_image(folder / "images" / "shifted" / name, 10)
        write_image(folder / "images" / name, grey + 7)
    pack(folder)
    assert grey_of(read_annotation(folder, "val")[0].images[0]) == 127


def test_a_missing_image_is_named_in_the_error(folder: Path) -> None:
    (folder / "images" / "b" / "0.png").unlink()
    assert [study.id for study in read_annotation(folder, "train")] == ["a"]
    with pytest.raises(InputError, match=r"1 images.*b/0\.png.*remove their records"):
        read_annotation(folder, "val")
    pack(folder)
    with pytest.raises(InputError, match=r"b/0\.png"):
        read_annotation(folder, "val")


def test_an_image_deleted_after_reading_is_named_in_the_error(folder: Path) -> None:
    (study,) = read_annotation(folder, "val")
    (folder / "images" / "b" / "0.png").unlink()
    with pytest.raises(InputError, match=r"b/0\.png does not exist"):
        study.radiographs()


def test_an_unreadable_image_is_named_in_the_error(folder: Path) -> None:
    (folder / "images" / "b" / "0.png").write_text("no picture")
    with pytest.raises(InputError, match=r"b/0\.png: "):
        read_annotation(folder, "val")[0].radiographs()


@pytest.mark.parametrize(
    "name", ["../secret.png", "a/../../secret.png", "/etc/secret.png", "..\\secret.png", "C:/x.png"]
)
def test_an_image_path_outside_of_the_images_is_refused(folder: Path, name: str) -> None:
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
        ({"train": [{"id": "a", "image_path": 5}]}, r"annotation\.json: Record a has no image_path"),
        ({"train": [record("a", ["a/0.png"], view=1)]}, r"annotation\.json: Record a .* in `view`"),
        ({"train": [{**record("a", []), "report": 7}]}, r"annotation\.json: record 'a' .* has a int in `report`"),
        ({"train": [{**record("a", []), "report": ["x", 7]}]}, r"record 'a' of split 'train' has a list in `report`"),
        ({"train": [record("a", [], indication={})]}, r"record 'a' of split 'train' has a dict in `indication`"),
        ({"train": [record("a", ["a/0.png"])], "val": [record("a", ["a/1.png"])]}, "splits train and val"),
    ],
)
def test_an_invalid_annotation_is_refused(folder: Path, annotation: Any, message: str) -> None:
    rewrite(folder, annotation)
    with pytest.raises(InputError, match=message):
        read_annotation(folder)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_read(folder: Path, encoding: str) -> None:
    (folder / "annotation.json").write_text(json.dumps(ANNOTATION), encoding=encoding)
    assert [study.id for study in read_annotation(folder)] == ["a", "b", "p10", "d"]


def test_sentences_of_a_report_are_joined(folder: Path) -> None:
    """As in the annotations of XProNet and SGRRG."""
    sentences = ["The heart is normal.", " Clear lungs. ", ""]
    rewrite(folder, {"val": [{**record("b", ["b/0.png"]), "report": sentences, "impression": []}]})
    (study,) = read_annotation(folder)
    assert (study.report, study.impression) == ("The heart is normal. Clear lungs.", None)


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "/".join(["x" * 200] * 6) + ".png", "ä" * 200])
def test_an_image_name_that_no_file_can_have_is_refused(folder: Path, name: str) -> None:
    rewrite(folder, {"train": [record("a", [name])]})
    with pytest.raises(InputError, match="too long for a file"):
        read_annotation(folder)


def test_a_link_out_of_the_data_folder_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever hands over a data folder must not choose an image of this machine."""
    records = json.loads((folder / "annotation.json").read_text())["train"]
    name = records[0]["image_path"][0]
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    secret.write_bytes((folder / "images" / name).read_bytes())
    inside = folder / "images" / "inside.png"
    inside.symlink_to(folder / "images" / name)
    rewrite(folder, {"train": [record("a", ["inside.png"])]})
    assert read_annotation(folder)[0].radiographs()
    (folder / "images" / "linked.png").symlink_to(secret)
    (folder / "images" / "linked").symlink_to(secret.parent)
    for outside in ("linked.png", "linked/secret.png"):
        rewrite(folder, {"train": [record("a", [outside])]})
        with pytest.raises(InputError, match="leads out of"):
            read_annotation(folder)


def test_json_that_is_nested_too_deeply_is_refused(folder: Path) -> None:
    (folder / "annotation.json").write_text("[" * 200_000)
    with pytest.raises(InputError, match=r"annotation\.json is not valid JSON"):
        read_annotation(folder)


def test_blank_reports_are_left_out(folder: Path) -> None:
    records = json.loads((folder / "annotation.json").read_text())["train"]
    studies = [
        record(f"s{n}", records[0]["image_path"], report=text) for n, text in enumerate(("___", "", "Clear.", " ."))
    ]
    rewrite(folder, {"train": studies, "val": [{**study, "id": f"val {n}"} for n, study in enumerate(studies[:2])]})
    assert [study.id for study in read_reported(folder, "train")] == ["s2"]
    with pytest.raises(InputError, match=r"No study of split 'val'.* has a text in `report`"):
        read_reported(folder, "val")


def test_a_missing_split_or_file_is_named_in_the_error(folder: Path) -> None:
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


def test_the_studies_of_iu_xray_are_read(shared_data: Path) -> None:
    studies = read_annotation(shared_data / "iu_xray")
    counts = {split: sum(study.split == split for study in studies) for split in ("train", "val", "extra")}
    assert counts == {"train": 2069, "val": 296, "extra": 871}
    radiographs = studies[-1].radiographs()
    assert radiographs[0].pixels.shape == (256, 256)
    assert len(radiographs) == min(2, len(studies[-1].images))

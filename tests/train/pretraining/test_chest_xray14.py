"""What the labels of ChestX-ray14 say of our findings, and what they leave open."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pretraining.chest_xray14 import EQUIVALENTS, LabelledImage, LabelledImages, read_labelled_images
from rrg.data.transforms import ViewTransform
from rrg.errors import InputError
from rrg.labels.findings import CONCEPTS, FINDINGS


def labels(*names: str) -> LabelledImage:
    return LabelledImage(Path("00000001_000.png"), frozenset(names))


def test_every_finding_is_one_of_ours() -> None:
    assert EQUIVALENTS.keys() <= {*FINDINGS, *CONCEPTS}


@pytest.mark.parametrize(
    ("names", "finding", "label"),
    [
        (["Effusion"], "Pleural Effusion", 1.0),
        (["Cardiomegaly"], "Pleural Effusion", 0.0),
        (["Mass"], "Lung Lesion", 1.0),
        (["Nodule", "Effusion"], "Lung Lesion", 1.0),
        (["Nodule"], "Mass", 0.0),
        (["Fibrosis"], "Scarring", 1.0),
        (["Infiltration"], "Lung Opacity", 1.0),
        (["No Finding"], "Lung Opacity", 0.0),
        (["Nodule"], "Lung Opacity", math.nan),
        (["No Finding"], "No Finding", 1.0),
        (["Effusion"], "No Finding", 0.0),
        (["Effusion"], "Support Devices", math.nan),
        (["No Finding"], "Fracture", math.nan),
        (["No Finding"], "Enlarged Cardiomediastinum", math.nan),
    ],
)
def test_labels_assert_deny_or_do_not_say(names: list[str], finding: str, label: float) -> None:
    assert labels(*names).label(finding) == pytest.approx(label, nan_ok=True)


def test_images_of_one_patient_are_in_one_fold_and_folds_are_even() -> None:
    images = [
        LabelledImage(Path(f"{patient:08d}_{n:03d}.png"), frozenset()) for patient in range(500) for n in range(2)
    ]
    folds = np.array([image.fold(5) for image in images]).reshape(-1, 2)
    assert (folds[:, 0] == folds[:, 1]).all()
    assert np.bincount(folds[:, 0]).tolist() == pytest.approx([100] * 5, abs=25)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(40, 200, (80, 80), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "00000001_000.png")
    (tmp_path / "labels.csv").write_text("file,view,sex,age,findings\n00000001_000.png,AP,F,49,Edema|Mass\n")
    return tmp_path


def test_an_item_has_the_frontal_view_alone(folder: Path) -> None:
    item = LabelledImages(read_labelled_images(folder), ViewTransform(32, (0.5,) * 3, (0.5,) * 3))[0]
    assert item["pixel_values"].shape == (2, 3, 32, 32)
    assert item["view_mask"].tolist() == [True, False]
    assert (item["pixel_values"][1] == 0).all()
    assert item["views"].tolist() == [0, -100]
    asserted = {name for name, label in zip(CONCEPTS, item["concepts"].tolist(), strict=True) if label == 1}
    assert asserted == {"Edema", "Lung Opacity", "Lung Lesion", "Mass"}
    assert item["findings"].shape == (len(FINDINGS),)


def test_a_missing_table_column_or_image_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.csv"):
        read_labelled_images(tmp_path / "nowhere")
    (folder / "labels.csv").write_text("file,findings\n00000002_000.png,Edema\n")
    with pytest.raises(InputError, match=r"00000002_000\.png"):
        read_labelled_images(folder)
    (folder / "labels.csv").write_text("image,findings\n00000001_000.png,Edema\n")
    with pytest.raises(InputError, match="columns file and findings"):
        read_labelled_images(folder)

"""The radiographs of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrg.data.studies import ImageFile, Study
from rrg.errors import InputError
from tests.data.images import grey_of, write_image


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
def test_first_frontal_and_first_lateral_image_are_chosen(tmp_path: Path, views: list, used: list[int]) -> None:
    for number in range(len(views)):
        write_image(tmp_path / f"{number}.png", 20 * number)
    images = tuple(ImageFile(tmp_path / f"{number}.png", view) for number, view in enumerate(views))
    for study in (Study("s", images), Study("s", tuple(image.read() for image in images))):
        radiographs = study.radiographs()
        assert [grey_of(radiograph) // 20 for radiograph in radiographs] == used
        assert [radiograph.view for radiograph in radiographs] == [views[number] for number in used]


def test_a_study_without_images_is_refused() -> None:
    with pytest.raises(InputError, match="Study s has no image"):
        Study("s", ()).radiographs()


def test_a_text_is_a_path(tmp_path: Path) -> None:
    image = ImageFile(str(tmp_path / "absent.png"))  # type: ignore[arg-type]
    assert image == ImageFile(tmp_path / "absent.png") and isinstance(image.path, Path)
    with pytest.raises(InputError, match=r"absent\.png does not exist"):
        image.read()

"""Pictures become the inputs that the reporter makes of the same files; ids become its text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rrg.data.batches import StudyBatch, place_views
from rrg.data.phantom import make_phantom
from rrg.data.studies import study_of_files
from rrg.data.tokenizer import ReportTokenizer
from rrg.data.transforms import TRANSFORMS
from rrg.errors import InputError
from rrg.inference.feature_cache import sampling_seed
from rrg.inference.processing import ReportImageProcessor, ReportProcessor


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """A grey frontal, and a lateral of three equal channels that lies on its side by EXIF."""
    paths = [tmp_path / "frontal.png", tmp_path / "lateral.png"]
    for path, radiograph in zip(paths, make_phantom(1, size=120).study.radiographs(), strict=True):
        Image.fromarray((radiograph.pixels[:100] * 255).round().astype("uint8")).save(path)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.open(paths[1]).convert("RGB").save(paths[1], exif=turned)
    return paths


@pytest.mark.parametrize("pixels", TRANSFORMS)
@pytest.mark.parametrize("views", [1, 2])
def test_inputs_are_those_of_the_reporter(pictures: list[Path], pixels: str, views: int) -> None:
    processor = ReportImageProcessor(64, num_views=views, pixels=pixels)
    inputs = processor([pictures, [Image.open(pictures[1])]])
    studies = [study_of_files(*pictures).radiographs(), study_of_files(pictures[1]).radiographs()]
    transform = TRANSFORMS[pixels](64, tuple(processor.image_mean), tuple(processor.image_std))
    batch = StudyBatch.of(studies, transform, views)
    assert torch.equal(inputs["pixel_values"], batch.pixel_values)
    assert torch.equal(inputs["view_mask"], batch.view_mask)
    assert inputs["seeds"].tolist() == [sampling_seed(study, place_views(study, views)) for study in studies]


def test_the_two_resizes_differ(pictures: list[Path]) -> None:
    exact, rounded = (ReportImageProcessor(64, pixels=name)([pictures])["pixel_values"] for name in TRANSFORMS)
    assert 0 < (exact - rounded).abs().max() * 0.229 * 255 < 2


def test_arrays_pictures_and_paths_are_the_same(pictures: list[Path]) -> None:
    processor = ReportImageProcessor(32)
    image = Image.open(pictures[0])
    given = (pictures[0], str(pictures[0]), image, np.asarray(image), [image], [[image]])
    first, *others = (processor(one)["pixel_values"] for one in given)
    assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((40, 40), np.float32), "float32"),
        (np.zeros((40,), np.uint8), "of 8 bits"),
        (Image.fromarray(np.zeros((40, 40), np.uint16)), "more than 8 bits"),
    ],
)
def test_what_is_no_picture_of_8_bits_is_refused(image: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReportImageProcessor(32)(image)  # type: ignore[arg-type]


def test_the_processor_reads_no_prompt(pictures: list[Path]) -> None:
    tokenizer = ReportTokenizer.build(["heart is normal . lungs are clear ."], 1)
    processor = ReportProcessor(ReportImageProcessor(32), tokenizer)
    paths = [str(path) for path in pictures]
    assert processor(images=paths, text="")["pixel_values"].shape == (1, 2, 3, 32, 32)
    assert processor(images=paths, text=["", ""])["view_mask"].tolist() == [[True, False]] * 2
    with pytest.raises(InputError, match="no prompt"):
        processor(images=paths, text="Describe the heart.")
    with pytest.raises(InputError, match="no image"):
        processor(text="")
    with pytest.raises(InputError, match="has no image"):
        processor(images=[[]])
    ids = tokenizer.encode_report("heart is normal . lungs are clear .", 60)
    assert processor.decode(torch.tensor(ids)) == "Heart is normal. Lungs are clear."

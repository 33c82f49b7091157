"""The strong augmentation: range, size, strength, and that it does not mirror."""

from __future__ import annotations

import pytest
import torch

from pretraining.augmentation import encoder_augmentation


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_images_keep_their_size_and_range_and_differ() -> None:
    image = torch.rand(1, 48, 64)
    augmented = [encoder_augmentation()(image) for _ in range(100)]
    assert {tuple(picture.shape) for picture in augmented} == {(1, 48, 64)}
    assert all(float(picture.min()) >= 0 and float(picture.max()) <= 1 for picture in augmented)
    assert len({round(float(picture.mean()), 5) for picture in augmented}) > 90


def test_strength_0_changes_nothing() -> None:
    image = torch.rand(1, 48, 64)
    for _ in range(20):
        torch.testing.assert_close(encoder_augmentation(0)(image), image, atol=1e-5, rtol=0)


def test_the_given_image_is_not_changed() -> None:
    image = torch.rand(1, 48, 48)
    before = image.clone()
    for _ in range(50):
        encoder_augmentation()(image)
    assert torch.equal(image, before)


def test_left_stays_left_and_up_stays_up() -> None:
    image = torch.full((1, 64, 64), 0.4)
    image[:, 8:24, 8:24] = 0.9  # upper left
    quarters = torch.zeros(2, 2)
    for _ in range(200):
        augmented = encoder_augmentation()(image)[0]
        quarters += torch.stack(
            [torch.stack([part.mean() for part in half.chunk(2, 1)]) for half in augmented.chunk(2)]
        )
    assert quarters.argmax() == 0
    assert quarters[0, 0] > 1.15 * quarters.flatten()[1:].max()

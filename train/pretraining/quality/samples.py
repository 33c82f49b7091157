"""Labelled images for the training of the quality heads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pretraining.quality.chests import Chest
from pretraining.quality.disturbances import disturbed
from pretraining.quality.pictures import TRAINED, part_of

_VIEWS = {"frontal": 0, "lateral": 1, "unknown": -1}
_CALIBRATION = 5
"""Images of one in so many studies choose the thresholds and are not fitted."""

SMALL_PART = (0.12, 0.35)
"""Sides of a part of a chest that shows no whole chest, as shares of the image's."""


@dataclass(frozen=True)
class Label:
    """What an image shows; -1 where the question has no answer."""

    no_chest: int
    inverted: int = -1
    turns: int = -1
    """Number of quarter turns counter-clockwise."""
    lateral: int = -1
    source: int = -1
    """Index of the chest's source; -1 for no chest."""
    calibration: int = 0
    """1 for an image that chooses thresholds."""


@dataclass(frozen=True, eq=False)
class Sample:
    """An image with its label."""

    pixels: np.ndarray
    label: Label


def chest_samples(chests: Sequence[Chest], source: int, count: int, seed: int) -> Iterator[Sample]:
    """Chests, most of them disturbed, two in five turned, three in ten inverted."""
    random = np.random.default_rng(seed)
    for i in range(count):
        chest = chests[i % len(chests)]
        turns = int(random.integers(1, 4)) if random.random() < 0.4 else 0
        inverted = int(random.random() < 0.3)
        image = np.rot90(disturbed(chest.pixels, random), turns)
        label = Label(0, inverted, turns, _VIEWS[chest.view], source, calibration=int(chest.study % _CALIBRATION == 0))
        yield Sample(np.ascontiguousarray(1 - image if inverted else image), label)


def other_samples(pictures: Sequence[np.ndarray], chests: Sequence[Chest], count: int, seed: int) -> Iterator[Sample]:
    """Drawn pictures, parts of photographs, and small parts of chests; turned, mirrored and inverted at random."""
    random = np.random.default_rng(seed)
    for i in range(count):
        kind = random.random()
        if kind < 0.45 or (kind < 0.8 and not pictures):
            image = TRAINED[int(random.integers(len(TRAINED)))](random)
        else:
            if kind < 0.8:
                image = part_of(pictures[int(random.integers(len(pictures)))], random, 0.3, 1.0)
            else:
                image = part_of(chests[int(random.integers(len(chests)))].pixels, random, *SMALL_PART)
            if random.random() < 0.5:
                image = disturbed(image, random)
            image = np.rot90(image, int(random.integers(4)))
            image = image[:, ::-1] if random.random() < 0.5 else image
        image = 1 - image if random.random() < 0.4 else image
        yield Sample(np.ascontiguousarray(image), Label(1, calibration=int(i % _CALIBRATION == 0)))

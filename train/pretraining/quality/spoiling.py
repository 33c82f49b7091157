"""Images with one fault each, with which the sensitivity of the checks is measured."""

from __future__ import annotations

import string

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont


def empty(random: np.random.Generator) -> np.ndarray:
    """One grey value, with faint noise, with a thin frame or without."""
    grey = float(random.choice([0.0, 1.0, random.uniform()]))
    image = np.full((int(random.integers(128, 900)), int(random.integers(128, 900))), grey, np.float32)
    if random.random() < 0.5:
        image += random.normal(0, 0.002, image.shape).astype(np.float32)
    if random.random() < 0.3:
        image[0], image[-1], image[:, 0], image[:, -1] = (1 - grey,) * 4
    return np.clip(image, 0, 1)


def noise(random: np.random.Generator) -> np.ndarray:
    """Independent pixels: normal, uniform, or black and white."""
    size = int(random.integers(128, 900)), int(random.integers(128, 900))
    kind = random.integers(3)
    if kind == 0:
        values = random.normal(0.5, random.uniform(0.05, 0.4), size)
    elif kind == 1:
        values = random.uniform(size=size)
    else:
        values = (random.uniform(size=size) < random.uniform(0.2, 0.8)).astype(np.float64)
    return np.clip(values, 0, 1).astype(np.float32)


def shrunken(image: np.ndarray, side: int) -> np.ndarray:
    """Scaled so that the shorter side has `side` pixels."""
    scale = side / min(image.shape)
    size = max(side, round(image.shape[1] * scale)), max(side, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def faded(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A quarter of the grey scale or less, at a random brightness."""
    share = random.uniform(0.1, 0.25)
    return (image * share + random.uniform(0, 1 - share)).astype(np.float32)


def lettered(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A line of 8 to 24 bright letters over the dark corner or the tissue at the top or the bottom."""
    scale = max(1.0, 512 / min(image.shape))
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    height, width = large.shape
    picture = Image.fromarray(np.round(np.clip(large, 0, 1) * 255).astype(np.uint8))
    font = ImageFont.load_default(size=height * random.uniform(0.022, 0.05))
    text = "".join(random.choice([*string.ascii_uppercase, *string.digits, " ", "-"], int(random.integers(8, 25))))
    row = height * (random.uniform(0.01, 0.08) if random.random() < 0.5 else random.uniform(0.88, 0.94))
    ImageDraw.Draw(picture).text((width * random.uniform(0.01, 0.3), row), text, fill=255, font=font)
    return np.asarray(picture, dtype=np.float32) / 255

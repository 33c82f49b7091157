"""Pictures that are no chests: drawn from random numbers, or taken from photographs and from other radiographs.

Each generator returns float32 [SIDE, SIDE] in [0, 1]. `TRAINED` are those that the heads learn from; `HELD_OUT` are
other kinds of pictures, with which alone the sensitivity is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

from pretraining.quality.lettering import draw_text, random_text
from rrg.errors import InputError

SIDE = 256
Generator = Callable[[np.random.Generator], np.ndarray]

_ROWS, _COLUMNS = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Scale to [0, 1]."""
    span = np.ptp(values)
    return ((values - values.min()) / (span if span > 0 else 1)).astype(np.float32)


# Kinds to train on ----------------------------------------------------------------------------------------------------


def coloured_noise(random: np.random.Generator) -> np.ndarray:
    """Noise whose amplitude falls with frequency as 1 / f**a, a in [0.3, 3.5]: from fine grain to clouds."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    frequency[0, 0] = 1
    spectrum = random.normal(size=frequency.shape) + 1j * random.normal(size=frequency.shape)
    return _scaled(np.fft.irfft2(spectrum / frequency ** random.uniform(0.3, 3.5), (SIDE, SIDE)))


def gradient(random: np.random.Generator) -> np.ndarray:
    """A smooth transition along a line or from a centre."""
    if random.random() < 0.5:
        angle = random.uniform(0, 2 * np.pi)
        values = np.cos(angle) * _ROWS + np.sin(angle) * _COLUMNS
    else:
        values = np.hypot(_ROWS - random.uniform(), (_COLUMNS - random.uniform()) * random.uniform(0.4, 2.5))
    return _scaled(values) ** np.float32(2 ** random.uniform(-1.5, 1.5))


def shapes(random: np.random.Generator) -> np.ndarray:
    """Overlapping ellipses and rectangles, sharp or blurred."""
    image = np.full((SIDE, SIDE), random.uniform(), np.float32)
    for _ in range(random.integers(2, 25)):
        centre = tuple(int(x) for x in random.uniform(0, SIDE, 2))
        axes = tuple(int(x) for x in random.uniform(5, 90, 2))
        grey = float(random.uniform())
        if random.random() < 0.5:
            cv2.ellipse(image, centre, axes, float(random.uniform(0, 180)), 0, 360, grey, -1)
        else:
            cv2.rectangle(image, centre, (centre[0] + axes[0], centre[1] + axes[1]), grey, -1)
    return cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 14))


def blobs(random: np.random.Generator) -> np.ndarray:
    """A sum of wide Gaussians."""
    values = np.zeros((SIDE, SIDE))
    for _ in range(random.integers(2, 12)):
        distance = (_ROWS - random.uniform()) ** 2 / random.uniform(0.003, 0.1)
        values += random.normal() * np.exp(-distance - (_COLUMNS - random.uniform()) ** 2 / random.uniform(0.003, 0.1))
    return _scaled(values)


def text_page(random: np.random.Generator) -> np.ndarray:
    """Lines of text, dark on light or light on dark."""
    image = np.full((SIDE, SIDE), 1.0, np.float32)
    scale = random.uniform(0.25, 0.7)
    for y in range(int(20 * scale) + 6, SIDE, int(34 * scale) + 4):
        if random.random() < 0.85:
            line = random_text(random, int(random.uniform(0.4, 1.0) * 16 / scale))
            image = draw_text(image, line, (8, y), scale, 0.0)
    return image if random.random() < 0.6 else 1 - image


def screenshot(random: np.random.Generator) -> np.ndarray:
    """Windows with title bars, buttons and text."""
    image = np.full((SIDE, SIDE), random.uniform(), np.float32)
    for _ in range(random.integers(1, 6)):
        left, top = (int(x) for x in random.uniform(0, SIDE * 0.7, 2))
        right, bottom = left + int(random.uniform(50, 200)), top + int(random.uniform(50, 180))
        dark = random.random() < 0.4
        cv2.rectangle(image, (left, top), (right, bottom), 0.15 if dark else 0.95, -1)
        cv2.rectangle(image, (left, top), (right, top + 12), float(random.uniform(0.2, 0.8)), -1)
        for y in range(top + 24, min(bottom, SIDE), 12):
            grey = 0.85 if dark else 0.1
            image = draw_text(image, random_text(random, 14), (left + 5, y), 0.3, grey)
        for x in range(left + 6, right - 20, 40):
            cv2.rectangle(image, (x, bottom - 16), (x + 26, bottom - 6), float(random.uniform()), -1)
    return image


def pattern(random: np.random.Generator) -> np.ndarray:
    """A checkerboard or a grating, turned by a random angle."""
    angle, period = random.uniform(0, np.pi), random.uniform(0.01, 0.3)
    along, across = np.cos(angle) * _ROWS + np.sin(angle) * _COLUMNS, np.cos(angle) * _COLUMNS - np.sin(angle) * _ROWS
    waves = np.sin(2 * np.pi * along / period)
    if random.random() < 0.5:
        waves = waves * np.sin(2 * np.pi * across / period)
    return _scaled(np.sign(waves) if random.random() < 0.5 else waves)


def julia_set(random: np.random.Generator) -> np.ndarray:
    """Escape times of z**2 + c."""
    z = (3 * _COLUMNS - 1.5 + 1j * (3 * _ROWS - 1.5)) * random.uniform(0.2, 1)
    constant = 0.7885 * np.exp(1j * random.uniform(0, 2 * np.pi))
    escape = np.zeros(z.shape)
    for step in range(40):
        z = np.where(np.abs(z) < 4, z * z + constant, z)
        escape[(np.abs(z) >= 4) & (escape == 0)] = step
    return _scaled(escape) ** np.float32(random.uniform(0.3, 1))


def plot(random: np.random.Generator) -> np.ndarray:
    """A diagram with axes and curves or bars."""
    image = np.full((SIDE, SIDE), 1.0, np.float32)
    cv2.line(image, (30, 10), (30, 225), 0.0, 1)
    cv2.line(image, (30, 225), (245, 225), 0.0, 1)
    for _ in range(random.integers(1, 5)):
        heights = 120 + np.cumsum(random.normal(0, 14, 22))
        if random.random() < 0.6:
            points = np.stack([30 + 10 * np.arange(22), heights], axis=1).astype(np.int32)
            cv2.polylines(image, [points], False, float(random.uniform(0, 0.7)), int(random.integers(1, 3)))
        else:
            for i, height in enumerate(heights):
                cv2.rectangle(image, (32 + 10 * i, int(height)), (38 + 10 * i, 225), float(random.uniform(0, 0.8)), -1)
    image = draw_text(image, random_text(random, 16), (60, 245), 0.4, 0.0)
    return image if random.random() < 0.7 else 1 - image


TRAINED: tuple[Generator, ...] = (
    coloured_noise,
    gradient,
    shapes,
    blobs,
    text_page,
    screenshot,
    pattern,
    julia_set,
    plot,
)


# Held-out kinds -------------------------------------------------------------------------------------------------------


def speckle(random: np.random.Generator) -> np.ndarray:
    """Multiplicative noise over a smooth scene, as in an ultrasound or radar image."""
    scene = cv2.GaussianBlur(random.uniform(size=(SIDE, SIDE)), (0, 0), random.uniform(12, 40))
    return np.clip(_scaled(scene) * random.gamma(random.uniform(1, 4), 0.4, (SIDE, SIDE)), 0, 1).astype(np.float32)


def cells(random: np.random.Generator) -> np.ndarray:
    """Distances to the nearest of random points (Worley noise)."""
    points = random.uniform(size=(int(random.integers(5, 60)), 2))
    distances = np.sort(np.hypot(_ROWS[..., None] - points[:, 0], _COLUMNS[..., None] - points[:, 1]), axis=-1)
    return _scaled(distances[..., 1] - distances[..., 0] if random.random() < 0.5 else distances[..., 0])


def mandelbrot_set(random: np.random.Generator) -> np.ndarray:
    """Escape times over a random part of the plane."""
    width = random.uniform(0.05, 3)
    start = complex(random.uniform(-1.6, 0.3), random.uniform(-0.9, 0.9))
    c = start + width * ((_COLUMNS - 0.5) + 1j * (_ROWS - 0.5))
    z, escape = np.zeros_like(c), np.zeros(c.shape)
    for step in range(50):
        z = np.where(np.abs(z) < 4, z * z + c, z)
        escape[(np.abs(z) >= 4) & (escape == 0)] = step
    return _scaled(escape) ** np.float32(random.uniform(0.3, 1))


def blocks(random: np.random.Generator) -> np.ndarray:
    """Black and white modules, as in a two-dimensional bar code, or bars."""
    count = int(random.integers(12, 60))
    modules = random.integers(0, 2, (count, count if random.random() < 0.6 else 1)).astype(np.float32)
    return cv2.resize(modules.T, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)


def scribble(random: np.random.Generator) -> np.ndarray:
    """Smooth pen strokes on paper."""
    image = np.full((SIDE, SIDE), random.uniform(0.8, 1), np.float32)
    for _ in range(random.integers(2, 12)):
        steps = random.normal(0, 9, (60, 2))
        path = random.uniform(20, SIDE - 20, 2) + np.cumsum(steps, axis=0)
        cv2.polylines(image, [path.astype(np.int32)], False, float(random.uniform(0, 0.4)), 2, cv2.LINE_AA)
    return image


def spreadsheet(random: np.random.Generator) -> np.ndarray:
    """A table of numbers in a proportional font."""
    picture = Image.new("L", (SIDE, SIDE), 255)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=int(random.integers(8, 14)))
    step_x, step_y = int(random.integers(30, 70)), int(random.integers(14, 26))
    for y in range(0, SIDE, step_y):
        draw.line((0, y, SIDE, y), fill=int(random.integers(120, 230)))
        for x in range(0, SIDE, step_x):
            draw.text((x + 3, y + 1), f"{random.normal(0, 500):.{random.integers(0, 3)}f}", fill=0, font=font)
            draw.line((x, 0, x, SIDE), fill=180)
    image = np.asarray(picture, dtype=np.float32) / 255
    return image if random.random() < 0.7 else 1 - image


def rings(random: np.random.Generator) -> np.ndarray:
    """Circles around a centre, as in a test chart or a target."""
    distance = np.hypot(_ROWS - random.uniform(0.3, 0.7), _COLUMNS - random.uniform(0.3, 0.7))
    return _scaled(np.cos(2 * np.pi * distance ** random.uniform(0.7, 2) / random.uniform(0.03, 0.3)))


def head_phantom(random: np.random.Generator) -> np.ndarray:
    """Ellipses within an ellipse, as in the Shepp-Logan phantom of a head."""
    image = np.zeros((SIDE, SIDE), np.float32)
    centre, tilt = (SIDE // 2, SIDE // 2), float(random.uniform(-20, 20))
    axes = np.array([random.uniform(70, 95), random.uniform(90, 118)])
    cv2.ellipse(image, centre, tuple(int(x) for x in axes), tilt, 0, 360, 1.0, -1)
    cv2.ellipse(image, centre, tuple(int(x) for x in axes * 0.93), tilt, 0, 360, 0.25, -1)
    for _ in range(random.integers(3, 9)):
        place = tuple(int(x) for x in random.uniform(SIDE * 0.33, SIDE * 0.67, 2))
        inner = tuple(int(x) for x in random.uniform(4, 24, 2))
        cv2.ellipse(image, place, inner, float(random.uniform(0, 180)), 0, 360, float(random.uniform(0, 0.6)), -1)
    return cv2.GaussianBlur(image, (0, 0), random.uniform(0.5, 3))


def digit(random: np.random.Generator) -> np.ndarray:
    """A handwritten digit, enlarged."""
    images = load_digits().images
    small = (images[random.integers(len(images))] / 16).astype(np.float32)
    large = np.clip(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), 0, 1)
    return large if random.random() < 0.5 else 1 - large


HELD_OUT: tuple[Generator, ...] = (
    speckle,
    cells,
    mandelbrot_set,
    blocks,
    scribble,
    spreadsheet,
    rings,
    head_phantom,
    digit,
)


# Parts of given images ------------------------------------------------------------------------------------------------


def read_pictures(folder: Path) -> list[np.ndarray]:
    """The pictures of a folder in grey, float32 [H, W] in [0, 1], in the order of their names.

    Raises InputError for a folder without pictures.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"})
    if not paths:
        raise InputError(f"There is no picture in {folder}. Put photographs there that show no chest.")
    return [np.asarray(Image.open(path).convert("L"), dtype=np.float32) / 255 for path in paths]


def part_of(image: np.ndarray, random: np.random.Generator, least: float, most: float) -> np.ndarray:
    """A random rectangle of an image, its sides `least` to `most` of the image's."""
    height, width = (max(int(side * random.uniform(least, most)), 16) for side in image.shape)
    top = int(random.integers(image.shape[0] - height + 1))
    left = int(random.integers(image.shape[1] - width + 1))
    return image[top : top + height, left : left + width]

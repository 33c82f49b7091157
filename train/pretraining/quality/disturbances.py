"""What befalls radiographs of chests in practice: borders, collimation, crops, small rotations, contrast, compression.

Each function takes an image, float32 [H, W] in [0, 1], and returns one like it. A disturbed chest is still a chest.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from pretraining.quality.lettering import draw_text

Disturbance = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def border(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A frame of one grey value, each side of another width, as around a scanned film; wide around some infants."""
    height, width = image.shape
    widest = 0.4 if random.random() < 0.25 else 0.1
    top, bottom = (int(share * height) for share in random.uniform(0, widest, 2))
    left, right = (int(share * width) for share in random.uniform(0, widest, 2))
    grey = float(random.choice([0.0, 1.0, random.uniform()]))
    return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey)


def collimation(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Dark outside of a slightly turned rectangle, as behind the shutters of the X-ray tube."""
    height, width = image.shape
    centre = (width * random.uniform(0.47, 0.53), height * random.uniform(0.47, 0.53))
    size = (width * random.uniform(0.82, 1.0), height * random.uniform(0.82, 1.0))
    corners = cv2.boxPoints((centre, size, float(random.uniform(-4, 4))))
    lit = np.zeros(image.shape, np.float32)
    cv2.fillConvexPoly(lit, corners.astype(np.int32), 1.0)
    return image * cv2.GaussianBlur(lit, (0, 0), random.uniform(0.5, 2)) + np.float32(random.uniform(0, 0.05))


def crop(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A crop of up to a tenth of each side."""
    height, width = image.shape
    top, bottom = (int(share * height) for share in random.uniform(0, 0.1, 2))
    left, right = (int(share * width) for share in random.uniform(0, 0.1, 2))
    return image[top : height - bottom, left : width - right]


def rotation(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A rotation by up to 10 degrees, dark in the corners."""
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(random.uniform(-10, 10)), 1.0)
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)


def contrast(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Another window and gamma."""
    low, high = random.uniform(-0.15, 0.15), random.uniform(0.85, 1.2)
    return np.clip((image - low) / (high - low), 0, 1) ** np.float32(2 ** random.uniform(-0.8, 0.8))


def exposure(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Uneven exposure across the image, as with portable equipment."""
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, side) for side in image.shape), indexing="ij")
    angle = random.uniform(0, 2 * np.pi)
    slope = random.uniform(0, 0.2) * (np.cos(angle) * rows + np.sin(angle) * columns)
    return image + slope.astype(np.float32)


def compression(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """JPEG at low quality."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(12, 60))]
    stored = cv2.imencode(".jpg", np.round(image * 255).astype(np.uint8), quality)[1]
    return np.asarray(cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE), dtype=np.float32) / 255


def noise(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Quantum noise of a low dose."""
    return image + random.normal(0, random.uniform(0.01, 0.05), image.shape).astype(np.float32)


def blur(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Loss of detail, as in a photograph of a screen."""
    return cv2.GaussianBlur(image, (0, 0), random.uniform(0.5, 2.0))


def side_marker(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A bright side marker in an upper corner."""
    height, width = image.shape
    letter, scale = str(random.choice(["L", "R", "LL", "AP"])), height / 256 * random.uniform(0.5, 0.9)
    place = (int(width * random.choice([0.05, 0.85])), int(height * random.uniform(0.08, 0.2)))
    return draw_text(image, letter, place, scale, 1.0, max(1, int(2 * scale)))


DISTURBANCES: tuple[Disturbance, ...] = (
    border,
    collimation,
    crop,
    rotation,
    contrast,
    exposure,
    compression,
    noise,
    blur,
    side_marker,
)


def disturbed(image: np.ndarray, random: np.random.Generator, most: int = 3) -> np.ndarray:
    """Apply up to `most` different disturbances in random order; none in a quarter of the images at least."""
    count = 0 if random.random() < 0.25 else int(random.integers(1, most + 1))
    for index in random.choice(len(DISTURBANCES), count, replace=False):
        image = np.clip(DISTURBANCES[index](image, random), 0, 1).astype(np.float32)
    return image

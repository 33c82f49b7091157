"""Text drawn into images."""

from __future__ import annotations

import string

import cv2
import numpy as np


def random_text(random: np.random.Generator, length: int) -> str:
    """Letters, digits, signs and spaces."""
    return "".join(random.choice([*string.ascii_letters, *string.digits, *"    .,:-"], length))


def draw_text(
    image: np.ndarray, text: str, place: tuple[int, int], scale: float, grey: float, thickness: int = 1
) -> np.ndarray:
    """A copy of an image [H, W] with a line of text.

    Args:
        image: float32 [H, W] in [0, 1].
        text: the line.
        place: column and row of its lower left corner.
        scale: 1 gives capitals of about 21 pixels.
        grey: grey value of the letters.
        thickness: of the strokes, in pixels.
    """
    letters = np.zeros(image.shape, np.uint8)  # OpenCV 5 draws text only into 8-bit images
    cv2.putText(letters, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    share = letters.astype(np.float32) / 255
    return image * (1 - share) + np.float32(grey) * share

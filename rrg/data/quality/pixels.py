"""Measures of an image that need no model: grey range, noise, contrast, and lines of text at the edges.

All are taken of a copy of limited size with 8 bits (`measured_copy`), so that they are fast; grey values count from 0
to 1.
"""

from __future__ import annotations

import cv2
import numpy as np

_SIDE = 512
"""Longer side in pixels of the copy that is measured. Radiographs of all sizes are compared alike on it."""

_BAND = 0.15
"""Width of the bands along the edges in which text is looked for, as a share of the side."""

_LETTER_CONTRAST = 0.16
"""Smallest difference between a letter and what surrounds it, of the grey range of 1."""

_LETTER_HEIGHT = (6, 36)
"""Height of a letter in the measured copy, in pixels."""

_MOST_LETTERS = 120
"""Number of small areas in one band above which they are grain, not letters."""


def measured_copy(pixels: np.ndarray) -> np.ndarray:
    """The image scaled down to `_SIDE`; a smaller one as it is. uint8 [h, w]."""
    height, width = pixels.shape
    whole = max(height, width) // _SIDE
    if whole > 1:  # first by a whole number, which is much faster
        pixels = pixels[: height // whole * whole, : width // whole * whole]
        pixels = cv2.resize(pixels, (max(width // whole, 1), max(height // whole, 1)), interpolation=cv2.INTER_AREA)
    copy = np.round(pixels * 255).astype(np.uint8)
    scale = _SIDE / max(copy.shape)
    if scale >= 1:
        return copy
    size = max(1, round(copy.shape[1] * scale)), max(1, round(copy.shape[0] * scale))
    return cv2.resize(copy, size, interpolation=cv2.INTER_AREA)


def grey_range(copy: np.ndarray) -> float:
    """Difference between the brightest and the darkest grey value, without a thin frame and the outermost percents."""
    height, width = copy.shape
    inner = copy[height // 20 : height - height // 20, width // 20 : width - width // 20]
    share = np.cumsum(np.bincount(inner.ravel(), minlength=256)) / inner.size
    low, high = np.searchsorted(share, (0.01, 0.99))
    return float(high - low) / 255


def contrast(copy: np.ndarray) -> float:
    """Standard deviation of the grey values in the inner part of an image, which borders do not reach."""
    height, width = copy.shape
    return float(copy[height // 6 : height - height // 6, width // 6 : width - width // 6].std()) / 255


def smoothness(copy: np.ndarray) -> float:
    """Correlation of neighbouring pixels at a size of 64 x 64: near 1 for anatomy, near 0 for noise."""
    small = cv2.resize(copy, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    centred = small - small.mean()
    variance = float((centred**2).mean())
    if variance == 0:
        return 1.0
    across, down = (centred[:, 1:] * centred[:, :-1]).mean(), (centred[1:] * centred[:-1]).mean()
    return float(min(across, down)) / variance


def longest_line_of_text(copy: np.ndarray) -> int:
    """Number of letters in the longest line of text near an edge; bright or dark letters, in any direction of reading.

    A letter is a small area that differs from its surroundings by `_LETTER_CONTRAST`. A line is a row of letters of
    similar height on one baseline.
    """
    longest = 0
    for turned in (copy, np.ascontiguousarray(copy.T)):
        for letters in _letters(turned):
            longest = max(longest, _longest_row(letters))
    return longest


def _letters(copy: np.ndarray) -> list[np.ndarray]:
    """Boxes [n, 4] (left, top, width, height) of bright and of dark letters in the top and bottom band."""
    band = max(int(_BAND * copy.shape[0]), 2 * _LETTER_HEIGHT[0])
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_LETTER_HEIGHT[1] // 2 | 1, _LETTER_HEIGHT[1] // 2 | 1))
    found = []
    for part in (copy[:band], copy[-band:]):
        for method in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
            strokes = (cv2.morphologyEx(part, method, kernel) > 255 * _LETTER_CONTRAST).astype(np.uint8)
            outlines = cv2.findContours(strokes, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
            boxes = np.array([cv2.boundingRect(outline) for outline in outlines], np.int64).reshape(-1, 4)
            width, height = boxes[:, 2], boxes[:, 3]
            low, high = _LETTER_HEIGHT
            found.append(boxes[(height >= low) & (height <= high) & (width <= 1.8 * height)])
    return found


def _longest_row(boxes: np.ndarray) -> int:
    """Number of boxes in the longest row of neighbours with similar height on one baseline."""
    if len(boxes) > _MOST_LETTERS:
        return 0
    longest = 0
    boxes = boxes[np.argsort(boxes[:, 0])]
    left, top, width, height = boxes.T
    bottom, right = top + height, left + width
    for i in range(len(boxes)):
        row = (abs(bottom - bottom[i]) <= 0.25 * height[i]) & (height >= 0.6 * height[i]) & (height <= 1.6 * height[i])
        end, count = right[i], 1
        for j in np.flatnonzero(row[i + 1 :]) + i + 1:
            if end - 1 <= left[j] <= end + 1.2 * height[i]:
                end, count = right[j], count + 1
        longest = max(longest, count)
    return longest

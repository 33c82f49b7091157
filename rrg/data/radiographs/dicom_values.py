"""Turn the words of decoded pixel data into stored values, checked against BitsStored, HighBit and signedness.

A word has at most 16 bits, so everything is computed for each of the at most 65,536 words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, RLELossless

from rrg.data.radiographs.dicom_header import number_of

_MIN_DISTINCT = 64
"""Number of distinct words from which on smoothness tells whether the values are signed."""


@dataclass(frozen=True)
class StoredValues:
    """Stored value of each word, and how often the words occur."""

    values: np.ndarray
    """float64 [W], stored value of each word."""
    count: np.ndarray
    """int64 [W], number of pixels with that word, without padding."""
    padding: np.ndarray
    """bool [W], words that are padding."""
    bits: int
    """Bits of a stored value."""
    notes: tuple[str, ...]
    """Where the header contradicts the data."""


def stored_values(dataset: Dataset, words: np.ndarray) -> StoredValues:
    """Interpret words.

    Args:
        dataset: header with BitsStored and PixelRepresentation.
        words: uint8 or uint16 [H, W].
    """
    width = 8 * words.itemsize
    count = np.zeros(2**width, np.int64)
    for rows in np.array_split(words, -(-len(words) // 64)):  # strips: numpy casts indices to int64
        count += np.bincount(rows.ravel(), minlength=2**width)

    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    all_words = np.arange(2**width, dtype=np.int64)
    whole = _signed(all_words, width) if signed else all_words
    stated = number_of(dataset, "PixelPaddingValue")
    occurring = np.flatnonzero(count)
    if stated is not None and (occurring != stated % 2**width).any():
        occurring = occurring[occurring != stated % 2**width]

    notes: tuple[str, ...] = ()
    shift = 0
    if not is_compressed(dataset) and "HighBit" in dataset:
        shift = max(0, int(number_of(dataset, "HighBit") or 0) + 1 - bits)
    fits = bool((occurring < 2**bits).all()) or (
        signed and bool((np.abs(whole[occurring] + 0.5) < 2 ** (bits - 1)).all())
    )
    if shift and (fits or bits + shift > width):
        notes += (f"HighBit {shift + bits - 1} ignored, for the values lie in the lower {bits} bits",)
        shift = 0
    values = (all_words >> shift) & (2**bits - 1)  # bits above BitsStored may hold an overlay
    values = _signed(values, bits) if signed else values
    if not shift and not fits and _variation(whole, words) < _variation(values, words):
        # Bits of an overlay make the image rougher, missing upper bits make its values wrap around.
        stated_bits, bits = bits, _bits_of(whole[occurring], signed)
        values = whole
        notes += (f"BitsStored {stated_bits} ignored, for the values have {bits} bits",)

    halves = values[occurring] % 2**bits < 2 ** (bits - 1)
    if len(occurring) >= _MIN_DISTINCT and halves.any() and not halves.all():
        other = values % 2**bits if signed else _signed(values, bits)
        if _variation(other, words) < 0.5 * _variation(values, words):
            notes += (f"PixelRepresentation {int(signed)} ignored, for the values are {'un' * signed}signed",)
            values, signed = other, not signed

    whole = _signed(all_words, width) if signed else all_words
    padding = _padding(dataset, [(values, bits)] if shift else [(whole, width), (values, bits)], signed, count)
    anatomy = np.where(padding, 0, count)
    if not anatomy.any():
        anatomy, padding = count, np.zeros_like(padding)
    elif anatomy.sum() < count.sum():
        notes += ("padding shown as black background",)
    return StoredValues(values.astype(np.float64), anatomy, padding, bits, notes)


def is_compressed(dataset: Dataset) -> bool:
    """Whether the pixels are in a compression that stores values, not words."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    return syntax.is_compressed and syntax != RLELossless


def _signed(values: np.ndarray, bits: int) -> np.ndarray:
    return values - (values >> (bits - 1) << bits)


def _bits_of(values: np.ndarray, signed: bool) -> int:
    return max(int(max(values.max(), -1 - values.min())).bit_length() + signed, 8)


def _variation(values: np.ndarray, words: np.ndarray) -> float:
    """Sum of absolute differences of neighbours in a row, over at most about a million pixels."""
    step = max(1, words.size // 2**20)
    return float(np.abs(np.diff(values[words[::step]], axis=1)).sum())


def _padding(
    dataset: Dataset, interpretations: list[tuple[np.ndarray, int]], signed: bool, count: np.ndarray
) -> np.ndarray:
    """Mark the words that PixelPaddingValue and PixelPaddingRangeLimit name.

    The tags may be written in the other signedness than that of the pixels.

    Args:
        interpretations: values of all words and their bits. The first in which padding occurs is used.
    """
    tags = (number_of(dataset, "PixelPaddingValue"), number_of(dataset, "PixelPaddingRangeLimit"))
    mask = np.zeros(len(count), bool)
    if tags[0] is None:
        return mask
    for values, bits in interpretations:
        ends = [int(tag) % 2**bits for tag in tags if tag is not None]
        if signed:
            ends = [int(_signed(np.int64(end), bits)) for end in ends]
        mask = (values >= min(ends)) & (values <= max(ends))
        if count[mask].any():
            break
    return mask

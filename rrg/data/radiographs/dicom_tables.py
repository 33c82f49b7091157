"""Read the lookup tables of a DICOM file (PS3.3 C.11.1.1 and C.11.2.1.1), checked against the data.

The descriptor is often wrong: it states 16 bits for a table of 12, or a first value in the wrong signedness. The table
and the pixels decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from pydicom.dataset import Dataset


@dataclass(frozen=True)
class LookupTable:
    """A modality or VOI lookup table."""

    entries: np.ndarray
    """float64 [N], at least one entry."""
    first: int
    """Value that the first entry is for."""
    top: int
    """Largest possible output."""
    notes: tuple[str, ...]
    """What of the descriptor was corrected."""

    def outside(self, values: np.ndarray) -> np.ndarray:
        """Mark the values that the table has no entry for."""
        position = np.rint(values) - self.first
        return (position < 0) | (position >= len(self.entries))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Look values up. Values outside the table get its first or last entry."""
        return self.entries[np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.intp)]


def read_table(item: Dataset, values: np.ndarray, count: np.ndarray, little_endian: bool) -> LookupTable | None:
    """Read an item of ModalityLUTSequence or VOILUTSequence; None if it holds no table.

    Args:
        item: the sequence item.
        values: [V], the input values.
        count: int64 [V], number of pixels with that value.
        little_endian: byte order of the file.
    """
    try:
        number, first, bits = (int(number) for number in cast(list[int], item.LUTDescriptor))
        entries = _entries(item.LUTData, number % 2**16 or 2**16, little_endian)
    except Exception:  # pydicom raises many types on an empty or malformed item
        return None
    if not len(entries):
        return None
    top, depth = _top(int(entries.max()), bits)
    return LookupTable(entries, _first(first, len(entries), values, count), top, depth)


def _entries(data: object, number: int, little_endian: bool) -> np.ndarray:
    """Entries as float64 [N].

    Entries have 16 bits. Old files pack two entries of 8 bits into a word, the first in its lower byte, so that there
    are half as many words as entries. Data that lack some entries of 16 bits have more.
    """
    if isinstance(data, bytes):
        if len(data) % 2 and len(data) >= number:  # the padding byte is missing
            data += b"\0"
        words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little_endian else ">u2")
    else:
        numbers = np.atleast_1d(np.asarray(data, dtype=np.int64))
        words = (numbers % 2**16).astype(np.uint16)  # unsigned entries may be written as signed numbers
    if number > 2 and 2 * len(words) <= number + number % 2:
        words = words.astype("<u2").view(np.uint8)
    return words[:number].astype(np.float64)


def _top(largest: int, bits: int) -> tuple[int, tuple[str, ...]]:
    """Largest possible output: by the stated depth, unless the entries need more bits or less."""
    needed = max(8, largest.bit_length())
    if needed < bits:
        return 2**needed - 1, (f"its entries have {needed} bits, not {bits}",)
    return max(2**bits - 1, largest), ()


def _first(first: int, number: int, values: np.ndarray, count: np.ndarray) -> int:
    """First value in the signedness in which the table covers most pixels, else in that of the values."""
    signed = (first + 2**15) % 2**16 - 2**15
    unsigned = first % 2**16
    in_order = (signed, unsigned) if values[count > 0].min() < 0 else (unsigned, signed)
    return max(in_order, key=lambda start: int(count[(values >= start) & (values < start + number)].sum()))

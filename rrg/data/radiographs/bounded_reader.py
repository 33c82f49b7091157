"""A file in memory that ends the parsing of a header with too many parts."""

from __future__ import annotations

from io import BytesIO

from rrg.errors import InputError

MAX_READS = 200_000
"""Number of reads. A DICOM header of 100,000 elements takes 0.5 s; a radiograph has some hundred."""


class BoundedReader(BytesIO):
    """Bytes as a file, for a parser that reads element by element.

    Raises:
        InputError: after `MAX_READS` reads, which bounds the time of the parser.
    """

    def __init__(self, data: bytes):
        super().__init__(data)
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise InputError("This file holds too many parts before its pixels. Export the X-ray image again.")
        return super().read(size)

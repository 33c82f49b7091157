"""Complete the tags of a DICOM file that describe its pixels, and check them against the pixel data.

Sizes are checked before anything is decoded, so that a small file cannot exhaust the RAM.
"""

from __future__ import annotations

import numpy as np
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments
from pydicom.uid import UID, RLELossless

from rrg.data.radiographs.dicom_header import code_of, number_of, text_of
from rrg.data.radiographs.radiograph import check_size
from rrg.errors import InputError

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

_ITEM = b"\xfe\xff\x00\xe0"
"""Tag of a fragment."""
_MAX_FRAGMENTS = 50_000
"""Number of fragments of an image. They take 0.2 s to join."""


def complete_header(dataset: Dataset) -> tuple[str, ...]:
    """Fill in missing tags that can have one meaning only, and correct those that the data contradict.

    Returns:
        what was filled in or corrected.

    Raises:
        InputError: the file holds no single image of an accepted size, bit depth and photometric interpretation.
    """
    _check_pixel_data(dataset)
    frames = number_of(dataset, "NumberOfFrames") or 1
    if frames > 1:
        raise InputError(f"This DICOM file holds {frames:.0f} frames. Export one radiograph per file.")
    _set(dataset, "NumberOfFrames", 1)
    rows, columns = (int(_required(dataset, tag)) for tag in ("Rows", "Columns"))
    _set(dataset, "Rows", rows)
    _set(dataset, "Columns", columns)
    check_size(rows, columns)
    if not _syntax(dataset).is_transfer_syntax:
        raise InputError(
            "The transfer syntax of this DICOM file (tag TransferSyntaxUID) is none of the DICOM standard. Export the "
            "X-ray again, best uncompressed."
        )
    notes = _complete_colour(dataset)
    check_size(rows, columns, bytes_per_pixel=dataset.SamplesPerPixel * _complete_bits(dataset, notes) // 8)
    if not _syntax(dataset).is_compressed:
        _check_length(dataset)
    else:
        _check_frames(dataset)
    return tuple(notes)


def _check_pixel_data(dataset: Dataset) -> None:
    try:
        data = dataset.get("PixelData")
    except Exception:  # pydicom raises many types where the value does not fit its value representation
        data = ()
    if not data and data != ():
        raise InputError(
            "This DICOM file has no pixel data: it is no image, or it was cut off. Export the X-ray image again."
        )
    if not isinstance(data, bytes):
        raise InputError(
            "The tag PixelData of this DICOM file cannot be read: its value representation is not OB or OW. Export the "
            "X-ray image again."
        )


def _set(dataset: Dataset, keyword: str, value: int | str) -> None:
    """Replace an element. Assignment to an attribute would decode the old value first, which may be malformed."""
    dataset.add_new(keyword, dictionary_VR(keyword), value)


def _required(dataset: Dataset, keyword: str) -> float:
    number = number_of(dataset, keyword)
    if number is None:
        raise InputError(f"This DICOM file is incomplete: the tag {keyword} is missing or empty. Export it again.")
    return number


def _complete_colour(dataset: Dataset) -> list[str]:
    """Complete SamplesPerPixel, which decides on colour, and PhotometricInterpretation."""
    notes = []
    stated = text_of(dataset, "PhotometricInterpretation").replace(" ", "_")
    if stated and stated not in (*_GREY, *_COLOUR):
        raise InputError(
            f"The photometric interpretation {code_of(stated.replace('_', ' '))} of this DICOM file is not read here. "
            "Export the X-ray as MONOCHROME2."
        )
    samples = number_of(dataset, "SamplesPerPixel")
    if samples is None:
        samples = 3 if stated in _COLOUR else 1
        notes.append(f"SamplesPerPixel is missing, read as {samples}")
    if samples not in (1, 3):
        raise InputError(
            f"This DICOM file has {samples:g} samples per pixel (tag SamplesPerPixel), where a radiograph has 1 or 3. "
            "Export the X-ray as MONOCHROME2."
        )
    _set(dataset, "SamplesPerPixel", int(samples))
    photometric = stated
    if stated not in (_COLOUR if samples == 3 else _GREY):
        photometric = "RGB" if samples == 3 else "MONOCHROME2"
        cause = f"{stated} contradicts SamplesPerPixel {samples:g}" if stated else "is missing"
        notes.append(f"PhotometricInterpretation {cause}, read as {photometric}")
    _set(dataset, "PhotometricInterpretation", photometric)
    return notes


def _complete_bits(dataset: Dataset, notes: list[str]) -> int:
    """Complete the tags on bits, add notes on them, and return BitsAllocated."""
    allocated = number_of(dataset, "BitsAllocated")
    stored = number_of(dataset, "BitsStored")
    if allocated is None:
        allocated = _required(dataset, "BitsAllocated") if stored is None else 8 if stored <= 8 else 16
        notes.append(f"BitsAllocated is missing, read as {allocated:g}")
    if allocated not in (8, 16):
        raise InputError(
            f"This DICOM file has {stored or allocated:g} bits stored in {allocated:g}, where a radiograph has 8 or "
            "16. Export the X-ray image again."
        )
    if stored is None or not 1 <= stored <= allocated:
        cause = "is missing" if stored is None else f"{stored:g} cannot be"
        notes.append(f"BitsStored {cause}, read as {allocated:g}")
        stored = allocated
    _set(dataset, "BitsAllocated", int(allocated))
    _set(dataset, "BitsStored", int(stored))
    sign = number_of(dataset, "PixelRepresentation")
    if sign not in (0, 1):
        notes.append("PixelRepresentation is missing, read as 0 (unsigned)")
        sign = 0
    _set(dataset, "PixelRepresentation", int(sign))
    return int(allocated)


def _check_length(dataset: Dataset) -> None:
    """Check that uncompressed pixel data hold one image, not less, several, deeper or compressed values."""
    length = len(dataset.PixelData)
    if dataset["PixelData"].is_undefined_length:
        raise InputError(
            f"The pixels of this DICOM file are compressed, though its transfer syntax is {_syntax(dataset).name}. "
            "Export it again, with a transfer syntax that fits."
        )
    expected = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        expected = expected // 3 * 2
    if length < expected:
        raise InputError(
            f"This DICOM file is damaged: its pixels are cut off after {length:,} of {expected:,} bytes. Export it "
            "again."
        )
    times, rest = divmod(length, expected)
    if times < 2 or rest > 1 or dataset.PhotometricInterpretation == "YBR_FULL_422":
        return
    cause = f"{times} frames, though it has no NumberOfFrames"
    if times == 2 and dataset.BitsAllocated == 8:
        cause = "values of 16 bits, where BitsAllocated states 8 (or 2 frames, though it has no NumberOfFrames)"
    elif times == 3 and dataset.SamplesPerPixel == 1:
        cause += " (or colour, where SamplesPerPixel states 1)"
    raise InputError(
        f"This DICOM file has {length} bytes of pixels, where its header states {expected}. It holds {cause}. Export "
        "one radiograph per file, with a header that fits."
    )


def _check_frames(dataset: Dataset) -> None:
    """Check that compressed pixel data hold one image: by their offsets, else by the fragments that begin an image."""
    data = dataset.PixelData
    if not data.startswith(_ITEM):
        raise InputError(
            f"The transfer syntax of this DICOM file is {_syntax(dataset).name}, but its pixels are not compressed so, "
            "or are damaged. Export it again."
        )
    if data.count(_ITEM) > _MAX_FRAGMENTS:
        raise InputError("The pixels of this DICOM file are cut into too many fragments. Export it uncompressed.")
    table = int.from_bytes(data[4:8], "little")  # the basic offset table is the first item
    frames = table // 4
    if frames <= 1:
        starts = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP")
        is_rle = _syntax(dataset) == RLELossless
        try:
            frames = sum(is_rle or item.startswith(starts) for item in generate_fragments(data[8 + table :]))
        except ValueError:
            raise InputError(
                "This DICOM file is damaged: its compressed pixels are cut off. Export it again."
            ) from None
    if frames > 1:
        raise InputError(
            f"This DICOM file holds {frames} frames, though it has no NumberOfFrames. Export one radiograph per file."
        )


def complete_planes(dataset: Dataset) -> tuple[str, ...]:
    """Complete PlanarConfiguration: the order in which the channels agree better, as those of a grey picture do."""
    stated = number_of(dataset, "PlanarConfiguration")
    if _syntax(dataset).is_compressed:
        if stated not in (0, 1):
            _set(dataset, "PlanarConfiguration", 0)
        return ()
    if dataset.PhotometricInterpretation != "RGB":
        _set(dataset, "PlanarConfiguration", 0 if stated not in (0, 1) else int(stated))
        return ()
    wide = "<u2" if _syntax(dataset).is_little_endian else ">u2"
    words = np.frombuffer(dataset.PixelData, np.uint8 if dataset.BitsAllocated == 8 else wide)
    words = words[: dataset.Rows * dataset.Columns * 3]
    step = max(1, len(words) // 2**21)  # about 700,000 pixels
    by_pixel, by_plane = words.reshape(-1, 3)[::step], words.reshape(3, -1).T[::step]
    spread = [int(np.abs(np.diff(order.astype(np.int64), axis=1)).sum()) for order in (by_pixel, by_plane)]
    better = int(spread[1] < spread[0])
    if stated not in (0, 1):
        _set(dataset, "PlanarConfiguration", better)
        return (f"PlanarConfiguration is missing, read as {better}",)
    if better != stated and spread[better] == 0:
        _set(dataset, "PlanarConfiguration", better)
        return (f"PlanarConfiguration {stated:g} contradicts the pixels, read as {better}",)
    _set(dataset, "PlanarConfiguration", int(stated))
    return ()


def _syntax(dataset: Dataset) -> UID:
    return UID(dataset.file_meta.TransferSyntaxUID)

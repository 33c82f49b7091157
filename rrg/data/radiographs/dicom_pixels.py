"""Decode the pixel data of a DICOM file, after its header was completed and checked against the data.

Sizes are checked before anything is decoded, so that a small file cannot exhaust the RAM.
"""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import generate_fragments, get_frame, parse_basic_offsets
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGTransferSyntaxes, RLELossless

from rrg.data.radiographs.dicom_header import number_of, text_of
from rrg.data.radiographs.radiograph import check_size
from rrg.errors import InputError

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def complete_header(dataset: Dataset) -> tuple[str, ...]:
    """Fill in missing tags that can have one meaning only, and correct those that the data contradict.

    Returns:
        what was filled in or corrected.

    Raises:
        InputError: the file holds no single image of an accepted size, bit depth and photometric interpretation.
    """
    if "PixelData" not in dataset or not dataset.PixelData:
        raise InputError(
            "This DICOM file has no pixel data: it is no image, or it was cut off. Export the X-ray image again."
        )
    frames = number_of(dataset, "NumberOfFrames") or 1
    if frames > 1:
        raise InputError(f"This DICOM file holds {frames:.0f} frames. Export one radiograph per file.")
    dataset.NumberOfFrames = 1
    rows, columns = (int(_required(dataset, tag)) for tag in ("Rows", "Columns"))
    check_size(rows, columns)
    notes = _complete_colour(dataset)
    check_size(rows, columns, bytes_per_pixel=dataset.SamplesPerPixel * _complete_bits(dataset, notes) // 8)
    if not _syntax(dataset).is_compressed:
        _check_length(dataset)
    elif _encapsulated_frames(dataset) > 1:
        raise InputError(
            f"This DICOM file holds {_encapsulated_frames(dataset)} frames, though it has no NumberOfFrames. Export "
            "one radiograph per file."
        )
    return tuple(notes)


def decode(dataset: FileDataset) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decoded values [H, W], or [H, W, 3] in RGB, and what was corrected. The header has to be complete."""
    syntax = _syntax(dataset)
    remedy = "Install the decoder with `pip install pylibjpeg-libjpeg`, or export the X-ray uncompressed."
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise InputError(
            f"The transfer syntax of this DICOM file ({syntax.name}) is not read here. Export the X-ray uncompressed."
        ) from None
    if not decoder.is_available:
        raise InputError(f"This DICOM file is compressed as {syntax.name}, for which there is no decoder. {remedy}")
    if syntax in JPEG2000TransferSyntaxes:
        _check_codestream(dataset)
    notes = _complete_planes(dataset) if dataset.SamplesPerPixel == 3 else ()
    try:
        decoded, _ = decoder.as_array(dataset, correct_unused_bits=False)  # type: ignore[arg-type]
    except Exception:  # the decoders raise many types
        message = f"The pixels of this DICOM file ({syntax.name}) are damaged or cut off. Export it again."
        if syntax in JPEGTransferSyntaxes:
            message += f" If it opens elsewhere, it needs another decoder. {remedy}"
        raise InputError(message) from None
    expected = (dataset.Rows, dataset.Columns) + ((3,) if dataset.SamplesPerPixel == 3 else ())
    if decoded.shape != expected:
        raise InputError(
            f"The pixels of this DICOM file are {' x '.join(map(str, decoded.shape))}, where its header states "
            f"{' x '.join(map(str, expected))}. Export it again."
        )
    return decoded, notes


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
            f"The photometric interpretation {stated.replace('_', ' ')} of this DICOM file is not read here. Export "
            "the X-ray as MONOCHROME2."
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
    dataset.SamplesPerPixel = int(samples)
    photometric = stated
    if stated not in (_COLOUR if samples == 3 else _GREY):
        photometric = "RGB" if samples == 3 else "MONOCHROME2"
        cause = f"{stated} contradicts SamplesPerPixel {samples:g}" if stated else "is missing"
        notes.append(f"PhotometricInterpretation {cause}, read as {photometric}")
    dataset.PhotometricInterpretation = photometric
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
    dataset.BitsAllocated, dataset.BitsStored = int(allocated), int(stored)
    sign = number_of(dataset, "PixelRepresentation")
    if sign not in (0, 1):
        notes.append("PixelRepresentation is missing, read as 0 (unsigned)")
        dataset.PixelRepresentation = 0
    return int(allocated)


def _check_length(dataset: Dataset) -> None:
    """Check that uncompressed pixel data hold one image, not several or deeper values."""
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        return
    length = len(dataset.PixelData)
    expected = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
    times, rest = divmod(length, expected)
    if times < 2 or rest > 1:
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


def _encapsulated_frames(dataset: Dataset) -> int:
    """Number of frames in compressed pixel data: of offsets, else of fragments that begin an image."""
    offsets = len(parse_basic_offsets(dataset.PixelData))
    if offsets > 1:
        return offsets
    starts = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP")
    table = 8 + int.from_bytes(dataset.PixelData[4:8], "little")  # the basic offset table is the first item
    fragments = generate_fragments(dataset.PixelData[table:])
    is_rle = _syntax(dataset) == RLELossless
    return sum(is_rle or fragment.startswith(starts) for fragment in fragments)


def _check_codestream(dataset: Dataset) -> None:
    """Check that a JPEG 2000 image has the size that the header states, which is the size that was checked."""
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    start = _codestream_start(frame)
    right, bottom, left, top = (int.from_bytes(frame[start + at : start + at + 4]) for at in (8, 12, 16, 20))
    samples = int.from_bytes(frame[start + 40 : start + 42])
    size = (bottom - top, right - left, samples)
    # SOC and SIZ markers (ISO 15444-1, A.5.1)
    if frame[start : start + 4] != b"\xff\x4f\xff\x51" or size != (
        dataset.Rows,
        dataset.Columns,
        dataset.SamplesPerPixel,
    ):
        raise InputError("The compressed image in this DICOM file contradicts its header. Export it again.")


def _codestream_start(frame: bytes) -> int:
    """Position of the codestream: 0, or in a JP2 file that of the content of its box "jp2c" (ISO 15444-1, I.4).

    The boxes are walked, because a box of another type may hold a decoy.
    """
    if frame[4:8] != b"jP  ":
        return 0
    at = 0
    while at + 8 <= len(frame):
        length, header = int.from_bytes(frame[at : at + 4]), 8
        if length == 1:
            length, header = int.from_bytes(frame[at + 8 : at + 16]), 16
        if frame[at + 4 : at + 8] == b"jp2c":
            return at + header
        if length < header:
            break
        at += length
    return len(frame)


def _complete_planes(dataset: Dataset) -> tuple[str, ...]:
    """Complete PlanarConfiguration: the order in which the channels agree better, as those of a grey picture do."""
    stated = number_of(dataset, "PlanarConfiguration")
    if _syntax(dataset).is_compressed:
        if stated not in (0, 1):
            dataset.PlanarConfiguration = 0
        return ()
    words = np.frombuffer(dataset.PixelData, np.uint8 if dataset.BitsAllocated == 8 else np.uint16)
    words = words[: dataset.Rows * dataset.Columns * 3].astype(np.int64)
    if len(words) < dataset.Rows * dataset.Columns * 3 or dataset.PhotometricInterpretation != "RGB":
        dataset.PlanarConfiguration = 0 if stated not in (0, 1) else int(stated)
        return ()
    by_pixel, by_plane = words.reshape(-1, 3), words.reshape(3, -1).T
    spread = [int(np.abs(np.diff(order, axis=1)).sum()) for order in (by_pixel, by_plane)]
    better = int(spread[1] < spread[0])
    if stated not in (0, 1):
        dataset.PlanarConfiguration = better
        return (f"PlanarConfiguration is missing, read as {better}",)
    if better != stated and spread[better] == 0:
        dataset.PlanarConfiguration = better
        return (f"PlanarConfiguration {stated:g} contradicts the pixels, read as {better}",)
    dataset.PlanarConfiguration = int(stated)
    return ()


def _syntax(dataset: Dataset) -> UID:
    return UID(dataset.file_meta.TransferSyntaxUID)

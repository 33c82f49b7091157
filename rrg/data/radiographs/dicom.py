"""Read a DICOM radiograph: check it, decode it, and render it to [0, 1] as a viewer does.

Only pixels, view and spacing are returned; all other tags are dropped. The rendering order is that of DICOM PS3.3 and
PS3.4 N.2: stored values -> modality LUT or rescale -> VOI LUT or window -> inversion. A stored value has at most 16
bits, so the rendering is computed for each of the at most 65,536 values and applied to the image as a lookup table.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from io import BytesIO
from typing import cast

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from rrg.data.radiographs.colour import to_grey
from rrg.data.radiographs.dicom_header import REGION_TAGS, check_radiograph, number_of, pair_of, text_of, view_of
from rrg.data.radiographs.radiograph import MAX_PIXELS, Provenance, Radiograph, View, check_size
from rrg.errors import InputError

# Messages of pydicom may quote values of the file, such as names and dates of birth.
warnings.filterwarnings("ignore", module=r"pydicom\b")
logging.getLogger("pydicom").addFilter(lambda record: False)

_PHOTOMETRIC = ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_PERCENTILES = (0.5, 99.5)
"""Percentiles of the values that become 0 and 1 where the file has no usable window."""
_SQUARE = 0.01
"""Maximum relative difference between the sides of a pixel that counts as square."""

_READ_TAGS = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        *("Modality", "SOPClassUID", "ViewPosition", "ViewCodeSequence", "PatientOrientation", *REGION_TAGS),
        *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio", "NumberOfFrames"),
        *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "PixelData"),
        *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"),
        *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence", "VOILUTFunction"),
        *("WindowCenter", "WindowWidth", "PresentationLUTShape"),
    )
)


def is_dicom(data: bytes) -> bool:
    """Whether the content is DICOM: "DICM" after the preamble, or without a preamble an element of group 2 or 8."""
    return data[128:132] == b"DICM" or data[:2] in (b"\x02\x00", b"\x08\x00")


def read_dicom(data: bytes, view: View | None) -> Radiograph:
    """Read a radiograph from the bytes of a DICOM file.

    Args:
        data: content of the file.
        view: view of the radiograph; None reads it from the tags.

    Raises:
        InputError: the file is not a single-frame chest radiograph, or cannot be decoded.
    """
    try:
        dataset = _parse(data)
        check_radiograph(dataset)
        _check_pixels(dataset)
        stored = _decode(dataset)
        if stored.ndim == 3:
            grey, changes = to_grey(stored)
            pixels = grey * np.float32(1 / np.iinfo(grey.dtype).max)
        else:
            pixels, changes = _render(dataset, stored)
        pixels, spacing, resampled = _square_pixels(dataset, pixels)
        provenance = Provenance(
            format="DICOM",
            bits=int(dataset.BitsStored),
            photometric=str(dataset.PhotometricInterpretation),
            transfer_syntax=UID(dataset.file_meta.TransferSyntaxUID).name,
            changes=changes + resampled,
            removed_tags=sum(tag not in _READ_TAGS for tag in dataset.keys()),  # noqa: SIM118  iterating decodes values
        )
        return Radiograph(pixels, view or view_of(dataset), spacing, provenance)
    except InputError:
        raise
    except Exception:  # pydicom raises many types and quotes values of the file, so the cause is not passed on
        raise InputError("This DICOM file is damaged, incomplete or cut off. Export it again.") from None


def _parse(data: bytes) -> FileDataset:
    """Read the data set. Values stay undecoded bytes until they are accessed."""
    if DeflatedExplicitVRLittleEndian.encode() in data[:4096]:
        # Inflation is not limited in size: a small file could exhaust the RAM.
        raise InputError(
            "This DICOM file is compressed as a whole (transfer syntax Deflated Explicit VR Little Endian), which is "
            "not read here. Export it uncompressed."
        )
    dataset = dcmread(BytesIO(data), force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little_endian = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
        )
    return dataset


def _check_pixels(dataset: Dataset) -> None:
    """Check in the header that the file holds one image of an accepted size, bit depth and photometric type."""
    if "PixelData" not in dataset:
        raise InputError(
            "This DICOM file has no pixel data: it is no image, or it was cut off. Export the X-ray image again."
        )
    frames = number_of(dataset, "NumberOfFrames") or 1
    if frames > 1:
        raise InputError(f"This DICOM file holds {frames:.0f} frames. Export one radiograph per file.")
    check_size(dataset.Rows, dataset.Columns)
    if dataset.BitsAllocated not in (8, 16) or not 1 <= dataset.BitsStored <= dataset.BitsAllocated:
        raise InputError(
            f"This DICOM file has {dataset.BitsStored} bits stored in {dataset.BitsAllocated}, where a radiograph has "
            "8 or 16. Export the X-ray image again."
        )
    photometric = str(dataset.PhotometricInterpretation)
    if photometric not in _PHOTOMETRIC:
        raise InputError(
            f"The photometric interpretation {photometric} of this DICOM file is not read here. Export the X-ray as "
            "MONOCHROME2."
        )


def _decode(dataset: FileDataset) -> np.ndarray:
    """Stored values: [H, W], or [H, W, 3] in RGB."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
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
    try:
        stored, _ = decoder.as_array(dataset, correct_unused_bits=False)  # type: ignore[arg-type]
    except Exception:  # the decoders raise many types
        message = f"The pixels of this DICOM file ({syntax.name}) are damaged or cut off. Export it again."
        if syntax in JPEGTransferSyntaxes:
            message += f" If it opens elsewhere, it needs another decoder. {remedy}"
        raise InputError(message) from None
    return stored


def _check_codestream(dataset: Dataset) -> None:
    """Check that a JPEG 2000 image has the size that the header states, which is the size that was checked."""
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    start = frame.find(b"\xff\x4f\xff\x51")  # SOC and SIZ markers (ISO 15444-1, A.5.1)
    right, bottom, left, top = (int.from_bytes(frame[start + at : start + at + 4]) for at in (8, 12, 16, 20))
    if start < 0 or (bottom - top, right - left) != (dataset.Rows, dataset.Columns):
        raise InputError("The compressed image in this DICOM file contradicts its header. Export it again.")


def _render(dataset: Dataset, stored: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Render stored grey values to float32 [H, W] in [0, 1], bone bright; also returns the processing steps."""
    bits = int(dataset.BitsStored)
    codes = stored.astype(stored.dtype.newbyteorder("="), copy=False).view(f"u{stored.itemsize}")
    if not _is_compressed(dataset) and "HighBit" in dataset:
        codes = codes >> max(0, dataset.HighBit + 1 - bits)
    codes = codes & codes.dtype.type(2**bits - 1)  # bits above BitsStored may hold an overlay
    count = np.zeros(2**bits, np.int64)
    for rows in np.array_split(codes, math.ceil(len(codes) / 64)):  # strips: numpy casts indices to int64
        count += np.bincount(rows.ravel(), minlength=2**bits)

    values = np.arange(2**bits, dtype=np.float64)
    if dataset.PixelRepresentation:
        values[2 ** (bits - 1) :] -= 2**bits
    padding = number_of(dataset, "PixelPaddingValue")
    anatomy = np.where(values == padding, 0, count) if padding is not None else count
    values, rescaled = _apply_modality(dataset, values)
    grey, windowed = _apply_voi(dataset, values, anatomy if anatomy.any() else count)
    changes = rescaled + windowed
    if dataset.PhotometricInterpretation == "MONOCHROME1" or text_of(dataset, "PresentationLUTShape") == "INVERSE":
        grey = 1 - grey
        changes += ("inverted, so that bone is bright",)

    table = grey.astype(np.float32)
    pixels = np.empty(codes.shape, np.float32)
    for row in range(0, len(codes), 64):
        np.take(table, codes[row : row + 64], out=pixels[row : row + 64], mode="clip")
    return pixels, changes


def _is_compressed(dataset: Dataset) -> bool:
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    return syntax.is_compressed and syntax != RLELossless


def _apply_modality(dataset: Dataset, values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Map stored values to modality values by the modality LUT, else by slope and intercept."""
    if dataset.get("ModalityLUTSequence"):
        lookup, _ = _lut(dataset, dataset.ModalityLUTSequence[0])
        return lookup(values), ("modality LUT applied",)
    slope, intercept = number_of(dataset, "RescaleSlope") or 1.0, number_of(dataset, "RescaleIntercept") or 0.0
    if (slope, intercept) == (1.0, 0.0):
        return values, ()
    return values * slope + intercept, (f"rescaled by {slope:g} and {intercept:g}",)


def _apply_voi(dataset: Dataset, values: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Map modality values to [0, 1] by the first VOI LUT, else the first window, else percentiles.

    Args:
        values: float64 [V], modality value of each possible stored value.
        count: int64 [V], number of pixels with that value.
    """
    occurs = count > 0
    if dataset.get("VOILUTSequence"):
        lookup, top = _lut(dataset, dataset.VOILUTSequence[0])
        return lookup(values) / top, ("VOI LUT applied",)

    centre, width = number_of(dataset, "WindowCenter"), number_of(dataset, "WindowWidth")
    note: tuple[str, ...] = ()
    if centre is not None and width is not None:
        grey = _window(values, centre, width, text_of(dataset, "VOILUTFunction") or "LINEAR")
        if grey is not None and (np.ptp(grey[occurs]) > 0 or np.ptp(values[occurs]) == 0):
            return grey, (f"window applied: centre {centre:g}, width {width:g}",)
        note = ("window ignored, for it would leave nothing visible",)

    low, high = np.percentile(values, _PERCENTILES, weights=count, method="inverted_cdf")
    if low == high:
        low, high = values[occurs].min(), values[occurs].max()
    grey = np.clip((values - low) / (high - low), 0, 1) if low < high else np.zeros_like(values)
    return grey, (*note, f"values {low:g} to {high:g} shown, for the file names no usable window")


def _window(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray | None:
    """Map values to [0, 1] by a window (PS3.3 C.11.2.1.2 and C.11.2.1.3); None if the width is not valid."""
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    if width <= 0:
        return None
    position = (values - centre) / width
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * position, -700, 700)))
    return np.clip(position + 0.5, 0, 1)


def _lut(dataset: Dataset, item: Dataset) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """Lookup function of a modality or VOI LUT item, and its maximum output (PS3.3 C.11.1.1 and C.11.2.1.1)."""
    entries, first, bits = (int(number) for number in cast(list[int], item.LUTDescriptor))
    entries = entries or 2**16
    data = item.LUTData
    if isinstance(data, bytes):
        wide = "<u2" if UID(dataset.file_meta.TransferSyntaxUID).is_little_endian else ">u2"
        table = np.frombuffer(data, np.uint8 if len(data) < 2 * entries else wide)[:entries]
    else:
        table = np.asarray(data)[:entries]
    table = table.astype(np.float64)
    top = max(2**bits - 1, int(table.max()))
    return lambda values: table[np.clip(np.rint(values) - first, 0, len(table) - 1).astype(np.intp)], top


def _square_pixels(
    dataset: Dataset, pixels: np.ndarray
) -> tuple[np.ndarray, tuple[float, float] | None, tuple[str, ...]]:
    """Resample to square pixels at the finer of the two spacings. Models and overlays assume square pixels."""
    spacings = (pair_of(dataset, tag) for tag in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"))
    spacing = next(filter(None, spacings), None)
    row, column = spacing or pair_of(dataset, "PixelAspectRatio") or (1.0, 1.0)
    if abs(row / column - 1) < _SQUARE:
        return pixels, spacing, ()
    height, width = pixels.shape
    finer = min(row, column)
    new_height, new_width = round(height * row / finer), round(width * column / finer)
    if new_height * new_width > MAX_PIXELS:
        raise InputError(
            f"The pixels of this DICOM file are {row:g} high and {column:g} wide, which cannot be. Correct its "
            "PixelSpacing or PixelAspectRatio, or export it again."
        )
    resized = Image.fromarray(pixels).resize((new_width, new_height), Image.Resampling.BILINEAR)
    if spacing:  # from the rounded size, so that the image keeps its size in millimetres
        spacing = row * height / new_height, column * width / new_width
    change = f"resampled from {width} x {height} to {new_width} x {new_height}, so that pixels are square"
    return np.clip(np.asarray(resized), 0, 1), spacing, (change,)

"""Read a DICOM radiograph: check it, decode it, and render it to [0, 1] as a viewer does.

Only pixels, view and spacing are returned; all other tags are dropped.
"""

from __future__ import annotations

import logging
import warnings
from io import BytesIO

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from rrg.data.radiographs.colour import to_grey
from rrg.data.radiographs.dicom_header import REGION_TAGS, check_radiograph, pair_of, view_of
from rrg.data.radiographs.dicom_pixels import complete_header, decode
from rrg.data.radiographs.dicom_render import render
from rrg.data.radiographs.radiograph import MAX_PIXELS, Provenance, Radiograph, View
from rrg.errors import InputError

# Messages of pydicom may quote values of the file, such as names and dates of birth.
warnings.filterwarnings("ignore", module=r"pydicom\b")
logging.getLogger("pydicom").addFilter(lambda record: False)

_SQUARE = 0.01
"""Maximum relative difference between the sides of a pixel that counts as square."""

_READ_TAGS = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        *("Modality", "SOPClassUID", "ViewPosition", "ViewCodeSequence", "PatientOrientation", *REGION_TAGS),
        *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio", "NumberOfFrames"),
        *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "PixelData"),
        *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"),
        *("PixelPaddingRangeLimit", "PresentationIntentType", "PixelIntensityRelationshipSign"),
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
        removed_tags = sum(tag not in _READ_TAGS for tag in dataset.keys())  # noqa: SIM118  iterating decodes values
        notes = check_radiograph(dataset) + complete_header(dataset)
        decoded, corrected = decode(dataset)
        if decoded.ndim == 3:
            pixels, bits, changes = _render_colour(decoded, int(dataset.BitsStored))
        else:
            pixels, bits, changes = render(dataset, decoded)
        pixels, spacing, resampled = _square_pixels(dataset, pixels)
        stated_view = view_of(dataset)
        provenance = Provenance(
            format="DICOM",
            bits=bits,
            photometric=str(dataset.PhotometricInterpretation),
            transfer_syntax=UID(dataset.file_meta.TransferSyntaxUID).name,
            changes=notes + corrected + changes + resampled,
            removed_tags=removed_tags,
            stated_view=stated_view,
        )
        return Radiograph(pixels, view or stated_view, spacing, provenance)
    except InputError:
        raise
    except Exception:  # pydicom raises many types and quotes values of the file, so the cause is not passed on
        raise InputError("This DICOM file is damaged, incomplete or cut off. Export it again.") from None


def _parse(data: bytes) -> FileDataset:
    """Read the data set. Values stay undecoded bytes until they are accessed."""
    if DeflatedExplicitVRLittleEndian.encode() in data:
        # Inflation is not limited in size: a small file could exhaust the RAM. The whole file is searched, because the
        # transfer syntax may lie behind any number of elements.
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


def _render_colour(rgb: np.ndarray, stated_bits: int) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """Grey pixels in [0, 1] of a colour image, bits of a value, and the changes."""
    bits = max(stated_bits, int(rgb.max()).bit_length())
    notes = () if bits == stated_bits else (f"BitsStored {stated_bits} ignored, for the values have {bits} bits",)
    grey, changes = to_grey(rgb, top=2**bits - 1)
    return grey * np.float32(1 / (2**bits - 1)), bits, notes + changes


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

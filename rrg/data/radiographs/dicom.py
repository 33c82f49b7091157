"""Read a DICOM radiograph: check it, decode it, and render it to [0, 1] as a viewer does.

Only pixels, view and spacing are returned; all other tags are dropped.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import UID

from rrg.data.radiographs.colour import to_grey
from rrg.data.radiographs.dicom_decoding import decode
from rrg.data.radiographs.dicom_file import READ_TAGS, parse
from rrg.data.radiographs.dicom_header import check_radiograph, pair_of, view_of
from rrg.data.radiographs.dicom_pixels import complete_header
from rrg.data.radiographs.dicom_render import render
from rrg.data.radiographs.radiograph import MAX_PIXELS, Provenance, Radiograph, View
from rrg.errors import InputError

# Messages of pydicom may quote values of the file, such as names and dates of birth.
warnings.filterwarnings("ignore", module=r"pydicom\b")
logging.getLogger("pydicom").addFilter(lambda record: False)

_SQUARE = 0.01
"""Maximum relative difference between the sides of a pixel that counts as square."""


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
        dataset = parse(data)
        removed_tags = sum(tag not in READ_TAGS for tag in dataset.keys())  # noqa: SIM118  iterating decodes values
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
        raise InputError(
            "The header of this DICOM file cannot be interpreted. Export the X-ray again, or as a PNG image."
        ) from None


def _render_colour(rgb: np.ndarray, stated_bits: int) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """Grey pixels in [0, 1] of a colour image, bits of a value, and the changes."""
    rgb = rgb.view(f"u{rgb.itemsize}")
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

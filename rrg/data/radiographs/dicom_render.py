"""Render the stored values of a grey DICOM image to [0, 1], bone bright, as a viewer does.

The order is that of DICOM PS3.3 and PS3.4 N.2: stored values -> modality LUT or rescale -> VOI LUT or window ->
inversion. It is computed for each possible word and applied to the image as a lookup table.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from rrg.data.radiographs.dicom_header import image_class_of, items_of, number_of, numbers_of, text_of
from rrg.data.radiographs.dicom_tables import read_table
from rrg.data.radiographs.dicom_values import StoredValues, stored_values
from rrg.data.radiographs.grey_scale import fault_of, percentile_range, range_without_outliers, scaled, used_share

_FOR_PROCESSING = "Digital X-Ray Image Storage - For Processing"
_MAX_CHOICES = 16
"""Number of VOI LUTs, and of windows, that are tried."""


def render(dataset: Dataset, decoded: np.ndarray) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """Render decoded grey values.

    Args:
        dataset: the header.
        decoded: int or uint of 8 or 16 bits, [H, W].

    Returns:
        float32 pixels [H, W] in [0, 1], bone bright; bits of a stored value; the processing steps.
    """
    words = decoded.astype(decoded.dtype.newbyteorder("="), copy=False).view(f"u{decoded.itemsize}")
    stored = stored_values(dataset, words)
    values, rescaled = _apply_modality(dataset, stored)
    grey, windowed = _apply_voi(dataset, values, stored)
    grey, inverted = _bone_bright(dataset, grey, stored)
    grey[stored.padding] = 0

    table = grey.astype(np.float32)
    pixels = np.empty(words.shape, np.float32)
    for row in range(0, len(words), 64):
        np.take(table, words[row : row + 64], out=pixels[row : row + 64], mode="clip")
    return pixels, stored.bits, stored.notes + rescaled + windowed + inverted


def _apply_modality(dataset: Dataset, stored: StoredValues) -> tuple[np.ndarray, tuple[str, ...]]:
    """Map stored values to modality values by the modality LUT, else by slope and intercept."""
    notes: tuple[str, ...] = ()
    items = items_of(dataset, "ModalityLUTSequence")
    if items is None:
        notes = ("modality LUT ignored, for its sequence cannot be read",)
    elif items:
        table = read_table(items[0], stored.values, stored.count, _little_endian(dataset))
        if table is None:
            notes = ("modality LUT ignored, for its item is empty",)
        elif table.outside(stored.values)[stored.count > 0].all() and len(table.entries) > 1:
            notes = ("modality LUT ignored, for it has no entry for any pixel",)
        else:
            return table(stored.values), ("modality LUT applied",)
    slope, intercept = number_of(dataset, "RescaleSlope") or 1.0, number_of(dataset, "RescaleIntercept") or 0.0
    if (slope, intercept) == (1.0, 0.0):
        return stored.values, notes
    return stored.values * slope + intercept, (*notes, f"rescaled by {slope:g} and {intercept:g}")


def _apply_voi(dataset: Dataset, values: np.ndarray, stored: StoredValues) -> tuple[np.ndarray, tuple[str, ...]]:
    """Map modality values to [0, 1] by the first VOI LUT that can be right, else by such a window, else by their range.

    Args:
        values: float64 [W], modality value of each word.
        stored: stored value and number of pixels of each word.
    """
    count = stored.count
    notes: tuple[str, ...] = ()
    items = items_of(dataset, "VOILUTSequence")
    if items is None:
        notes += ("VOI LUT ignored, for its sequence cannot be read",)
    for item in (items or ())[:_MAX_CHOICES]:
        table = read_table(item, values, count, _little_endian(dataset))
        if table is None:
            notes += ("VOI LUT ignored, for its item is empty",)
            continue
        grey = table(values) / table.top
        if fault := fault_of(grey, values, count, table.outside(values)):
            notes += (f"VOI LUT ignored, for {fault}",)
            continue
        corrected = tuple(f"VOI LUT read by its data: {note}" for note in table.notes)
        return grey, (*notes, *corrected, "VOI LUT applied")

    function = text_of(dataset, "VOILUTFunction").replace(" ", "_")
    exported = False
    windows = zip(numbers_of(dataset, "WindowCenter"), numbers_of(dataset, "WindowWidth"), strict=False)
    for centre, width in islice(windows, _MAX_CHOICES):
        grey = _window(values, centre, width, function)
        if grey is None:
            notes += ("window ignored, for it would leave nothing visible",)
            continue
        too_deep = _is_for_more_bits(centre + width / 2, grey, values, stored)
        fault = "it is for more bits than the values have" if too_deep else fault_of(grey, values, count)
        if fault is None:
            return grey, (*notes, f"window applied: centre {centre:g}, width {width:g}")
        exported |= too_deep
        notes += (f"window ignored, for {fault}",)

    top = 2**stored.bits - 1
    if exported and values is stored.values and used_share(scaled(values, 0, top), count) >= 0.5:
        return scaled(values, 0, top), (*notes, f"values 0 to {top} shown, as they were exported")
    low, high = (range_without_outliers if _is_for_processing(dataset) else percentile_range)(values, count)
    return scaled(values, low, high), (*notes, f"values {low:g} to {high:g} shown, for the file names no usable window")


def _is_for_more_bits(upper: float, grey: np.ndarray, values: np.ndarray, stored: StoredValues) -> bool:
    """Whether a window was made for deeper values and left in the header by an export that already applied it.

    Its upper end lies beyond the possible values by more than their range, and the grey scale is used by half at most.
    """
    low, high = values.min(), values.max()
    occurs = stored.count > 0
    used = np.ptp(grey[occurs])
    return bool(used > 0 and upper > 2 * high - low + 1 and used < 0.5)


def _window(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray | None:
    """Map values to [0, 1] by a window (PS3.3 C.11.2.1.2 and C.11.2.1.3); None if the width is not valid."""
    if function not in ("LINEAR_EXACT", "SIGMOID"):  # LINEAR, also where the tag is missing or unknown
        centre, width = centre - 0.5, width - 1
    if width <= 0:
        return None
    position = (values - centre) / width
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * position, -700, 700)))
    return np.clip(position + 0.5, 0, 1)


def _bone_bright(dataset: Dataset, grey: np.ndarray, stored: StoredValues) -> tuple[np.ndarray, tuple[str, ...]]:
    """Invert the image where the header says that bone is dark.

    An image for presentation is inverted by its photometric interpretation. An image for processing is not made for
    display: whether its stored values grow with the X-ray intensity, so that bone is low, is told by
    PixelIntensityRelationshipSign (PS3.3 C.8.11.3.1.2).
    """
    sign = number_of(dataset, "PixelIntensityRelationshipSign")
    lut_shape = text_of(dataset, "PresentationLUTShape")
    inverse = dataset.PhotometricInterpretation == "MONOCHROME1" or lut_shape == "INVERSE"
    if sign not in (1, -1):
        return (1 - grey, ("inverted, so that bone is bright",)) if inverse else (grey, ())
    bone_low = sign == 1
    if not _is_for_processing(dataset):
        steps = ("inverted, so that bone is bright",) if inverse else ()
        if bone_low != inverse:
            steps += (f"PixelIntensityRelationshipSign {sign:g} ignored, for the photometric interpretation decides",)
        return (1 - grey if inverse else grey), steps
    if _falls(stored.values, grey, stored.count):
        bone_low = not bone_low
    if not bone_low:
        return grey, (f"bone is bright by PixelIntensityRelationshipSign {sign:g}",)
    return 1 - grey, (f"inverted by PixelIntensityRelationshipSign {sign:g}, so that bone is bright",)


def _falls(stored: np.ndarray, grey: np.ndarray, count: np.ndarray) -> bool:
    """Whether grey falls where stored values rise, as by a negative slope."""
    occurs = count > 0
    low, high = stored[occurs].argmin(), stored[occurs].argmax()
    return bool(grey[occurs][high] < grey[occurs][low])


def _is_for_processing(dataset: Dataset) -> bool:
    intent = text_of(dataset, "PresentationIntentType")
    return intent == "FOR PROCESSING" or (not intent and image_class_of(dataset) == _FOR_PROCESSING)


def _little_endian(dataset: Dataset) -> bool:
    return UID(dataset.file_meta.TransferSyntaxUID).is_little_endian

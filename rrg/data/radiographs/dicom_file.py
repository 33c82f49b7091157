"""Parse the bytes of a DICOM file into a data set, with bounds on time and memory.

A file without file meta information, or without a preamble, is read too.
"""

from __future__ import annotations

import zlib

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from rrg.data.radiographs.bounded_reader import BoundedReader
from rrg.data.radiographs.dicom_header import REGION_TAGS
from rrg.data.radiographs.radiograph import MAX_DECODED_BYTES
from rrg.errors import InputError

_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)

_MAX_INFLATED = MAX_DECODED_BYTES + 16 * 2**20
"""Bytes of a deflated data set: the largest pixels and a header."""

_LUT_TAGS = ("ModalityLUTSequence", "VOILUTSequence")
_MAX_LUT = 512 * 1024
"""Bytes of a sequence of lookup tables; a table has at most 128 KiB. The items take up to 2 s to parse."""
_MAX_VALUE = 64 * 1024
"""Bytes of any other tag."""

READ_TAGS = frozenset(
    BaseTag(tag_for_keyword(keyword) or 0)
    for keyword in (
        *("Modality", "SOPClassUID", "ViewPosition", "ViewCodeSequence", "PatientOrientation", *REGION_TAGS),
        *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio", "NumberOfFrames"),
        *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "PixelData"),
        *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"),
        *("PixelPaddingRangeLimit", "PresentationIntentType", "PixelIntensityRelationshipSign"),
        *(*_LUT_TAGS, "RescaleSlope", "RescaleIntercept", "VOILUTFunction"),
        *("WindowCenter", "WindowWidth", "PresentationLUTShape"),
    )
)
"""Tags that are read. All others are dropped."""


def parse(data: bytes) -> Dataset:
    """Parse a DICOM file. Values stay undecoded bytes until they are accessed.

    Args:
        data: content of the file.

    Returns:
        the data set, with `file_meta.TransferSyntaxUID`.

    Raises:
        InputError: the file cannot be parsed, or exceeds a bound.
    """
    try:
        dataset = _parse(data)
    except InputError:
        raise
    except RecursionError:
        raise InputError(
            "This DICOM file nests sequences too deeply. Remove private tags, or export the X-ray image again."
        ) from None
    except Exception:  # pydicom raises many types and quotes values of the file, so the cause is not passed on
        raise InputError(
            "The header of this DICOM file is damaged or cut off: its elements cannot be told apart. Export it again."
        ) from None
    for element in dataset.elements():
        if element.tag in READ_TAGS and isinstance(element.value, bytes):
            _check_length(keyword_for_tag(element.tag), len(element.value))
    return dataset


def _parse(data: bytes) -> Dataset:
    file = BoundedReader(data)
    read_preamble(file, force=True)
    meta = read_dataset(
        file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, vr, length: tag.group != 2
    )
    syntax = UID(str(meta.get("TransferSyntaxUID") or ""))
    if syntax == DeflatedExplicitVRLittleEndian:
        file = BoundedReader(_inflate(file.read()))
    if syntax:
        # All transfer syntaxes but one have explicit VR, and all but one are little endian (PS3.5 section 10). They are
        # not parsed by `dcmread`, which inflates without a limit.
        implicit, little_endian = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
        dataset = read_dataset(file, implicit, little_endian)
    else:
        dataset = dcmread(BoundedReader(file.read()), force=True)
        implicit, little_endian = dataset.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else _NATIVE[1] if little_endian else _NATIVE[2]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _inflate(data: bytes) -> bytes:
    """Inflate a data set that is compressed as a whole (PS3.5 A.5)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(data, _MAX_INFLATED)
    if inflater.unconsumed_tail:
        raise InputError(
            f"This DICOM file is too large: more than {_MAX_INFLATED // 2**20} MB when its compression (Deflated "
            "Explicit VR Little Endian) is undone. Export the X-ray image again."
        )
    return inflated


def _check_length(keyword: str, length: int) -> None:
    limit = _MAX_LUT if keyword in _LUT_TAGS else _MAX_VALUE
    if length > limit and keyword != "PixelData":  # its length is bounded by that of the file
        raise InputError(
            f"The tag {keyword} of this DICOM file has {length:,} bytes, where {limit:,} is the limit. Remove it, or "
            "export the X-ray image again."
        )

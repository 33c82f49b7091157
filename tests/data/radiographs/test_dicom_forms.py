"""Further forms of DICOM files that hospitals send, beside pydicom's own reading or a computed truth."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    DigitalXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from rrg.data.radiographs import Radiograph, read_radiograph

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

DicomFile = Callable[..., bytes]

_Y, _X = np.mgrid[-1:1:96j, -1:1:80j]
CHEST = (0.5 + 0.5 * np.cos(3 * _X) * np.sin(2 * _Y + 0.7)).clip(0, 1)
CHEST_12 = np.rint(CHEST * 4095).astype(np.uint16)
CHEST_8 = np.rint(CHEST * 255).astype(np.uint8)
FULL_12 = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}
CURVE = np.linspace(0, 1, 4096) ** 1.5


def lut(first: int, bits: int, data: list[int] | bytes, number: int | None = None) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [number or len(data), first, bits])
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    return item


def shows(content: bytes, expected: np.ndarray, *changes: str, atol: float = 0.002) -> Radiograph:
    radiograph = read_radiograph(content)
    np.testing.assert_allclose(radiograph.pixels, expected, atol=atol)
    for change in changes:
        assert any(change in entry for entry in radiograph.provenance.changes), radiograph.provenance.changes
    return radiograph


def pydicom_shows(content: bytes) -> np.ndarray:
    """Modality and VOI values as pydicom computes them."""
    dataset = pydicom.dcmread(BytesIO(content))
    return apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)


# (A) Lookup tables, windows and bits


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("vr", ["OW", "US"])
@pytest.mark.parametrize("length", [4096, 4095])
def test_packed_8_bit_lut_in_both_byte_orders(dicom_file: DicomFile, syntax: str, vr: str, length: int) -> None:
    """Two entries in a word, the first in its lower byte: in a big-endian file the bytes are swapped."""
    entries = np.rint(CURVE * 255).astype(np.uint8)[:length]
    words = np.append(entries, np.zeros(length % 2, np.uint8)).view("<u2")
    order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
    data = words.astype(order).tobytes() if vr == "OW" else words.tolist()
    content = dicom_file(CHEST_12, syntax=syntax, BitsStored=12, VOILUTSequence=[lut(0, 8, data, length)])
    shows(content, entries[CHEST_12.clip(0, length - 1)] / 255, "VOI LUT applied", atol=1e-6)


def test_modality_lut_with_a_signed_first_value(dicom_file: DicomFile) -> None:
    table = [int(entry) for entry in np.rint(CURVE * 4095)]
    content = dicom_file(CHEST_12.astype(np.int16) - 2048, ModalityLUTSequence=[lut(-2048, 16, table)], **FULL_12)
    shows(content, pydicom_shows(content) / 65535, "modality LUT applied", atol=1e-5)  # the range of the table


@pytest.mark.parametrize("bits", [12, 16])
def test_voi_lut_after_a_rescale_to_negative_values(dicom_file: DicomFile, bits: int) -> None:
    """A table of 12-bit entries for values from -1024 on, which the descriptor calls 12 or 16 bits."""
    table = [int(entry) for entry in np.rint(CURVE * 4095)]
    tags = {"BitsStored": 12, "RescaleSlope": 1, "RescaleIntercept": -1024}
    content = dicom_file(CHEST_12, VOILUTSequence=[lut(-1024, bits, table)], **tags)
    right = pydicom_shows(dicom_file(CHEST_12, VOILUTSequence=[lut(-1024, 12, table)], **tags))
    shows(content, right / 4095, "VOI LUT applied", atol=1e-5)


@pytest.mark.parametrize("function", ["SIGMOID", "LINEAR", "LINEAR_EXACT"])
def test_window_on_negative_rescaled_values(dicom_file: DicomFile, function: str) -> None:
    content = dicom_file(
        CHEST_12,
        BitsStored=12,
        RescaleSlope=0.5,
        RescaleIntercept=-3000,
        WindowCenter=-2000,
        WindowWidth=1500,
        VOILUTFunction=function,
    )
    low, high = -3000, -3000 + 0.5 * 4095
    shows(content, (pydicom_shows(content) - low) / (high - low), f"centre {-2000}", atol=1e-5)


@pytest.mark.parametrize("function", ["GAMMA", "LINEAR EXACT", ""])
def test_unknown_window_function_is_linear(dicom_file: DicomFile, function: str) -> None:
    tags = {"BitsStored": 12, "WindowCenter": 2000, "WindowWidth": 11}
    narrow = {"WindowCenter": 100, "WindowWidth": 11}
    stored = np.rint(95 + 10 * CHEST).astype(np.uint16)
    content = dicom_file(stored, **tags | narrow, VOILUTFunction=function)
    meant = "LINEAR_EXACT" if function == "LINEAR EXACT" else "LINEAR"
    shows(content, read_radiograph(dicom_file(stored, **tags | narrow, VOILUTFunction=meant)).pixels, atol=1e-6)


@pytest.mark.parametrize(("centre", "width"), [(b"2048\\", b"4096\\"), (b"2048\\none", b"4096\\wide ")])
def test_first_window_is_used_where_the_second_is_empty_or_no_number(
    dicom_file: DicomFile, centre: bytes, width: bytes
) -> None:
    content = dicom_file(CHEST_12, BitsStored=12)
    window = b"".join(
        struct.pack("<HH2sH", 0x28, number, b"DS", len(value) + len(value) % 2)
        + value.ljust(len(value) + len(value) % 2)
        for number, value in ((0x1050, centre), (0x1051, width))
    )
    shows(content.replace(b"\xe0\x7f\x10\0OW", window + b"\xe0\x7f\x10\0OW", 1), CHEST, "window applied: centre 2048")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
@pytest.mark.parametrize("signed", [False, True])
def test_10_bits_at_the_upper_end_of_a_word(dicom_file: DicomFile, syntax: str, signed: bool) -> None:
    """BitsStored 10, HighBit 15; the lower bits hold an overlay."""
    ten = np.rint(CHEST * 1023).astype(np.int32) - 512 * signed
    overlay = np.indices(CHEST.shape).sum(axis=0) % 2 * 5
    stored = (ten * 64 + overlay).astype(np.int16 if signed else np.uint16)
    window = {"BitsStored": 10, "WindowCenter": 0 if signed else 512, "WindowWidth": 1024}
    right = pydicom_shows(dicom_file(ten.astype(stored.dtype), **window))
    content = dicom_file(stored, syntax=syntax, HighBit=15, **window)
    shows(content, (right + 512 * signed) / 1023, atol=1e-5)


# (B) Colour


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("bits", [8, 12])
def test_tinted_rgb_in_both_plane_orders(dicom_file: DicomFile, syntax: str, planar: int, bits: int) -> None:
    grey = CHEST_8 if bits == 8 else CHEST_12
    tinted = np.stack([grey // 10 * 8, grey // 10 * 9, grey], axis=-1)
    stored = np.ascontiguousarray(np.moveaxis(tinted, -1, 0)).reshape(tinted.shape) if planar else tinted
    if syntax == RLELossless:  # pydicom encodes by pixel
        stored, planar = tinted, 0
    content = dicom_file(stored, syntax=syntax, PlanarConfiguration=planar, BitsStored=bits)
    reference = pydicom.dcmread(BytesIO(content)).pixel_array @ (0.299, 0.587, 0.114) / (2**bits - 1)
    radiograph = shows(content, reference, "tinted picture converted to grey", atol=0.004)
    assert radiograph.provenance.bits == bits


def test_grey_stored_as_ybr(dicom_file: DicomFile) -> None:
    neutral = np.full_like(CHEST_8, 128)
    content = dicom_file(np.stack([CHEST_8, neutral, neutral], axis=-1), PhotometricInterpretation="YBR_FULL")
    shows(content, pydicom.dcmread(BytesIO(content)).pixel_array[..., 0] / 255, atol=0.005)


def test_grey_rgb_stated_as_signed(dicom_file: DicomFile) -> None:
    content = dicom_file(np.stack([CHEST_8] * 3, axis=-1), PixelRepresentation=1)
    shows(content, CHEST_8 / 255, atol=1e-6)


# (C) Padding


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
@pytest.mark.parametrize(("low", "high"), [(-2048, -2000), (2000, 2047)])
def test_signed_padding_range_at_either_end(dicom_file: DicomFile, syntax: str, low: int, high: int) -> None:
    stored = np.rint(-1900 + 3800 * CHEST).astype(np.int16)
    padded = np.vstack([np.linspace(low, high, 20 * 80).astype(np.int16).reshape(20, 80), stored])
    tags = {"BitsStored": 12, "PixelPaddingValue": low, "PixelPaddingRangeLimit": high}
    pixels = read_radiograph(dicom_file(padded, syntax=syntax, **tags)).pixels
    assert pixels[:20].max() == 0
    np.testing.assert_allclose(pixels[20:], read_radiograph(dicom_file(stored, BitsStored=12)).pixels, atol=1e-6)


# (D) Polarity


@pytest.mark.parametrize(
    ("photometric", "shape", "inverse"),
    [
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", None, True),
    ],
)
@pytest.mark.parametrize("function", ["LINEAR", "SIGMOID"])
def test_presentation_lut_shape_is_applied_once(
    dicom_file: DicomFile, photometric: str, shape: str | None, inverse: bool, function: str
) -> None:
    tags = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape, "VOILUTFunction": function}
    content = dicom_file(CHEST_12, **FULL_12, **tags)
    reference = pydicom_shows(content) / 4095
    shows(content, 1 - reference if inverse else reference, atol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_class_for_processing_without_an_intent(dicom_file: DicomFile, sign: int) -> None:
    content = dicom_file(
        4095 - CHEST_12 if sign == 1 else CHEST_12,
        BitsStored=12,
        SOPClassUID=DigitalXRayImageStorageForProcessing,
        PixelIntensityRelationshipSign=sign,
    )
    shows(content, CHEST, f"PixelIntensityRelationshipSign {sign}", atol=0.01)


# (E) Optional parts that are empty, private or malformed


def test_empty_functional_groups_and_private_window_are_dropped(dicom_file: DicomFile) -> None:
    content = dicom_file(CHEST_12, **FULL_12)
    dataset = pydicom.dcmread(BytesIO(content))
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    dataset.PerFrameFunctionalGroupsSequence = []
    block = dataset.private_block(0x0029, "RRG TEST", create=True)
    block.add_new(0x10, "DS", ["1", "2"])
    block.add_new(0x11, "SQ", [lut(0, 12, [0, 4095])])
    file = BytesIO()
    dataset.save_as(file)
    radiograph = shows(file.getvalue(), CHEST, "window applied: centre 2048")
    assert radiograph.sha256 == read_radiograph(content).sha256


@pytest.mark.parametrize(("number", "name"), [(0x3000, "modality LUT"), (0x3010, "VOI LUT")])
@pytest.mark.parametrize("value", [b"\x41" * 64, struct.pack("<HH2sH", 0x28, 0x3002, b"US", 6) * 8])
def test_malformed_lut_sequence_is_ignored_with_a_note(
    dicom_file: DicomFile, number: int, name: str, value: bytes
) -> None:
    content = dicom_file(CHEST_12, **FULL_12)
    sequence = struct.pack("<HH2sHI", 0x28, number, b"SQ", 0, len(value)) + value
    shows(content.replace(b"\xe0\x7f\x10\0OW", sequence + b"\xe0\x7f\x10\0OW", 1), CHEST, f"{name} ignored")


@pytest.mark.parametrize(
    "tags", [{"RescaleSlope": ""}, {"RescaleSlope": 0, "RescaleIntercept": 0}, {"VOILUTFunction": ""}]
)
def test_empty_or_zero_optional_numbers(dicom_file: DicomFile, tags: dict) -> None:
    shows(dicom_file(CHEST_12, **FULL_12, **tags), CHEST)


@pytest.mark.parametrize("tag", [b"\x28\0\x03\x01", b"\x28\0\x02\0", b"\x28\0\x01\x01"])
def test_malformed_tag_with_one_meaning(dicom_file: DicomFile, tag: bytes) -> None:
    """PixelRepresentation, SamplesPerPixel or BitsStored with a value representation that does not exist."""
    content = dicom_file(CHEST_12 * 16, BitsStored=16, WindowCenter=32760, WindowWidth=65521)
    shows(content.replace(tag + b"US", tag + b"ZZ", 1), CHEST, "is missing, read as")


def test_first_of_two_values_is_used_for_the_size(dicom_file: DicomFile) -> None:
    content = dicom_file(CHEST_12, **FULL_12)
    rows = b"\x28\0\x10\0US"
    twice = rows + struct.pack("<HHH", 4, 96, 96)
    shows(content.replace(rows + struct.pack("<HH", 2, 96), twice, 1), CHEST)

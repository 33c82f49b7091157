"""DICOM pixels compared with hand-computed values and with pydicom as the reference."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi_lut
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from rrg.data.radiographs import read_radiograph
from rrg.errors import InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
    pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning:pydicom"),
]

DicomFile = Callable[..., bytes]

RAMP_12 = np.linspace(0, 4095, 64 * 48).astype(np.uint16).reshape(64, 48)


def image_of(*values: int, dtype: type = np.uint16) -> np.ndarray:
    """A 32 x 32 image that begins with the values and repeats the last one."""
    pixels = np.full(32 * 32, values[-1], dtype)
    pixels[: len(values)] = values
    return pixels.reshape(32, 32)


def begins(content: bytes, count: int) -> np.ndarray:
    return read_radiograph(content).pixels.ravel()[:count]


def lut(first: int, bits: int, data: list[int] | bytes, signed: bool = False) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(data), first, bits])
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    if isinstance(data, bytes):
        item.LUTDescriptor = [len(data) // 2, first, bits]
    return item


# A linear window (PS3.3 C.11.2.1.2.1) of centre c and width w is 0 up to c - w/2, 1 from c + w/2 - 1 on.


@pytest.mark.parametrize(
    ("photometric", "shape", "expected"),
    [
        ("MONOCHROME2", None, [0, 0, 0.25, 1, 1]),
        ("MONOCHROME2", "IDENTITY", [0, 0, 0.25, 1, 1]),
        ("MONOCHROME2", "INVERSE", [1, 1, 0.75, 0, 0]),
        ("MONOCHROME1", None, [1, 1, 0.75, 0, 0]),
        ("MONOCHROME1", "INVERSE", [1, 1, 0.75, 0, 0]),
    ],
)
def test_polarity_is_applied_after_the_window(
    dicom_file: DicomFile, photometric: str, shape: str | None, expected: list[float]
) -> None:
    content = dicom_file(
        image_of(0, 1000, 1100, 1400, 4095),
        BitsStored=12,
        WindowCenter=1200.5,
        WindowWidth=401,
        PhotometricInterpretation=photometric,
        PresentationLUTShape=shape,
    )
    np.testing.assert_allclose(begins(content, 5), expected, atol=1e-6)


def test_first_of_several_windows_is_used(dicom_file: DicomFile) -> None:
    content = dicom_file(
        image_of(1000, 1100, 1400), BitsStored=12, WindowCenter=["1200.5", "2000"], WindowWidth=["401", "4000"]
    )
    np.testing.assert_allclose(begins(content, 3), [0, 0.25, 1], atol=1e-6)


def test_exact_and_sigmoid_window_functions(dicom_file: DicomFile) -> None:
    tags = {"BitsStored": 12, "WindowCenter": 1200, "WindowWidth": 400}
    exact = dicom_file(image_of(1000, 1100, 1400), VOILUTFunction="LINEAR_EXACT", **tags)
    np.testing.assert_allclose(begins(exact, 3), [0, 0.25, 1], atol=1e-6)
    sigmoid = dicom_file(image_of(1100, 1200, 1300), VOILUTFunction="SIGMOID", **tags)
    np.testing.assert_allclose(begins(sigmoid, 3), [0.268941, 0.5, 0.731059], atol=1e-6)


def test_rescale_is_applied_before_the_window(dicom_file: DicomFile) -> None:
    content = dicom_file(
        image_of(0, 500, 550, 700),
        BitsStored=12,
        RescaleSlope=2,
        RescaleIntercept=-1000,
        WindowCenter=200.5,
        WindowWidth=401,
    )
    np.testing.assert_allclose(begins(content, 4), [0, 0, 0.25, 1], atol=1e-6)


def test_negative_rescale_slope_inverts_the_values(dicom_file: DicomFile) -> None:
    pixels = read_radiograph(dicom_file(RAMP_12, BitsStored=12, RescaleSlope=-1, RescaleIntercept=4095)).pixels
    assert (pixels[0, 0], pixels[-1, -1]) == (1, 0)


def test_voi_lut_takes_precedence_over_the_window(dicom_file: DicomFile) -> None:
    content = dicom_file(
        image_of(5, 10, 11, 12, 13, 100),
        VOILUTSequence=[lut(10, 8, [0, 51, 102, 204]), lut(0, 8, [255, 0])],
        WindowCenter=50,
        WindowWidth=100,
    )
    np.testing.assert_allclose(begins(content, 6), [0, 0, 0.2, 0.4, 0.8, 0.8], atol=1e-6)


def test_eight_bit_voi_lut_longer_than_its_depth(dicom_file: DicomFile) -> None:
    data = (np.arange(4096) // 16).astype("<u2").tobytes()
    content = dicom_file(image_of(0, 1600, 4095), BitsStored=12, VOILUTSequence=[lut(0, 8, data)])
    np.testing.assert_allclose(begins(content, 3), [0, 100 / 255, 1], atol=1e-6)


def test_modality_lut_is_applied_before_the_window(dicom_file: DicomFile) -> None:
    content = dicom_file(
        image_of(0, 100, 101, 102, 103),
        ModalityLUTSequence=[lut(100, 16, [1000, 1100, 1400, 4000])],
        WindowCenter=1200.5,
        WindowWidth=401,
    )
    np.testing.assert_allclose(begins(content, 5), [0, 0, 0.25, 1, 1], atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    centre=st.integers(-3000, 5000),
    width=st.integers(2, 6000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    signed=st.booleans(),
)
def test_windows_equal_pydicom(dicom_file: DicomFile, centre: int, width: int, function: str, signed: bool) -> None:
    stored = RAMP_12.astype(np.int16) - 2048 if signed else RAMP_12
    content = dicom_file(stored, BitsStored=12, WindowCenter=centre, WindowWidth=width, VOILUTFunction=function)
    dataset = pydicom.dcmread(BytesIO(content))
    reference = (apply_voi_lut(dataset.pixel_array, dataset) + (2048 if signed else 0)) / 4095
    shown = (reference > 0.001) & (reference < 0.999)
    if shown.mean() > 0.11 and np.ptp(reference) > 0.25:  # a window that shows less is not followed
        np.testing.assert_allclose(read_radiograph(content).pixels, reference, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_every_bit_depth_covers_0_to_1(dicom_file: DicomFile, bits: int, signed: bool) -> None:
    top = 2**bits - 1
    ramp = np.linspace(0, top, 64 * 48).round().reshape(64, 48)
    low = -(2 ** (bits - 1)) if signed else 0
    stored = (ramp + low).astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    content = dicom_file(stored, BitsStored=bits, WindowCenter=low + 2 ** (bits - 1), WindowWidth=2**bits)
    radiograph = read_radiograph(content)
    np.testing.assert_allclose(radiograph.pixels, ramp / top, atol=1e-6)
    assert radiograph.provenance.bits == bits


def test_bits_outside_bits_stored_are_ignored(dicom_file: DicomFile) -> None:
    tags = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}
    with_overlay = RAMP_12 | (np.arange(RAMP_12.size, dtype=np.uint16).reshape(RAMP_12.shape) % 2 << 14)
    np.testing.assert_allclose(read_radiograph(dicom_file(with_overlay, **tags)).pixels, RAMP_12 / 4095, atol=1e-6)
    left_aligned = dicom_file(RAMP_12 << 4, HighBit=15, **tags)
    np.testing.assert_allclose(read_radiograph(left_aligned).pixels, RAMP_12 / 4095, atol=1e-6)


def test_percentiles_are_used_without_a_window(dicom_file: DicomFile) -> None:
    stored = np.random.default_rng(0).gamma(2, 300, (100, 100)).clip(0, 4095).astype(np.uint16)
    stored[0, :20] = 4095  # a lead marker must not darken the rest
    low, high = np.percentile(stored, [0.5, 99.5], method="inverted_cdf")
    expected = np.clip((stored - float(low)) / (float(high) - float(low)), 0, 1)
    np.testing.assert_allclose(read_radiograph(dicom_file(stored, BitsStored=12)).pixels, expected, atol=1e-6)


def test_padding_is_excluded_from_the_percentiles(dicom_file: DicomFile) -> None:
    stored = RAMP_12 // 8 + 1000
    padded = np.vstack([np.zeros((32, 48), np.uint16), stored])
    padding = {"PixelPaddingValue": 0, "BitsStored": 12}
    expected = read_radiograph(dicom_file(stored, BitsStored=12)).pixels
    np.testing.assert_allclose(read_radiograph(dicom_file(padded, **padding)).pixels[32:], expected, atol=1e-6)


@pytest.mark.parametrize(("centre", "width"), [(60000, 100), (2000, 0), (2000, -5), ("", "")])
def test_unusable_window_falls_back_to_percentiles(dicom_file: DicomFile, centre: object, width: object) -> None:
    expected = read_radiograph(dicom_file(RAMP_12, BitsStored=12))
    radiograph = read_radiograph(dicom_file(RAMP_12, BitsStored=12, WindowCenter=centre, WindowWidth=width))
    assert radiograph.sha256 == expected.sha256


def test_blank_image_is_read(dicom_file: DicomFile) -> None:
    assert np.ptp(read_radiograph(dicom_file(image_of(700))).pixels) == 0


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_transfer_syntaxes_give_the_same_pixels(dicom_file: DicomFile, syntax: str, dtype: type) -> None:
    stored = (RAMP_12 >> 4).astype(dtype) if dtype == np.uint8 else RAMP_12.astype(dtype) - 2000 * (dtype == np.int16)
    tags = {"WindowCenter": 100, "WindowWidth": 150}
    radiograph = read_radiograph(dicom_file(stored.astype(dtype), syntax=syntax, **tags))
    assert radiograph.sha256 == read_radiograph(dicom_file(stored.astype(dtype), **tags)).sha256
    assert radiograph.provenance.transfer_syntax == pydicom.uid.UID(syntax).name


def test_file_without_preamble_or_file_meta_is_read(dicom_file: DicomFile) -> None:
    content = dicom_file(RAMP_12, BitsStored=12)
    dataset_alone = content[content.index(b"\x08\x00\x16\x00UI") :]
    for bare in (content[132:], dataset_alone):
        assert read_radiograph(bare).sha256 == read_radiograph(content).sha256


def test_grey_stored_as_rgb(dicom_file: DicomFile) -> None:
    grey = (RAMP_12 >> 4).astype(np.uint8)
    np.testing.assert_allclose(read_radiograph(dicom_file(np.stack([grey] * 3, axis=-1))).pixels, grey / 255, atol=1e-6)


def test_spacing_tag_precedence(dicom_file: DicomFile) -> None:
    for tags, expected in (
        ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.25, 0.25]}, (0.2, 0.2)),
        ({"ImagerPixelSpacing": [0.25, 0.25]}, (0.25, 0.25)),
        ({"PixelSpacing": [0, 0]}, None),
        ({}, None),
    ):
        assert read_radiograph(dicom_file(RAMP_12, **tags)).spacing_mm == expected


@pytest.mark.parametrize("tags", [{"PixelSpacing": [0.3, 0.2]}, {"PixelAspectRatio": [3, 2]}])
def test_resampling_to_square_pixels_keeps_size_and_position(dicom_file: DicomFile, tags: dict) -> None:
    """A rectangle of 20 x 30 stored pixels keeps its size and position in millimetres."""
    stored = np.zeros((64, 64), np.uint16)
    stored[10:30, 20:50] = 1000
    radiograph = read_radiograph(dicom_file(stored, BitsStored=12, **tags))
    assert radiograph.pixels.shape == (96, 64)
    rows, columns = np.nonzero(radiograph.pixels > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 44, 20, 49)
    assert any("64 x 96" in change for change in radiograph.provenance.changes)
    if "PixelSpacing" in tags:
        assert radiograph.spacing_mm == pytest.approx((0.2, 0.2))


def test_no_identifying_value_is_returned_or_logged(
    dicom_file: DicomFile, caplog: pytest.LogCaptureFixture, capfd
) -> None:
    secret = "Zzdoe^"  # no valid code, date or UID: pydicom quotes such values in a warning
    names = ("PatientName", "PatientID", "InstitutionName", "ReferringPhysicianName", "AccessionNumber", "StudyID")
    odd = ("PatientBirthDate", "StudyDate", "PatientAge", "StudyInstanceUID", "PatientComments")
    read = ("ViewPosition", "BodyPartExamined", "StudyDescription")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = dicom_file(RAMP_12, BitsStored=12, **dict.fromkeys((*names, *odd, *read), secret))
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        radiograph = read_radiograph(content)
        with pytest.raises(InputError) as refusal:
            read_radiograph(content[:-100])
    logging.getLogger("pydicom").warning("%s is no valid value", secret)
    written = [repr(radiograph), repr(vars(radiograph)), str(refusal.value), caplog.text, *capfd.readouterr()]
    assert secret not in "".join([*written, *(str(warning.message) for warning in caught)])
    assert secret.encode() in content and secret.encode() not in pickle.dumps(radiograph)
    assert radiograph.provenance.removed_tags >= len(names) + len(odd)


def test_removed_tags_are_counted(dicom_file: DicomFile) -> None:
    without = read_radiograph(dicom_file(RAMP_12)).provenance.removed_tags
    named = read_radiograph(dicom_file(RAMP_12, PatientName="A^B", PatientSex="F", ViewPosition="PA"))
    assert named.provenance.removed_tags == without + 2


@pytest.mark.parametrize(
    ("tags", "cause"),
    [
        ({"Modality": "CT"}, "modality CT"),
        ({"Modality": "MR"}, "modality MR"),
        ({"Modality": None, "SOPClassUID": CTImageStorage}, "CT Image Storage"),
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"Rows": 20000, "Columns": 10000}, "too large: 10000 x 20000"),
        ({"Rows": 8, "Columns": 8}, "too small: 8 x 8"),
        ({"Rows": 65, "Columns": 48}, "damaged"),
        ({"Rows": None}, "incomplete"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "32 bits"),
        ({"PixelSpacing": [1000, 0.001]}, "cannot be"),
    ],
)
def test_invalid_file_is_refused(dicom_file: DicomFile, tags: dict, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        read_radiograph(dicom_file(RAMP_12, **tags))


def test_file_without_pixel_data_is_refused(dicom_file: DicomFile) -> None:
    dataset = pydicom.dcmread(BytesIO(dicom_file(RAMP_12)))
    del dataset.PixelData
    file = BytesIO()
    dataset.save_as(file)
    with pytest.raises(InputError, match="no pixel data"):
        read_radiograph(file.getvalue())


def test_colour_is_refused(dicom_file: DicomFile) -> None:
    with pytest.raises(InputError, match="colour picture"):
        read_radiograph(dicom_file(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
@settings(deadline=None, max_examples=25)
@given(share=st.floats(0.01, 0.99))
def test_truncated_file_is_refused(dicom_file: DicomFile, syntax: str, share: float) -> None:
    content = dicom_file(RAMP_12, syntax=syntax)
    with pytest.raises(InputError):
        read_radiograph(content[: int(share * (len(content) - 8))])


@settings(deadline=None, max_examples=25)
@given(noise=st.binary(min_size=1, max_size=400))
def test_noise_after_the_preamble_is_refused(noise: bytes) -> None:
    with pytest.raises(InputError):
        read_radiograph(b"\0" * 128 + b"DICM" + noise)


def test_real_chest_equals_pydicom(shared_data: Path) -> None:
    path = shared_data / "dicom" / "chest_pa_monochrome1_jpeg2000.dcm"
    radiograph = read_radiograph(path)
    dataset = pydicom.dcmread(path)
    reference = 1 - np.clip((dataset.pixel_array - 14999.5) / 29999 + 0.5, 0, 1)
    np.testing.assert_allclose(radiograph.pixels, reference, atol=1e-6)
    height, width = radiograph.pixels.shape
    spine, lung = radiograph.pixels[height // 2, width // 2], radiograph.pixels[height // 3, width // 4]
    assert spine > lung
    assert (radiograph.view, radiograph.spacing_mm) == ("frontal", None)  # its PixelSpacing is 0
    assert radiograph.provenance.photometric == "MONOCHROME1"
    assert b"CompressedSamples" not in pickle.dumps(radiograph)


def test_real_tibia_is_refused(shared_data: Path) -> None:
    with pytest.raises(InputError, match="not a chest X-ray: the DICOM tag BodyPartExamined"):
        read_radiograph(shared_data / "dicom" / "tibia_not_a_chest.dcm")

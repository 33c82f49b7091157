"""Further headers that contradict the pixels, beside pydicom's own reading of a right header or a computed truth."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_voi_lut
from pydicom.uid import JPEG2000Lossless, RLELossless

from rrg.data.radiographs import Radiograph, read_radiograph
from rrg.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

DicomFile = Callable[..., bytes]

_Y, _X = np.mgrid[-1:1:96j, -1:1:80j]
CHEST = (0.5 + 0.5 * np.cos(3 * _X) * np.sin(2 * _Y + 0.7)).clip(0, 1)
"""A smooth image that covers [0, 1]."""
CHEST_12 = np.rint(CHEST * 4095).astype(np.uint16)
FULL_12 = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}


def lut(first: int, bits: int, data: bytes | list[int], number: int | None = None, vr: str = "US") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(data) if number is None else number, first, bits])
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    return item


def assert_shows(content: bytes, expected: np.ndarray, *changes: str, atol: float = 0.002) -> Radiograph:
    radiograph = read_radiograph(content)
    np.testing.assert_allclose(radiograph.pixels, expected, atol=atol)
    for change in changes:
        assert any(change in entry for entry in radiograph.provenance.changes), radiograph.provenance.changes
    return radiograph


# (A) The header is checked against the data.

CURVE = np.rint(4095 * np.linspace(0, 1, 4096) ** 1.5)


def by_pydicom(dicom_file: DicomFile, stored: np.ndarray, top: int, **tags) -> np.ndarray:
    """Pixels of a file with a right header, as pydicom shows them."""
    dataset = pydicom.dcmread(BytesIO(dicom_file(stored, **tags)))
    return apply_voi_lut(dataset.pixel_array, dataset) / top


@pytest.mark.parametrize(("stated", "shown"), [(12, None), (13, "12 bits, not 13"), (16, "12 bits, not 16"), (8, None)])
def test_depth_of_a_voi_lut_is_that_of_its_entries(dicom_file: DicomFile, stated: int, shown: str | None) -> None:
    data = CURVE.astype("<u2").tobytes()
    right = by_pydicom(dicom_file, CHEST_12, 4095, BitsStored=12, VOILUTSequence=[lut(0, 12, data, 4096)])
    content = dicom_file(CHEST_12, BitsStored=12, VOILUTSequence=[lut(0, stated, data, 4096)])
    assert_shows(content, right, "VOI LUT applied", *filter(None, [shown]))


def test_voi_lut_that_lacks_its_last_entry_keeps_16_bit_entries(dicom_file: DicomFile) -> None:
    data = (CURVE * 16)[:-1].astype("<u2").tobytes()
    content = dicom_file(CHEST_12, BitsStored=12, VOILUTSequence=[lut(0, 16, data, 4096)])
    assert_shows(content, CURVE[CHEST_12.clip(0, 4094)] * 16 / 65535, "VOI LUT applied")


def test_voi_lut_of_packed_bytes(dicom_file: DicomFile) -> None:
    data = (CURVE[:4095] // 16).astype(np.uint8).tobytes() + b"\0"
    content = dicom_file(CHEST_12, BitsStored=12, VOILUTSequence=[lut(0, 8, data, 4095)])
    assert_shows(content, CURVE[CHEST_12.clip(0, 4094)] // 16 / 255, "VOI LUT applied")


@pytest.mark.parametrize(("first", "vr"), [(-2048, "SS"), (63488, "US")])
def test_first_value_of_a_voi_lut_for_signed_pixels(dicom_file: DicomFile, first: int, vr: str) -> None:
    data = CURVE.astype("<u2").tobytes()
    item = lut(first, 12, data, 4096, vr)
    content = dicom_file(CHEST_12.astype(np.int16) - 2048, BitsStored=12, VOILUTSequence=[item])
    assert_shows(content, CURVE[CHEST_12] / 4095, "VOI LUT applied")


def test_voi_lut_that_shows_nothing_gives_way_to_the_next_and_then_the_window(dicom_file: DicomFile) -> None:
    constant, right = lut(0, 12, [700] * 4096), lut(0, 12, [int(entry) for entry in CURVE])
    content = dicom_file(CHEST_12, VOILUTSequence=[constant, right], **FULL_12)
    assert_shows(content, CURVE[CHEST_12] / 4095, "VOI LUT ignored, for it would leave nothing", "VOI LUT applied")
    content = dicom_file(CHEST_12, VOILUTSequence=[constant], **FULL_12)
    assert_shows(content, CHEST, "VOI LUT ignored", "window applied")


def test_modality_lut_that_misses_the_pixels_is_ignored(dicom_file: DicomFile) -> None:
    content = dicom_file(CHEST_12, ModalityLUTSequence=[lut(20000, 16, [1, 2, 3, 4])], **FULL_12)
    assert_shows(content, CHEST, "modality LUT ignored", "window applied")


@pytest.mark.parametrize(
    ("centre", "width", "cause"),
    [(128, 256, "would clip 9"), (32768, 65536, "more bits than"), (16384, 32768, "more bits than")],
)
def test_window_for_another_depth_is_ignored(dicom_file: DicomFile, centre: int, width: int, cause: str) -> None:
    stored = np.rint(100 + CHEST * 3900).astype(np.uint16)
    radiograph = read_radiograph(dicom_file(stored, BitsStored=12, WindowCenter=centre, WindowWidth=width))
    assert any("window ignored" in entry and cause in entry for entry in radiograph.provenance.changes)
    assert np.ptp(radiograph.pixels) > 0.85
    assert len(np.unique(radiograph.pixels)) > 1000


def test_second_window_is_used_where_the_first_cannot_be_right(dicom_file: DicomFile) -> None:
    content = dicom_file(CHEST_12, BitsStored=12, WindowCenter=["9000", "2048"], WindowWidth=["100", "4096"])
    assert_shows(content, CHEST, "window ignored", "window applied: centre 2048")


@pytest.mark.parametrize("width", [60_000, 200_000])
def test_window_that_uses_little_of_the_grey_scale_is_ignored(dicom_file: DicomFile, width: int) -> None:
    stored = CHEST_12 + np.uint16(40_000)
    content = dicom_file(stored, BitsStored=16, WindowCenter=40_000, WindowWidth=width)
    expected = read_radiograph(dicom_file(stored, BitsStored=16)).pixels
    assert_shows(content, expected, "window ignored, for it")


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_export_to_8_bits_with_the_window_of_more(dicom_file: DicomFile, bits: int) -> None:
    stored = np.rint(CHEST * 255).astype(np.uint8)
    content = dicom_file(stored, WindowCenter=2 ** (bits - 1), WindowWidth=2**bits)
    assert_shows(content, stored / 255, "window ignored", "as they were exported")


def test_bits_stored_too_small_for_signed_values(dicom_file: DicomFile) -> None:
    stored = np.rint(CHEST * 16383 - 8192).astype(np.int16)
    content = dicom_file(stored, BitsStored=12, WindowCenter=0, WindowWidth=16384)
    radiograph = assert_shows(content, CHEST, "BitsStored 12 ignored, for the values have 14 bits")
    assert radiograph.provenance.bits == 14


@pytest.mark.parametrize("signed", [False, True])
def test_wrong_signedness_is_found_by_the_jumps_that_it_makes(dicom_file: DicomFile, signed: bool) -> None:
    """Values are 0 to 4095, stated as signed; or -2048 to 2047, stated as unsigned."""
    stored = CHEST_12.astype(np.int16) - (0 if signed else 2048)
    tags = {**FULL_12, "WindowCenter": 2048 if signed else 0}
    content = dicom_file(stored, **tags | {"PixelRepresentation": int(signed)})
    assert_shows(content, CHEST, f"PixelRepresentation {int(signed)} ignored")


@pytest.mark.parametrize("tags", [{"BitsStored": None, "HighBit": None}, {"BitsStored": 17, "HighBit": None}])
def test_missing_or_impossible_bits_stored(dicom_file: DicomFile, tags: dict) -> None:
    content = dicom_file(CHEST_12 * 16, BitsStored=16, WindowCenter=32760, WindowWidth=65521)
    dataset = pydicom.dcmread(BytesIO(content))
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    file = BytesIO()
    dataset.save_as(file)
    assert_shows(file.getvalue(), CHEST, "BitsStored")


def test_colour_is_scaled_by_the_bits_of_its_values(dicom_file: DicomFile) -> None:
    for stated in (10, 12):
        content = dicom_file(np.stack([CHEST_12] * 3, axis=-1), BitsStored=stated)
        assert assert_shows(content, CHEST).provenance.bits == 12


def test_colour_picture_of_12_bits_is_refused(dicom_file: DicomFile) -> None:
    hues = np.stack([CHEST_12, CHEST_12[::-1], CHEST_12[:, ::-1] // 3], axis=-1)
    with pytest.raises(InputError, match="colour picture"):
        read_radiograph(dicom_file(hues, BitsStored=12))


# (B) Shape.


def saved(content: bytes, **tags) -> bytes:
    """The file with other tags; None removes a tag."""
    dataset = pydicom.dcmread(BytesIO(content))
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    file = BytesIO()
    dataset.save_as(file)
    return file.getvalue()


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_frames_without_their_number_are_refused(dicom_file: DicomFile, syntax: str) -> None:
    dataset = pydicom.dcmread(BytesIO(dicom_file(CHEST_12, syntax=syntax, BitsStored=16)))
    frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    for has_table in (False, True):
        if has_table:  # an offset table tells the number of frames even where a frame is cut into fragments
            dataset.PixelData = encapsulate([frame, frame, frame], fragments_per_frame=2 - (syntax == RLELossless))
        else:
            dataset.PixelData = encapsulate([frame, frame, frame], has_bot=False)
        dataset["PixelData"].is_undefined_length = True
        file = BytesIO()
        dataset.save_as(file)
        with pytest.raises(InputError, match="3 frames, though it has no NumberOfFrames"):
            read_radiograph(file.getvalue())


def test_samples_per_pixel_decides_on_colour(dicom_file: DicomFile) -> None:
    content = dicom_file(CHEST_12, PhotometricInterpretation="RGB", **FULL_12)
    assert_shows(content, CHEST, "RGB contradicts SamplesPerPixel 1")
    grey = np.rint(CHEST * 255).astype(np.uint8)
    content = dicom_file(np.stack([grey] * 3, axis=-1), PhotometricInterpretation="MONOCHROME2")
    assert_shows(content, grey / 255, "MONOCHROME2 contradicts SamplesPerPixel 3")


@pytest.mark.parametrize("stated", [None, 0])
def test_planes_of_a_grey_picture(dicom_file: DicomFile, stated: int | None) -> None:
    grey = np.rint(CHEST * 255).astype(np.uint8)
    by_plane = np.stack([grey] * 3).reshape(*grey.shape, 3)
    content = dicom_file(by_plane, PlanarConfiguration=stated)
    assert_shows(content, grey / 255, "PlanarConfiguration", "read as 1")


# (C) Padding.


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("low", "tags"),
    [
        (0, {"PixelPaddingValue": 0}),
        (0, {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 90}),
        (0, {"PixelPaddingValue": 90, "PixelPaddingRangeLimit": 0}),
        (65535, {"PixelPaddingValue": 65535}),
    ],
)
def test_padding_is_dark_and_not_part_of_the_scale(
    dicom_file: DicomFile, photometric: str, low: int, tags: dict
) -> None:
    stored = 1000 + CHEST_12 // 2
    padded = np.vstack([np.full((40, 80), low, np.uint16), stored])
    if "PixelPaddingRangeLimit" in tags:
        padded[:40] = np.arange(80) + 11 * (padded[:40] > 0)
    expected = read_radiograph(dicom_file(stored, PhotometricInterpretation=photometric)).pixels
    pixels = read_radiograph(dicom_file(padded, PhotometricInterpretation=photometric, **tags)).pixels
    assert pixels[:40].max() == 0
    np.testing.assert_allclose(pixels[40:], expected, atol=1e-6)


def test_image_that_is_padding_alone_is_read(dicom_file: DicomFile) -> None:
    content = dicom_file(np.full((64, 64), 7, np.uint16), PixelPaddingValue=7)
    assert np.ptp(read_radiograph(content).pixels) == 0


# (D) Polarity.


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("sign", "slope"), [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_sign_decides_on_the_polarity_of_an_image_for_processing(
    dicom_file: DicomFile, photometric: str, sign: int, slope: int
) -> None:
    content = dicom_file(
        4095 - CHEST_12 if sign == 1 else CHEST_12,
        BitsStored=12,
        PresentationIntentType="FOR PROCESSING",
        PixelIntensityRelationshipSign=sign,
        PhotometricInterpretation=photometric,
        RescaleSlope=slope,
        RescaleIntercept=0 if slope == 1 else 4095,
    )
    assert_shows(content, CHEST, f"PixelIntensityRelationshipSign {sign}", atol=0.02)


@pytest.mark.parametrize("sign", [1, -1])
def test_photometric_interpretation_decides_for_presentation(dicom_file: DicomFile, sign: int) -> None:
    tags = {"PresentationIntentType": "FOR PRESENTATION", "PixelIntensityRelationshipSign": sign}
    radiograph = assert_shows(dicom_file(CHEST_12, **FULL_12, **tags), CHEST)
    assert any("Sign 1 ignored" in entry for entry in radiograph.provenance.changes) == (sign == 1)


# (E) Optional tags.


@pytest.mark.parametrize("keyword", ["SamplesPerPixel", "PixelRepresentation", "BitsAllocated", "HighBit"])
def test_missing_tag_with_one_meaning(dicom_file: DicomFile, keyword: str) -> None:
    content = saved(dicom_file(CHEST_12, **FULL_12), **{keyword: None})
    assert_shows(content, CHEST, *([f"{keyword} is missing"] if keyword != "HighBit" else []))


@pytest.mark.parametrize("keyword", ["Rows", "Columns"])
def test_missing_size_is_named(dicom_file: DicomFile, keyword: str) -> None:
    with pytest.raises(InputError, match=f"incomplete: the tag {keyword} is missing"):
        read_radiograph(saved(dicom_file(CHEST_12), **{keyword: None}))

"""Files whose header contradicts the pixels, as reported in public trackers, beside the right values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from rrg.data.radiographs import read_radiograph
from rrg.errors import InputError

LINEAR = np.load(Path(__file__).resolve().parents[2] / "fixtures" / "radiographs" / "truth.npz")["linear"].astype(float)
"""A synthetic radiograph [96, 96] in [0, 1]."""
STORED = np.rint(LINEAR * 4095).astype(np.uint16)
EIGHT = np.rint(LINEAR * 255).astype(np.uint8)
FULL = {"Modality": "DX", "BodyPartExamined": "CHEST", "BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}
TABLE = [int(entry) for entry in np.rint(4095 * np.linspace(0, 1, 4096) ** 1.2)]
CURVE = np.array(TABLE)[STORED] / 4095


def lut(first: int, bits: int, data: list[int], vr: str = "US") -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(data), first, bits])
    item.add_new("LUTData", vr, data)
    return [item]


def padded(background: int, stored: np.ndarray) -> np.ndarray:
    """The image with a border of padding above, left and right."""
    image = np.full_like(stored, background)
    image[12:, 12:-12] = stored[12:, 12:-12]
    return image


SIGNED_TABLE = [(entry * 16 + 2**15) % 2**16 - 2**15 for entry in TABLE]
CASES: dict[str, tuple[np.ndarray, dict, np.ndarray | None]] = {
    "voilut_16declared_12used": (STORED, {"BitsStored": 12, "VOILUTSequence": lut(0, 16, TABLE)}, CURVE),
    "voilut_16declared_8used": (
        STORED,
        {"BitsStored": 12, "VOILUTSequence": lut(0, 16, [entry // 16 for entry in TABLE])},
        CURVE,
    ),
    "voilut_first_40000_as_SS": (
        STORED + np.uint16(40_000),
        {"VOILUTSequence": lut(40_000 - 2**16, 12, list(range(4096)))},
        LINEAR,
    ),
    "voilut_useless_with_window": (STORED, {**FULL, "VOILUTSequence": lut(40_000, 8, list(range(256)))}, LINEAR),
    "lutdata_SS": (STORED, {"BitsStored": 12, "VOILUTSequence": lut(0, 16, SIGNED_TABLE, "SS")}, CURVE),
    "highbit15_but_right_aligned": (STORED, {**FULL, "HighBit": 15}, LINEAR),
    "bitsstored12_values_to_16383": (STORED * 4, {**FULL, "WindowCenter": 8190, "WindowWidth": 16381}, LINEAR),
    "sc_8bit_keeps_12bit_window": (EIGHT, {"WindowCenter": 2048, "WindowWidth": 4096}, LINEAR),
    "dx_for_processing_bone_low": (
        4095 - STORED,
        {"BitsStored": 12, "PresentationIntentType": "FOR PROCESSING", "PixelIntensityRelationshipSign": 1},
        LINEAR,
    ),
    "empty_lut_items": (STORED, {**FULL, "ModalityLUTSequence": [Dataset()], "VOILUTSequence": [Dataset()]}, LINEAR),
    "rgb_12_in_16": (np.stack([STORED] * 3, axis=-1), {"BitsStored": 12}, LINEAR),
    "no_photometric": (STORED, {**FULL, "PhotometricInterpretation": None}, LINEAR),
    "rgb_no_planar": (np.stack([EIGHT] * 3, axis=-1), {"PlanarConfiguration": None}, LINEAR),
    "frames_zero": (STORED, {**FULL, "NumberOfFrames": 0}, LINEAR),
    "modality_DR": (STORED, {**FULL, "Modality": "DR"}, LINEAR),
    "series_poumons_face": (
        STORED,
        {**FULL, "BodyPartExamined": None, "SeriesDescription": "Poumons face"},
        LINEAR,
    ),
    "mono1_padding_border": (
        padded(0, 3437 - STORED // 2),
        {**FULL, "PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0},
        None,
    ),
    "padding_US_in_signed": (
        padded(-2000, STORED.astype(np.int16) // 4),
        {"PixelPaddingValue": -2000},
        None,
    ),
    "three_frames_no_NumberOfFrames": (np.vstack([STORED] * 3), {**FULL, "Rows": 96}, None),
    "bitsallocated8_data16": (STORED, {**FULL, "BitsAllocated": 8, "BitsStored": 8}, None),
}
"""Name of the report: stored values, tags, right pixels."""


@pytest.fixture
def case(dicom_file: Callable[..., bytes]) -> Callable[[str], bytes]:
    def build(name: str) -> bytes:
        stored, tags, _ = CASES[name]
        content = dicom_file(stored, **tags)
        return content.replace(b"\x28\0\x20\1SS", b"\x28\0\x20\1US")  # PixelPaddingValue -2000 becomes 63536

    return build


@pytest.mark.parametrize("name", [name for name, (_, _, expected) in CASES.items() if expected is not None])
def test_pixels_equal_the_truth(case: Callable[[str], bytes], name: str) -> None:
    np.testing.assert_allclose(read_radiograph(case(name)).pixels, CASES[name][2], atol=0.005)


def test_files_of_the_reports_equal_the_truth() -> None:
    folder = Path(__file__).resolve().parents[4] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("needs cases beside the checkout (../shared/cases), which is absent")
    truth = np.load(folder / "truth.npz")
    for name in truth:
        path = folder / name if name.endswith(".png") else folder / "dicom" / name
        np.testing.assert_allclose(read_radiograph(path).pixels, truth[name].astype(float), atol=0.02, err_msg=name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("voilut_16declared_12used", "entries have 12 bits, not 16"),
        ("voilut_useless_with_window", "VOI LUT ignored, for it would leave nothing visible"),
        ("highbit15_but_right_aligned", "HighBit 15 ignored"),
        ("bitsstored12_values_to_16383", "BitsStored 12 ignored"),
        ("sc_8bit_keeps_12bit_window", "window ignored, for it is for more bits"),
        ("dx_for_processing_bone_low", "inverted by PixelIntensityRelationshipSign 1"),
        ("empty_lut_items", "VOI LUT ignored, for its item is empty"),
        ("no_photometric", "PhotometricInterpretation is missing"),
        ("rgb_no_planar", "PlanarConfiguration is missing"),
        ("mono1_padding_border", "padding shown as black"),
    ],
)
def test_correction_is_recorded(case: Callable[[str], bytes], name: str, change: str) -> None:
    changes = read_radiograph(case(name)).provenance.changes
    assert any(change in entry for entry in changes), changes


@pytest.mark.parametrize(
    ("name", "cause"),
    [("three_frames_no_NumberOfFrames", "3 frames.*no NumberOfFrames"), ("bitsallocated8_data16", "BitsAllocated")],
)
def test_contradictory_file_is_refused_by_name(case: Callable[[str], bytes], name: str, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        read_radiograph(case(name))


@pytest.mark.parametrize("name", ["mono1_padding_border", "padding_US_in_signed"])
def test_padding_border_is_black_and_not_part_of_the_scale(case: Callable[[str], bytes], name: str) -> None:
    pixels = read_radiograph(case(name)).pixels
    border = np.ones(pixels.shape, bool)
    border[12:, 12:-12] = False
    anatomy = LINEAR[12:-12, 12:-12]
    assert pixels[border].max() == 0
    assert np.corrcoef(pixels[12:-12, 12:-12].ravel(), anatomy.ravel())[0, 1] > 0.99
    assert np.ptp(pixels[12:-12, 12:-12]) > 0.4 * np.ptp(anatomy)


def test_frontal_view_in_french(case: Callable[[str], bytes]) -> None:
    assert read_radiograph(case("series_poumons_face")).view == "frontal"

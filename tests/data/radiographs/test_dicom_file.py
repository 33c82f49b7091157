"""Parsing of DICOM files: deflated files, bounds on parts and lengths, and the tag that is named."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from rrg.data.radiographs import read_radiograph
from rrg.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

DicomFile = Callable[..., bytes]

RAMP = np.linspace(0, 4095, 64 * 48).astype(np.uint16).reshape(64, 48)
TAGS = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}
SEQUENCE = struct.pack("<HH2sHI", 8, 0x2218, b"SQ", 0, 0xFFFFFFFF)
ITEM = b"\xfe\xff\x00\xe0"


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value


def with_elements(content: bytes, elements: bytes) -> bytes:
    """Put elements of a group before 0028 before the image's."""
    at = content.index(b"\x28\0\x02\0US")
    return content[:at] + elements + content[at:]


# Files deflated as a whole


def test_deflated_file_is_read(dicom_file: DicomFile) -> None:
    content = dicom_file(RAMP, syntax=DeflatedExplicitVRLittleEndian, **TAGS)
    assert len(content) < 0.9 * len(dicom_file(RAMP, **TAGS))
    radiograph = read_radiograph(content)
    assert radiograph.sha256 == read_radiograph(dicom_file(RAMP, **TAGS)).sha256
    assert radiograph.provenance.transfer_syntax == "Deflated Explicit VR Little Endian"


def test_transfer_syntax_behind_many_elements_is_found(dicom_file: DicomFile) -> None:
    content = dicom_file(RAMP, syntax=DeflatedExplicitVRLittleEndian, **TAGS)
    private = element(2, 0x102, b"OB", b"\0" * 4000) * 5
    assert read_radiograph(content[:132] + private + content[132:]).pixels.shape == RAMP.shape


def test_inflated_size_is_limited(dicom_file: DicomFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The meta information is that of a deflated file; 300 MiB of zeros follow as a private element."""
    content = dicom_file(RAMP, syntax=DeflatedExplicitVRLittleEndian)
    dataset = pydicom.dcmread(BytesIO(content))
    start = 144 + dataset.file_meta.FileMetaInformationGroupLength
    deflater = zlib.compressobj(wbits=-15)
    bomb = deflater.compress(struct.pack("<HH2sHI", 9, 0x1001, b"OB", 0, 300 * 2**20))
    bomb += b"".join(deflater.compress(bytes(2**20)) for _ in range(300)) + deflater.flush()
    assert len(bomb) < 2**20
    with pytest.raises(InputError, match="too large: more than 272 MB"):
        read_radiograph(content[:start] + bomb)


def test_damaged_deflated_file_is_refused(dicom_file: DicomFile) -> None:
    content = dicom_file(RAMP, syntax=DeflatedExplicitVRLittleEndian)
    with pytest.raises(InputError, match="damaged"):
        read_radiograph(content[: len(content) // 2] + b"\xff" * 200)


# Bounds


def test_number_of_elements_is_limited(dicom_file: DicomFile) -> None:
    content = dicom_file(RAMP)
    few = b"".join(element(9, number, b"OB", b"") for number in range(0x1000, 0x4000))
    assert read_radiograph(with_elements(content, few)).provenance.removed_tags > 0x2000
    many = b"".join(struct.pack("<HH2sH", 9 + 2 * (n >> 16), n & 0xFFFF, b"LO", 0) for n in range(250_000))
    with pytest.raises(InputError, match="too many parts before its pixels"):
        read_radiograph(with_elements(content, many))


def test_number_of_items_is_limited(dicom_file: DicomFile) -> None:
    items = SEQUENCE + (ITEM + bytes(4)) * 250_000 + b"\xfe\xff\xdd\xe0" + bytes(4)
    with pytest.raises(InputError, match="too many parts before its pixels"):
        read_radiograph(with_elements(dicom_file(RAMP), items))


def test_deep_sequences_are_refused_by_name(dicom_file: DicomFile) -> None:
    nested = (SEQUENCE + ITEM + b"\xff" * 4) * 1000
    with pytest.raises(InputError, match="nests sequences too deeply"):
        read_radiograph(with_elements(dicom_file(RAMP), nested))


@pytest.mark.parametrize(
    ("element_of", "keyword"),
    [
        (element(0x28, 0x1050, b"UN", b"1\\" * 60_000), "WindowCenter"),
        (element(0x28, 0x3010, b"SQ", (ITEM + bytes(4)) * 100_000), "VOILUTSequence"),
        (element(0x08, 0x103E, b"UT", b"CHEST " * 20_000), "SeriesDescription"),
    ],
)
def test_overlong_value_is_refused_by_its_tag(dicom_file: DicomFile, element_of: bytes, keyword: str) -> None:
    with pytest.raises(InputError, match=f"The tag {keyword} of this DICOM file has [0-9,]+ bytes"):
        read_radiograph(with_elements(dicom_file(RAMP), element_of))


def test_many_windows_that_cannot_be_right(dicom_file: DicomFile) -> None:
    content = dicom_file(RAMP, BitsStored=12)
    values = [struct.pack("<HH2sH", 0x28, number, b"DS", 60_000) + b"9\\" * 30_000 for number in (0x1050, 0x1051)]
    changes = read_radiograph(content.replace(b"\xe0\x7f\x10\0OW", b"".join(values) + b"\xe0\x7f\x10\0OW", 1))
    assert 10 < sum("window ignored" in change for change in changes.provenance.changes) < 20


def test_many_voi_luts_that_cannot_be_right(dicom_file: DicomFile) -> None:
    item = ITEM + bytes(4)
    sequence = element(0x28, 0x3010, b"SQ", item * 1000)
    content = dicom_file(RAMP, **TAGS).replace(b"\xe0\x7f\x10\0OW", sequence + b"\xe0\x7f\x10\0OW", 1)
    radiograph = read_radiograph(content)
    assert 10 < sum("VOI LUT ignored" in change for change in radiograph.provenance.changes) < 20


# What is named


@pytest.mark.parametrize("keyword", ["Modality", "PhotometricInterpretation"])
def test_name_in_a_mangled_code_is_not_quoted(dicom_file: DicomFile, keyword: str) -> None:
    with pytest.raises(InputError, match=r"\(unknown\)") as refusal:
        read_radiograph(dicom_file(RAMP, **{keyword: "ZZDOE^JOHN"}))
    assert "DOE" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\x08\0\x60\0CS\2\0CR"])
def test_file_without_an_image_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="no pixel data"):
        read_radiograph(content)


def test_pixel_data_of_a_wrong_kind_are_refused_by_name(dicom_file: DicomFile) -> None:
    content = dicom_file(RAMP).replace(b"\xe0\x7f\x10\0OW", b"\xe0\x7f\x10\0UT", 1)
    with pytest.raises(InputError, match="The tag PixelData of this DICOM file cannot be read"):
        read_radiograph(content)


def test_cut_off_pixels_are_named(dicom_file: DicomFile) -> None:
    with pytest.raises(InputError, match="damaged: its pixels are cut off after 6,100 of 6,144 bytes"):
        read_radiograph(dicom_file(RAMP)[:-44])


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"])
def test_transfer_syntax_that_contradicts_the_pixels_is_named(dicom_file: DicomFile, syntax: str) -> None:
    native, compressed = b"1.2.840.10008.1.2.1\0", (syntax + "\0" * (len(syntax) % 2)).encode()
    length = struct.pack("<H", len(compressed))
    stated = dicom_file(RAMP).replace(b"UI\x14\0" + native, b"UI" + length + compressed, 1)
    with pytest.raises(InputError, match="are not compressed so, or are damaged"):
        read_radiograph(stated)
    stated = dicom_file(RAMP, syntax=syntax).replace(b"UI" + length + compressed, b"UI\x14\0" + native, 1)
    with pytest.raises(InputError, match="are compressed, though its transfer syntax is Explicit VR Little Endian"):
        read_radiograph(stated)

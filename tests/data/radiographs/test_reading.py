"""Entry point for image files: detection of the format, view argument, and the hash of the pixels."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rrg.data.radiographs import read_radiograph
from rrg.errors import InputError

CHEST_LIKE = (np.hypot(*np.mgrid[-1:1:48j, -1:1:64j]) / 1.5 * 255).astype(np.uint8)


def encode(image: np.ndarray, format: str = "PNG", **options) -> bytes:
    file = BytesIO()
    Image.fromarray(image).save(file, format, **options)
    return file.getvalue()


def test_the_format_is_detected_by_content(tmp_path: Path, dicom_file: Callable[..., bytes]) -> None:
    for name, content in (
        ("really_png.jpg", encode(CHEST_LIKE)),
        ("really_jpeg.dcm", encode(CHEST_LIKE, "JPEG")),
        ("really_dicom.png", dicom_file(CHEST_LIKE)),
        ("no_suffix", dicom_file(CHEST_LIKE)),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        expected = read_radiograph(content)
        for source in (path, str(path)):
            radiograph = read_radiograph(source)
            assert radiograph.sha256 == expected.sha256
            assert radiograph.provenance.format == expected.provenance.format


def test_view_argument_sets_the_view() -> None:
    assert read_radiograph(encode(CHEST_LIKE), view="lateral").view == "lateral"
    with pytest.raises(InputError, match="frontal, lateral"):
        read_radiograph(encode(CHEST_LIKE), view="sideways")  # type: ignore[arg-type]


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        read_radiograph(tmp_path / "absent.png")
    with pytest.raises(InputError, match="not a file"):
        read_radiograph(tmp_path)


def test_length_of_a_file_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(CHEST_LIKE)
    (tmp_path / "chest.png").write_bytes(content)
    monkeypatch.setattr("rrg.data.radiographs.reading._MAX_BYTES", len(content) - 1)
    for source in (content, tmp_path / "chest.png"):
        with pytest.raises(InputError, match="larger than"):
            read_radiograph(source)


def test_hash_depends_on_the_pixels_alone() -> None:
    same = read_radiograph(encode(CHEST_LIKE)), read_radiograph(encode(CHEST_LIKE, "WEBP", lossless=True))
    assert same[0].sha256 == same[1].sha256
    changed = CHEST_LIKE.copy()
    changed[0, 0] ^= 1
    assert read_radiograph(encode(changed)).sha256 != same[0].sha256

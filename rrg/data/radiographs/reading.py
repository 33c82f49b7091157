"""Read a radiograph from a file or its bytes: detect the format by content and call the reader of that format."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from rrg.data.radiographs.radiograph import MAX_DECODED_BYTES, Radiograph, View
from rrg.errors import InputError

_MAX_BYTES = MAX_DECODED_BYTES + 16 * 2**20
"""Size limit of a file: the largest uncompressed pixels and a header."""


def read_radiograph(source: str | Path | bytes, *, view: View | None = None) -> Radiograph:
    """Read a radiograph from a PNG, JPEG, WebP or DICOM file.

    The format is detected by the content; the file name is ignored. The pixels are those a viewer would show, and no
    text of the file (names, dates, ids) is returned.

    Args:
        source: path of the file, or its content.
        view: view of the radiograph. Without it the view is read from the DICOM tags, or is "unknown".

    Returns:
        float32 pixels [H, W] in [0, 1], bone bright, with view, spacing and provenance.

    Raises:
        InputError: the file cannot be read or is no chest radiograph; the message names the cause and the remedy.
    """
    # Here: OpenCV and pydicom take a quarter of a second, and the app shows its page before it reads an image.
    from rrg.data.radiographs.dicom import is_dicom, read_dicom
    from rrg.data.radiographs.pictures import picture_format, read_picture

    if view is not None and view not in get_args(View):
        raise InputError(f"The view {view!r} is not known. Use one of {', '.join(get_args(View))}, or leave it out.")
    data = source if isinstance(source, bytes) else _read_file(Path(source))
    if not data:
        raise InputError("This file is empty. Export or download the image again.")
    _check_length(len(data))
    if is_dicom(data):
        return read_dicom(data, view)
    if format := picture_format(data):
        return read_picture(data, format, view)
    raise InputError(
        "This file is not an image that can be read here: its content is neither PNG, JPEG, WebP nor DICOM, whatever "
        "its name says. Export the X-ray in one of these formats."
    )


def _read_file(path: Path) -> bytes:
    try:
        if not path.exists():
            raise InputError(f"There is no file {path}. Check the path.")
        if not path.is_file():
            raise InputError(f"{path} is not a file. Give the path of one image.")
        _check_length(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be opened. Check the path and that you may read the file.") from error


def _check_length(length: int) -> None:
    if length > _MAX_BYTES:
        raise InputError(f"This file is larger than {_MAX_BYTES // 2**20} MB. Choose a single chest X-ray.")

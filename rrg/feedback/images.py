"""Images of corrected studies: one PNG file for each content, of the pixels alone."""

from __future__ import annotations

import io
import re
from pathlib import Path

from PIL import Image

from rrg.errors import InputError
from rrg.feedback.files import private_file

MODES = ("L", "I;16", "RGB")


def keep_image(folder: Path, sha256: str, png: bytes) -> Path:
    """Write the pixels of a PNG file to `<sha256>.png` and return its path. A file that is there stays.

    Texts, times, profiles and whatever else the file carries are left out.

    Args:
        folder: is created when missing, for its owner alone.
        sha256: SHA-256 of the content in hex, as `Radiograph.sha256`.
        png: in grey of 8 or 16 bits, or RGB.

    Raises:
        InputError: the hash or the image is malformed, or the file cannot be written.
    """
    if re.fullmatch(r"[0-9a-f]{64}", sha256) is None:
        raise InputError("The hash of the image is malformed. Open the study again.")
    file = folder / f"{sha256}.png"
    if file.exists():
        return file
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.mode not in MODES:
                raise InputError(f"An image is kept in grey or RGB, not {image.mode}.")
            pixels = Image.frombytes(image.mode, image.size, image.tobytes())
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("The image is damaged and was not kept. Open the study again.") from error
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(f"The folder {str(folder)!r} for images cannot be made ({error.strerror}).") from error
    with private_file(file, "image") as temporary:
        pixels.save(temporary, format="PNG")
    return file

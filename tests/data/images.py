"""Image files for tests, each identified by a grey value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rrg.data.studies import ImageFile


def write_image(path: Path, grey: int) -> None:
    """Write a picture identified by the grey of its first pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((256, 256), grey, dtype=np.uint8)
    pixels[:, 128:] += np.arange(128, dtype=np.uint8) // 4
    Image.fromarray(pixels).save(path)


def grey_of(study_image: Any) -> int:
    radiograph = study_image.read() if isinstance(study_image, ImageFile) else study_image
    return round(float(radiograph.pixels[0, 0]) * 255)

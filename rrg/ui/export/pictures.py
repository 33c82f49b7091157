"""Pictures of radiographs and of maps over them, as files without metadata."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rrg.data.radiographs import Radiograph
from rrg.explanation.rendering import picture

if TYPE_CHECKING:
    from rrg.explanation.maps import Heatmap

MAX_SIDE = 1024
"""Longer side in pixels of the picture of a radiograph. The models read the original pixels."""
QUALITY = 88
"""JPEG quality of the picture of a map."""


def radiograph_png(radiograph: Radiograph) -> bytes:
    """The radiograph as an 8-bit grey PNG at its true aspect ratio, at most `MAX_SIDE` pixels long."""
    rows, columns = radiograph.pixels.shape
    row_mm, column_mm = radiograph.spacing_mm or (1.0, 1.0)
    height, width = rows * row_mm, columns * column_mm
    scale = min(MAX_SIDE, max(rows, columns)) / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(np.round(radiograph.pixels * 255).astype(np.uint8))
    return _file(image.resize(size, Image.Resampling.LANCZOS), "PNG", optimize=True)


def map_jpeg(heatmap: Heatmap, radiographs: Sequence[Radiograph]) -> bytes:
    """The radiographs side by side with the map over them, as `rrg.explanation.rendering.picture` paints it."""
    return _file(picture(heatmap, radiographs), "JPEG", quality=QUALITY, subsampling=0)


def _file(image: Image.Image, name: str, **options: int | bool) -> bytes:
    content = io.BytesIO()
    image.save(content, format=name, **options)
    return content.getvalue()

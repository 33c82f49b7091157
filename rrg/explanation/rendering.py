"""Write maps as files: raw values, metadata, and a picture of each map over the radiographs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rrg.data.radiographs import Radiograph
from rrg.explanation.colormaps import COLORMAP

if TYPE_CHECKING:
    from rrg.explanation.maps import Explanation, Heatmap

HEIGHT = 512
"""Height of a picture in pixels."""
OPACITY = 0.65
"""Opacity of the highest value. Lower values are more transparent, so that the anatomy stays visible."""


def write_maps(explanation: Explanation, radiographs: Sequence[Radiograph], out: Path | str) -> int:
    """Write every map to `out`: raw values in maps.npz, metadata in maps.json, one PNG each. Returns their number."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    values, described = {}, {}
    for key, heatmap in _named(explanation):
        values[key] = heatmap.values
        described[key] = {
            "target": heatmap.target,
            "method": heatmap.method,
            "layer": heatmap.layer,
            "reduction": heatmap.reduction,
            "span": heatmap.span,
            "largest": float(np.nan_to_num(heatmap.values).max()),
        }
        picture(heatmap, radiographs).save(out / f"{key}.png")
    np.savez(out / "maps.npz", **values)  # pyright: ignore[reportArgumentType]  # each is an array
    (out / "maps.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    return len(values)


def _named(explanation: Explanation) -> Iterator[tuple[str, Heatmap]]:
    """The maps by names that are safe as file names."""
    kinds = {
        "word": explanation.words,
        "sentence": explanation.sentences,
        "finding": explanation.findings,
        "native": explanation.native,
    }
    for kind, heatmaps in kinds.items():
        for number, heatmap in enumerate(heatmaps, 1):
            yield f"{kind}-{number:03d}", heatmap


def picture(heatmap: Heatmap, radiographs: Sequence[Radiograph]) -> Image.Image:
    """The radiographs side by side with the map over them; all views share one scale, from 0 to the largest value."""
    values = np.maximum(np.nan_to_num(heatmap.values), 0.0)
    shares = values / (values.max() or 1.0)
    shown = [_overlaid(radiograph, share) for radiograph, share in zip(radiographs, shares, strict=True)]
    sheet = Image.new("RGB", (sum(image.width for image in shown), HEIGHT))
    left = 0
    for image in shown:
        sheet.paste(image, (left, 0))
        left += image.width
    return sheet


def _overlaid(radiograph: Radiograph, share: np.ndarray) -> Image.Image:
    """One radiograph at its true aspect ratio with `share` [h, w] in [0, 1] over it."""
    rows, columns = radiograph.pixels.shape
    row_mm, column_mm = radiograph.spacing_mm or (1.0, 1.0)
    size = (max(1, round(HEIGHT * columns * column_mm / (rows * row_mm))), HEIGHT)
    grey = np.asarray(Image.fromarray(radiograph.pixels.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    fine = np.asarray(Image.fromarray(share.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLORMAP])
    places = np.linspace(0, 1, len(stops))
    coloured = np.stack([np.interp(fine, places, stops[:, channel]) for channel in range(3)], axis=-1)
    alpha = OPACITY * fine[..., None] ** 1.5
    mixed = np.repeat(grey[..., None] * 255, 3, axis=-1) * (1 - alpha) + coloured * alpha
    return Image.fromarray(np.round(mixed).clip(0, 255).astype(np.uint8))

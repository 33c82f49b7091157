"""Colour maps for maps over radiographs. Lightness rises with the value, so the order needs no hue."""

from __future__ import annotations


def _samples(hexes: str) -> tuple[str, ...]:
    return tuple(f"#{color}" for color in hexes.split())


COLORMAP = _samples("550f95 801e94 aa2b8a d03c79 f05560 ff7c4c ffa659 ffcb70 ffed84")
"""Colours from low to high, evenly spaced. OKLCH lightness rises from 0.38 to 0.94 in equal steps."""

COLORMAPS = {
    "Sunset": COLORMAP,
    # 17 samples of the colour maps of matplotlib, which takes too long to import for them.
    "Cividis": _samples(
        "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958"
        " f0d846 fee838"
    ),
    "Viridis": _samples(
        "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30"
        " d8e219 fde725"
    ),
    "Inferno": _samples(
        "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35"
        " f2ea69 fcffa4"
    ),
}
"""The colour maps that the app offers, by name; the first is the default."""

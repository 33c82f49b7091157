"""Names and typical boxes of the 29 anatomical regions of a frontal chest radiograph.

Names and order are those of Chest ImaGenome (Wu et al. 2021) in the version of SGRRG. Left is the patient's left, at
the right of the image. The boxes fit an upright adult whose chest fills the image.
Boxes of a detector are more accurate.
"""

from __future__ import annotations

_ATLAS: dict[str, tuple[float, float, float, float]] = {
    "left lung": (0.52, 0.10, 0.93, 0.82),
    "right lung": (0.07, 0.10, 0.48, 0.80),
    "cardiac silhouette": (0.37, 0.46, 0.76, 0.80),
    "mediastinum": (0.35, 0.10, 0.68, 0.80),
    "left lower lung zone": (0.54, 0.57, 0.93, 0.82),
    "right lower lung zone": (0.07, 0.57, 0.46, 0.80),
    "right hilar structures": (0.29, 0.36, 0.45, 0.57),
    "left hilar structures": (0.55, 0.34, 0.71, 0.55),
    "upper mediastinum": (0.37, 0.10, 0.63, 0.40),
    "left costophrenic angle": (0.81, 0.73, 0.94, 0.86),
    "right costophrenic angle": (0.06, 0.71, 0.19, 0.84),
    "left mid lung zone": (0.55, 0.36, 0.92, 0.57),
    "right mid lung zone": (0.08, 0.36, 0.45, 0.57),
    "aortic arch": (0.50, 0.27, 0.63, 0.40),
    "right upper lung zone": (0.14, 0.16, 0.45, 0.36),
    "left upper lung zone": (0.55, 0.16, 0.86, 0.36),
    "right hemidiaphragm": (0.07, 0.71, 0.47, 0.84),
    "right clavicle": (0.12, 0.10, 0.46, 0.23),
    "left clavicle": (0.54, 0.10, 0.88, 0.23),
    "left hemidiaphragm": (0.53, 0.73, 0.93, 0.86),
    "right apical zone": (0.21, 0.08, 0.45, 0.20),
    "trachea": (0.45, 0.02, 0.55, 0.36),
    "left apical zone": (0.55, 0.08, 0.79, 0.20),
    "carina": (0.45, 0.33, 0.56, 0.42),
    "svc": (0.37, 0.27, 0.47, 0.47),
    "right atrium": (0.34, 0.52, 0.47, 0.74),
    "cavoatrial junction": (0.36, 0.45, 0.46, 0.54),
    "abdomen": (0.08, 0.78, 0.92, 1.00),
    "spine": (0.44, 0.02, 0.56, 1.00),
}

REGIONS: tuple[str, ...] = tuple(_ATLAS)
ATLAS: tuple[tuple[float, float, float, float], ...] = tuple(_ATLAS.values())
"""Box of each region: x1, y1, x2, y2 in fractions of the image, y down."""

"""Abnormalities of a phantom: sampling, and drawing into both projections of a body.

An abnormality is a change of density, so the same body can be drawn with and without it. The patient's right is at the
left of the frontal image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from rrg.data.phantom.body import AIR, SIGNS, Body, Projection, Side, add_stroke, ellipse, ramp

Kind = Literal[
    "effusion", "cardiomegaly", "nodule", "opacity", "consolidation", "pneumothorax", "pacemaker", "catheter"
]
Zone = Literal["upper", "mid", "lower"]
Point = tuple[float, float]
ZONES: tuple[Zone, ...] = ("upper", "mid", "lower")

FINDING: dict[Kind, str] = {
    "effusion": "Pleural Effusion",
    "cardiomegaly": "Cardiomegaly",
    "nodule": "Lung Lesion",
    "opacity": "Lung Opacity",
    "consolidation": "Consolidation",
    "pneumothorax": "Pneumothorax",
    "pacemaker": "Support Devices",
    "catheter": "Support Devices",
}
"""Name in `rrg.labels.findings.FINDINGS`, by kind."""

_HEIGHTS: dict[Zone, tuple[float, float]] = {"upper": (0.24, 0.36), "mid": (0.46, 0.58), "lower": (0.7, 0.84)}
"""Range of the height in a zone, as a fraction of the distance from apex to diaphragm."""
_DEPTHS: dict[Zone, tuple[float, float]] = {"upper": (0.45, 0.65), "mid": (0.3, 0.7), "lower": (0.7, 0.85)}
"""Range of the depth in a zone, as a fraction of the distance from sternum to spine."""


@dataclass(frozen=True)
class Abnormality:
    """One abnormality of a phantom."""

    kind: Kind
    side: Side | None = None
    """The patient's side; None for the heart."""
    zone: Zone | None = None
    """Third of the lung; None for kinds without a place in the lung."""
    degree: float = 0.5
    """Severity or size, from 0 (small) to 1 (large)."""
    across: float = 0.6
    """Fraction of the distance from the inner to the outer edge of the lung."""
    height: float = 0.5
    """Fraction of the distance from apex to diaphragm."""
    depth: float = 0.5
    """Fraction of the distance from sternum to spine."""
    shape: int = 0
    """Seed of the irregular outline."""

    @property
    def finding(self) -> str:
        return FINDING[self.kind]

    @property
    def radius(self) -> float:
        """Radius of a nodule or an opacity, as a fraction of the image."""
        return 0.016 + 0.02 * self.degree if self.kind == "nodule" else 0.06 + 0.045 * self.degree


def sample_abnormalities(rng: np.random.Generator) -> tuple[Abnormality, ...]:
    """Sample the abnormalities: none for a third of the phantoms, else up to three, at most one per third of a lung."""
    if rng.random() < 1 / 3:
        return ()
    found: list[Abnormality] = []
    taken: set[tuple[Side, Zone]] = set()
    kinds, sides = list(FINDING), list(SIGNS)
    for kind in rng.permutation(np.array(kinds))[: rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15])].tolist():
        both = kind == "effusion" and rng.random() < 0.25
        for side in sides if both else (sides[int(rng.integers(2))],):
            new = _place(kind, side, rng)
            cells = _cells(new)
            if not taken & cells:
                taken |= cells
                found.append(new)
    return tuple(found)


def _place(kind: Kind, side: Side, rng: np.random.Generator) -> Abnormality:
    new = Abnormality(kind, None if kind == "cardiomegaly" else side, degree=float(rng.random()))
    if kind not in ("nodule", "opacity", "consolidation"):
        return new
    zone = ZONES[int(rng.integers(3))]
    # The heart covers the left lung near the midline.
    inner = 0.62 if side == "left" and zone != "upper" else 0.4
    return replace(
        new,
        zone=zone,
        across=float(rng.uniform(inner, 0.75)),
        height=float(rng.uniform(*_HEIGHTS[zone])),
        depth=float(rng.uniform(*_DEPTHS[zone])),
        shape=int(rng.integers(2**31)),
    )


def _cells(abnormality: Abnormality) -> set[tuple[Side, Zone]]:
    """Thirds of the lungs that an abnormality occupies, so that others do not overlap it."""
    side = abnormality.side
    if side is None:
        return set()
    if abnormality.zone:
        return {(side, abnormality.zone)}
    if abnormality.kind == "effusion":
        return {(side, "lower"), (side, "mid")}
    if abnormality.kind == "pneumothorax":
        return {(side, "upper"), (side, "mid")}
    return {(side, "upper")}


def enlarged_heart(body: Body, abnormality: Abnormality) -> Body:
    """The body with a heart wider than half of the chest."""
    return replace(body, heart=0.56 + 0.12 * abnormality.degree)


def frontal_change(abnormality: Abnormality, body: Body, view: Projection) -> np.ndarray:
    """Change of density of the frontal projection, float32 [size, size]."""
    side = abnormality.side or "left"
    sign = SIGNS[side]
    away, air, y = view.distance[side], view.air[side], view.y
    match abnormality.kind:
        case "effusion":
            share = np.clip(away / body.width, 0, 1)
            level = body.dome(side, away) - (0.03 + 0.26 * abnormality.degree) * (0.3 + 0.7 * share * share) - 0.02
            return _fluid(air, view, ramp(y - level, 0.035))
        case "nodule" | "opacity" | "consolidation":
            height = body.apex + abnormality.height * (body.base - body.apex)
            inner, outer = _at(body.inner_edge, height), _at(body.outer_edge, height)
            x = body.midline + body.tilt * (height - 0.5) + sign * (inner + abnormality.across * (outer - inner))
            return _focal_lesion(abnormality, view, (x, height)) * np.minimum(1, 1.6 * air)
        case "pneumothorax":
            return _pneumothorax(abnormality, body, view, side)
        case "pacemaker":
            return _pacemaker(view, _frontal_leads(body, sign), (0.042, 0.034))
        case "catheter":
            top, tip = body.apex - 0.08, body.apex + 0.33
            path = [(body.midline + sign * 0.09, top), (body.midline + sign * 0.06, body.apex + 0.08)]
            # Catheters of both sides end in the superior vena cava, on the right.
            path += [(body.midline - 0.055, body.apex + 0.17), (body.midline - 0.055, tip)]
            return _wire(view, path, 0.009, 0.2)
        case _:
            return np.zeros_like(view.density)


def lateral_change(abnormality: Abnormality, body: Body, view: Projection) -> np.ndarray:
    """Change of density of the lateral projection, float32 [size, size]."""
    side = abnormality.side or "left"
    y, air = view.y, view.air[side]
    match abnormality.kind:
        case "effusion":
            share = np.clip((view.x - body.front) / (body.back - body.front), 0, 1)
            level = (
                body.lateral_dome(view.x) - (0.03 + 0.24 * abnormality.degree) * (0.15 + 0.85 * share * share) - 0.02
            )
            return _fluid(air, view, ramp(y - level, 0.035))
        case "nodule" | "opacity" | "consolidation":
            height = body.apex + abnormality.height * (body.base - body.apex)
            front, back = _at(body.front_edge, height), _at(body.back_edge, height)
            x = front + abnormality.depth * (back - front)
            return _focal_lesion(abnormality, view, (x, height)) * np.minimum(1, 3.2 * air)
        case "pneumothorax":
            line = body.apex + 0.09 + 0.1 * abnormality.degree + 0.3 * (view.x - 0.5 * (body.front + body.back)) ** 2
            free = ramp(line - y, 0.02) * np.minimum(1, 3 * air)
            edge = 0.06 * ramp(0.004 - np.abs(y - line), 0.008) * np.minimum(1, 3 * air)
            return edge - free * (0.5 * view.vessels + 0.05)
        case "pacemaker":
            chest = (body.front + 0.1, body.apex + 0.12)
            vein, atrium = (body.front + 0.27, body.apex + 0.2), (body.front + 0.24, body.base - 0.22)
            ventricle = (body.front + 0.13, body.base - 0.04)
            return _pacemaker(view, [[chest, vein, ventricle], [vein, atrium]], (0.016, 0.04))
        case "catheter":
            x = body.front + 0.27
            path = [(x, body.apex - 0.08), (x, body.apex + 0.1), (x + 0.02, body.apex + 0.33)]
            return _wire(view, path, 0.009, 0.2)
        case _:
            return np.zeros_like(view.density)


def _at(edge: Callable[[np.ndarray], np.ndarray], height: float) -> float:
    return float(edge(np.array([height]))[0])


def _fluid(air: np.ndarray, view: Projection, covered: np.ndarray) -> np.ndarray:
    lung = np.minimum(1, 1.6 * air)
    return covered * (AIR * air + 0.13 * lung - view.vessels * lung)


def _focal_lesion(abnormality: Abnormality, view: Projection, at: Point) -> np.ndarray:
    radius = abnormality.radius
    if abnormality.kind == "nodule":
        return 0.2 * ramp(ellipse(view.x, view.y, at, (radius, radius), 0.0), 0.5)
    # Several overlapping ellipses give an irregular outline.
    rng = np.random.default_rng([abnormality.shape, 0])
    dense = abnormality.kind == "consolidation"
    total = np.zeros_like(view.density)
    for angle, reach in rng.uniform((0, 0.15), (2 * math.pi, 0.6), (6, 2)).tolist():
        centre = (at[0] + radius * reach * math.cos(angle), at[1] + radius * reach * math.sin(angle))
        total += ramp(ellipse(view.x, view.y, centre, (0.75 * radius, 0.6 * radius), angle) - 0.35, 1.3)
    cover = np.minimum(total * (1.1 if dense else 0.5), 1)
    total = cover * (0.3 if dense else 0.17)
    if dense:
        # Consolidation hides vessels; bronchi filled with air stay dark (air bronchogram).
        total -= cover * view.vessels
        for angle in rng.uniform(-1, 1, 3).tolist():
            start = (at[0] - 0.4 * radius, at[1] + 0.3 * radius * angle)
            end = (at[0] + 0.6 * radius * math.cos(angle), at[1] + 0.6 * radius * math.sin(angle))
            add_stroke(total, start, end, 0.01, -0.05)
        total = np.maximum(total, 0)
    return total


def _pneumothorax(abnormality: Abnormality, body: Body, view: Projection, side: Side) -> np.ndarray:
    """Collapse of the lung from apex and chest wall: no vessels outside, and the pleura as a thin line."""
    y = view.y
    down = np.clip((y - body.apex) / (body.base - body.apex), 0, 1)
    gap = (0.035 + 0.06 * abnormality.degree) * (1 - 0.75 * down)
    lung_edge = body.outer_edge(y - 1.1 * (gap + 0.01)) - gap
    inside_chest = np.minimum(1, 2 * view.air[side])
    free = ramp(view.distance[side] - lung_edge, 0.008) * inside_chest
    pleura = ramp(0.004 - np.abs(view.distance[side] - lung_edge), 0.006) * inside_chest
    return 0.1 * pleura - free * (view.vessels + 0.09) * ramp(0.85 - down, 0.2)


def _frontal_leads(body: Body, sign: int) -> list[list[Point]]:
    generator = (body.midline + sign * 0.26, body.apex + 0.1)
    vein = (body.midline + sign * 0.1, body.apex + 0.065)
    atrium = (body.midline - 0.06, body.base - 0.17)
    ventricle = (body.midline + 0.1, body.base - 0.03)
    cava = (body.midline - 0.055, body.apex + 0.16)
    return [[generator, vein, cava, (body.midline - 0.04, body.base - 0.12), ventricle], [cava, atrium]]


def _pacemaker(view: Projection, leads: list[list[Point]], radii: Point) -> np.ndarray:
    """Leads, with the generator at the start of the first lead."""
    total = np.zeros_like(view.density)
    for lead in leads:
        total = np.maximum(total, _wire(view, lead, 0.008, 0.3))
    (x, y), (wide, high) = leads[0][0], radii
    case = np.maximum(np.abs(view.x - x) / wide, np.abs(view.y - y) / high)
    round_off = np.hypot(view.x - x, view.y - y) / (1.15 * max(wide, high))
    return np.maximum(total, 0.5 * ramp(1 - np.maximum(case, round_off), 0.15))


def _wire(view: Projection, path: Sequence[Point], width: float, amount: float) -> np.ndarray:
    """Wire of constant density along the points, with rounded corners and a thicker tip."""
    total = np.zeros_like(view.density)
    path = _rounded(_rounded(path))
    for start, end in pairwise(path):
        add_stroke(total, start, end, width, amount)
    add_stroke(total, path[-1], path[-1], 2 * width, amount)
    return np.minimum(total, amount)


def _rounded(path: Sequence[Point]) -> list[Point]:
    """One step of Chaikin's corner cutting; the end points do not move."""
    cut = [path[0]]
    for (x0, y0), (x1, y1) in pairwise(path):
        cut += [(0.75 * x0 + 0.25 * x1, 0.75 * y0 + 0.25 * y1), (0.25 * x0 + 0.75 * x1, 0.25 * y0 + 0.75 * y1)]
    return [*cut, path[-1]]

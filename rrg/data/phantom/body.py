"""The healthy chest of a phantom: sampling of a body, and its frontal and lateral projection.

Both projections have the same vertical axis. All lengths are fractions of the image, y down. In the frontal image the
patient's right is at the left; in the lateral image the patient faces left. Density is the brightness before the film
response: about 0.2 for lung, 0.5 for chest wall, 0.8 for heart and abdomen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Side = Literal["right", "left"]
SIGNS: dict[Side, int] = {"right": -1, "left": 1}
"""Direction of the patient's side in the frontal image: -1 is left of the midline, 1 is right of it."""
AIR = 0.34
"""Decrease of density by a full thickness of lung."""


@dataclass(frozen=True)
class Body:
    """Proportions of one person, and parameters of the exposure."""

    midline: float
    """x of the spine in the frontal view."""
    tilt: float
    """Horizontal shift of the midline over the height of the image."""
    apex: float
    """y of the top of the lungs."""
    base: float
    """y of the right diaphragm's dome."""
    left_drop: float
    """Distance by which the left dome is lower than the right."""
    width: float
    """Largest distance from the midline to the outer edge of a lung."""
    heart: float
    """Width of the heart over the width of the chest (cardiothoracic ratio)."""
    front: float
    """x of the sternum in the lateral view."""
    back: float
    """x of the spine in the lateral view."""
    build: float
    """Thickness of the chest wall, from 0 (slim) to 1 (stout)."""
    breast: float
    """Density of the breasts."""
    bones: float
    """Factor on the density of bones."""
    vessels: float
    """Factor on the density of vessels."""
    gas: float
    """Decrease of density by gas in the stomach."""
    gamma: float
    """Exponent of the film response."""
    texture: int
    """Seed of vessels and noise."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Body:
        def uniform(low: float, high: float) -> float:
            return float(rng.uniform(low, high))  # float: a numpy scalar would promote float32 images to float64

        return cls(
            midline=uniform(0.48, 0.52),
            tilt=uniform(-0.03, 0.03),
            apex=uniform(0.09, 0.14),
            base=uniform(0.68, 0.77),
            left_drop=uniform(0.01, 0.035),
            width=uniform(0.31, 0.36),
            heart=uniform(0.41, 0.47),
            front=uniform(0.17, 0.22),
            back=uniform(0.80, 0.85),
            build=uniform(0.0, 1.0),
            breast=max(0.0, uniform(-0.08, 0.08)),
            bones=uniform(0.6, 1.2),
            vessels=uniform(0.7, 1.3),
            gas=max(0.0, uniform(-0.15, 0.3)),
            gamma=uniform(0.85, 1.2),
            texture=int(rng.integers(2**31)),
        )

    def outer_edge(self, y: np.ndarray) -> np.ndarray:
        """Distance of a lung's outer edge from the midline at height y; 0 above the apex."""
        t = np.clip((y - self.apex) / (self.base - self.apex), 0, 1)
        return self.width * np.sqrt(1 - (1 - t) ** 2.3) * (0.82 + 0.18 * t)

    def inner_edge(self, y: np.ndarray) -> np.ndarray:
        return 0.05 + 0.025 * np.clip((y - self.apex) / (self.base - self.apex), 0, 1)

    def dome(self, side: Side, distance: np.ndarray) -> np.ndarray:
        """y of the diaphragm in the frontal view, `distance` from the midline."""
        top = self.base + (self.left_drop if side == "left" else 0.0)
        return top + 0.32 * ((distance - 0.42 * self.width) / self.width) ** 2

    def front_edge(self, y: np.ndarray) -> np.ndarray:
        """x of the lungs' front in the lateral view."""
        t = np.clip((y - self.apex) / (self.base - self.apex), 0, 1)
        return self.front + 0.27 * (1 - t) ** 2

    def back_edge(self, y: np.ndarray) -> np.ndarray:
        """x of the lungs' back in the lateral view, along the curved spine."""
        t = (y - self.apex) / (self.base - self.apex)
        return self.back + 0.04 - 0.28 * np.clip(0.62 - t, 0, None) ** 1.5 - 0.1 * np.clip(t - 0.7, 0, None) ** 2

    def lateral_dome(self, x: np.ndarray) -> np.ndarray:
        """y of the diaphragm in the lateral view: high in front, low at the posterior costophrenic angle."""
        return self.base + 0.72 * np.abs(x - self.front - 0.2) ** 2


@dataclass(frozen=True, eq=False)
class Projection:
    """One view of a body, with the masks that abnormalities use. Arrays are float32 [size, size]."""

    x: np.ndarray
    """[1, size]"""
    y: np.ndarray
    """[size, 1]"""
    density: np.ndarray
    air: dict[Side, np.ndarray]
    """Fraction (0 to 1) of the full thickness of a lung. In the lateral view the lungs overlap."""
    vessels: np.ndarray
    """Density of the vessels; included in `density`."""
    heart: np.ndarray
    """Mask of the heart, 0 to 1."""
    distance: dict[Side, np.ndarray]
    """Frontal view: distance from the midline towards that side. Lateral view: x."""


def ramp(value: np.ndarray, softness: float) -> np.ndarray:
    """Smoothstep from 0 to 1 for values from -softness/2 to softness/2."""
    t = np.clip(value / softness + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def ellipse(
    x: np.ndarray, y: np.ndarray, at: tuple[float, float], radii: tuple[float, float], lean: float
) -> np.ndarray:
    """Function that is 1 at the centre of an ellipse, 0 on its edge, negative outside.

    Args:
        x, y: coordinates, arrays that broadcast.
        at: centre.
        radii: semi-axes.
        lean: rotation in radians.
    """
    cos, sin = math.cos(lean), math.sin(lean)
    along = ((x - at[0]) * cos + (y - at[1]) * sin) / radii[0]
    across = ((y - at[1]) * cos - (x - at[0]) * sin) / radii[1]
    return 1 - np.sqrt(along**2 + across**2)


def add_stroke(
    target: np.ndarray, start: tuple[float, float], end: tuple[float, float], width: float, amount: float
) -> None:
    """Add a straight stroke from `start` to `end` (x, y) to the image `target` [size, size], in place."""
    size = len(target)
    margin = width + 2 / size
    left, right = _pixels(min(start[0], end[0]) - margin, max(start[0], end[0]) + margin, size)
    top, bottom = _pixels(min(start[1], end[1]) - margin, max(start[1], end[1]) + margin, size)
    x = (np.arange(left, right, dtype=np.float32)[None] + 0.5) / size - start[0]
    y = (np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5) / size - start[1]
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
    off = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)
    target[top:bottom, left:right] += amount * ramp(width / 2 - off, max(width * 0.6, 1.5 / size))


def _pixels(low: float, high: float, size: int) -> tuple[int, int]:
    return max(0, int(np.floor(low * size))), max(0, min(size, int(np.ceil(high * size))))


def project_frontal(body: Body, size: int) -> Projection:
    """Frontal projection of the healthy body, the patient's right at the left."""
    x, y = _axes(size)
    u = x - body.midline - np.float32(body.tilt) * (y - 0.5)
    distance: dict[Side, np.ndarray] = {side: sign * u for side, sign in SIGNS.items()}
    reach = body.heart * (body.width + 0.01)  # half of the heart's width; two thirds are left of the midline
    heart = ramp(ellipse(u, y, (0.3 * reach, body.base - 0.085), (1.05 * reach, 0.16), 0.55), 0.22)

    density = 0.05 + (0.42 + 0.1 * body.build) * _frontal_outline(body, u, y)
    air: dict[Side, np.ndarray] = {}
    for side in SIGNS:
        inside = body.outer_edge(y) - distance[side]
        lung = ramp(inside, 0.02) * ramp(distance[side] - body.inner_edge(y), 0.03)
        lung *= ramp(body.dome(side, distance[side]) - y, 0.015)
        air[side] = lung * (0.6 + 0.4 * ramp(inside - 0.06, 0.16)) * (1 - 0.75 * heart)
        belly = ramp(y - body.dome(side, distance[side]), 0.03) * ramp(distance[side], 0.02)
        density += 0.27 * belly * ramp(body.width + 0.06 - distance[side], 0.08)
        density -= AIR * air[side]
        breast = ellipse(distance[side], y, (0.62 * body.width, body.base - 0.07), (0.15, 0.13), 0.0)
        density += body.breast * ramp(breast, 0.3)
    density += 0.1 * heart + 0.15 * ramp(0.06 - np.abs(u), 0.05) * ramp(body.base + 0.2 - y, 0.4)
    knob = ellipse(u, y, (0.05, body.apex + 0.24), (0.045, 0.05), 0.0)
    density += 0.1 * ramp(knob, 0.3)
    density -= body.gas * ramp(ellipse(u, y, (0.15, body.base + 0.13), (0.07, 0.045), 0.2), 0.5)
    _add_frontal_bones(density, body, distance, y)
    carina = body.apex + 0.27
    density -= 0.13 * ramp(0.018 - np.abs(u), 0.02) * ramp(carina - y, 0.03)
    for sign in SIGNS.values():
        add_stroke(density, (body.midline, carina), (body.midline + sign * 0.07, carina + 0.05), 0.022, -0.07)

    vessels = np.zeros_like(density)
    rng = np.random.default_rng([body.texture, 0])
    for side, sign in SIGNS.items():
        hilum = (body.midline + sign * 0.085, body.apex + (0.33 if side == "right" else 0.31))
        density += 0.09 * ramp(ellipse(x, y, hilum, (0.04, 0.07), -0.3 * sign), 0.9)
        _add_vessels(vessels, rng, hilum, sign, body.vessels)
    vessels *= air["right"] + air["left"]
    density += vessels
    return Projection(x, y, density, air, vessels, heart, distance)


def project_lateral(body: Body, size: int) -> Projection:
    """Lateral projection of the healthy body, facing left."""
    x, y = _axes(size)
    front, back = body.front_edge(y), body.back_edge(y)
    depth = body.heart / 0.44
    heart = ramp(ellipse(x, y, (body.front + 0.19, body.base - 0.1), (0.17 * depth, 0.12 * depth), 0.75), 0.3)

    skin = 0.035 + 0.03 * body.build
    arms = 0.5 * np.clip(0.3 - y, 0, None)  # raised, in front of the face
    outline = ramp(x - front + skin + arms, 0.02) * ramp(back + 0.1 + skin - x, 0.02)
    density = 0.05 + (0.45 + 0.1 * body.build) * outline
    density += 0.2 * ramp(body.apex + 0.12 - y + 0.25 * (0.5 - x), 0.3) * outline
    belly = ramp(y - body.lateral_dome(x), 0.03)
    density += 0.27 * belly * outline
    lung = ramp(x - front, 0.03) * ramp(back - x, 0.03) * ramp(body.lateral_dome(x) - y, 0.015)
    lung *= ramp(y - body.apex - 0.03, 0.1)
    thick = 0.55 + 0.45 * ramp(x - front - 0.03, 0.14) * ramp(back - x - 0.05, 0.1)
    both = lung * thick * (1 - 0.6 * heart)
    density -= AIR * both
    density += 0.1 * heart
    density -= 0.7 * body.gas * ramp(ellipse(x, y, (body.front + 0.2, body.base + 0.1), (0.1, 0.04), 0.1), 0.5)
    breast = ellipse(x, y, (body.front - 0.03, body.base - 0.1), (0.09, 0.13), 0.0)
    density += 2 * body.breast * ramp(breast, 0.3)
    _add_lateral_bones(density, body, x, y)
    hilum = (body.front + 0.36, body.apex + 0.33)
    density += 0.07 * ramp(ellipse(x, y, hilum, (0.045, 0.06), 0.0), 0.8)
    add_stroke(density, (hilum[0] - 0.05, 0.03), hilum, 0.035, -0.1)

    vessels = np.zeros_like(density)
    rng = np.random.default_rng([body.texture, 1])
    for sign in SIGNS.values():
        _add_vessels(vessels, rng, hilum, sign, body.vessels)
    vessels *= both
    density += vessels
    return Projection(x, y, density, dict.fromkeys(SIGNS, both / 2), vessels, heart, dict.fromkeys(SIGNS, x))


def expose(density: np.ndarray, body: Body, view: int) -> np.ndarray:
    """Convert density to the pixels of a radiograph, with film response, mottle and grain.

    Returns:
        float32 [size, size] in [0, 1], in 256 steps, so that an 8-bit PNG stores it without loss.
    """
    size = len(density)
    rng = np.random.default_rng([body.texture, 2, view])
    places = np.linspace(0, 11, size, dtype=np.float32)[:, None] - np.arange(12, dtype=np.float32)
    weights = np.maximum(0, 1 - np.abs(places))
    mottle = weights @ rng.standard_normal((12, 12), dtype=np.float32) @ weights.T
    grain = rng.standard_normal((size, size), dtype=np.float32)
    pixels = np.clip(density + 0.012 * mottle + 0.009 * grain, 0, 1.15)
    pixels = (pixels / 1.15) ** body.gamma * 1.08
    steps = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return steps * np.float32(1 / 255)  # the same float32 operation as in `read_picture`


def _axes(size: int) -> tuple[np.ndarray, np.ndarray]:
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    return centres[None], centres[:, None]


def _frontal_outline(body: Body, u: np.ndarray, y: np.ndarray) -> np.ndarray:
    away = np.abs(u)
    chest = body.width + 0.07 + 0.05 * body.build - 0.03 * ramp(y - 0.5, 0.5)
    trunk = ramp(chest - away, 0.03) * ramp(y - 0.1, 0.08)
    shoulders = ramp(y - 0.03 - 0.45 * np.clip(away - 0.14, 0, None) ** 1.5, 0.04) * ramp(0.42 - y, 0.35)
    neck = ramp(0.1 + 0.02 * body.build + 1.2 * np.clip(y - 0.02, 0, None) - away, 0.03)
    arm = ramp(0.09 - np.abs(away - 0.38 - 0.22 * y), 0.03) * ramp(y - 0.2, 0.1)
    upper = np.maximum(np.minimum(neck, 1 - ramp(y - 0.2, 0.1)), shoulders)
    return np.maximum(np.maximum(trunk, upper), 0.75 * arm)


def _add_frontal_bones(density: np.ndarray, body: Body, distance: dict[Side, np.ndarray], y: np.ndarray) -> None:
    column = ramp(0.034 - np.abs(distance["left"]), 0.012)
    bodies = 0.6 + 0.4 * ramp(np.cos(2 * np.pi * y / 0.062) + 0.6, 0.8)
    density += 0.09 * body.bones * column * bodies
    size = len(density)
    for side, sign in SIGNS.items():
        columns = slice(0, size * 11 // 20) if side == "right" else slice(size * 9 // 20, size)
        for number in range(9):
            top = body.apex + 0.005 + 0.13 * number * (body.base - body.apex)
            rows = slice(*_pixels(top - 0.05, top + 0.24, size))
            away, height = distance[side][rows, columns], y[rows]
            share = np.clip(away / body.width, 0, 1)
            fall = share * share
            reach = ramp(body.outer_edge(height) + 0.012 - away, 0.015) * body.bones
            behind = height - (top - 0.14 * share * (1 - share) + 0.1 * fall * share)
            ribs = _rib(behind, 0.012, 0.085) * ramp(away - 0.03, 0.02)
            before = height - (top + 0.21 - 0.23 * share + 0.08 * fall)
            ribs += _rib(before, 0.014, 0.055) * ramp(share - 0.42, 0.25)
            density[rows, columns] += ribs * reach
        inner, outer = body.midline + sign * 0.035, body.midline + sign * 0.36
        elbow = (body.midline + sign * 0.2, body.apex + 0.015)
        for start, end in (((inner, body.apex + 0.075), elbow), (elbow, (outer, body.apex - 0.01))):
            add_stroke(density, start, end, 0.027, 0.1 * body.bones)
        blade = ellipse(distance[side], y, (body.width + 0.055, body.apex + 0.2), (0.06, 0.15), -0.25)
        density += 0.03 * body.bones * ramp(blade, 0.3)


def _add_lateral_bones(density: np.ndarray, body: Body, x: np.ndarray, y: np.ndarray) -> None:
    size = len(density)
    behind = x - body.back_edge(y) - 0.005
    bodies = 0.35 + 0.65 * ramp(np.cos(2 * np.pi * y / 0.068) + 0.6, 0.8)
    density += 0.1 * body.bones * ramp(0.032 - np.abs(behind), 0.012) * bodies
    density += 0.05 * body.bones * ramp(0.02 - np.abs(behind - 0.065), 0.02)
    for number in range(10):
        top = body.apex + 0.02 + 0.07 * number
        rows = slice(*_pixels(top - 0.03, top + 0.36, size))
        back = body.back_edge(y[rows])
        share = np.clip((back - x) / (body.back - body.front), 0, 1)
        rib = _rib(y[rows] - (top + 0.3 * share), 0.010, 0.04)
        density[rows] += body.bones * rib * ramp(back + 0.02 - x, 0.02) * ramp(0.75 - share, 0.3)
    sternum = x - body.front_edge(y) + 0.012
    density += 0.08 * body.bones * ramp(0.01 - np.abs(sternum), 0.01) * ramp(body.base - 0.1 - y, 0.1)


def _rib(off: np.ndarray, half_width: float, amount: float) -> np.ndarray:
    """Density of a band with bright rims, like the cortical bone of a rib."""
    share = np.abs(off) / half_width
    return amount * ramp(1 - share, 0.5) * (0.55 + 0.45 * np.minimum(share, 1) ** 2)


def _add_vessels(
    target: np.ndarray, rng: np.random.Generator, hilum: tuple[float, float], sign: int, strength: float
) -> None:
    """Add branching vessels from the hilum towards one side."""
    for angle in (np.linspace(-1.3, 1.35, 7) + rng.uniform(-0.15, 0.15, 7)).tolist():
        start = (hilum[0] + float(rng.uniform(-0.012, 0.012)), hilum[1] + 0.05 * math.sin(angle))
        width, amount = float(rng.uniform(0.014, 0.022)), 0.06 * strength
        for _ in range(3):
            length = float(rng.uniform(0.05, 0.09))
            end = (start[0] + sign * length * math.cos(angle), start[1] + length * math.sin(angle))
            add_stroke(target, start, end, width, amount)
            fork = angle + float(rng.choice([-0.5, 0.5]))
            tip = (start[0] + sign * length * math.cos(fork), start[1] + length * math.sin(fork))
            add_stroke(target, start, tip, 0.6 * width, 0.8 * amount)
            start, width, amount, angle = end, 0.7 * width, 0.85 * amount, angle + float(rng.uniform(-0.3, 0.3))

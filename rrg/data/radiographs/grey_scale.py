"""Choose the range of values that becomes 0 to 1, and measure whether a display step can be right."""

from __future__ import annotations

import numpy as np

_PERCENTILES = (0.5, 99.5)
"""Percentiles of the values that become 0 and 1 where a DICOM file has no usable window."""

_MAX_CLIPPED = 0.9
"""Largest share of pixels that a window or VOI LUT may show as plain black or white."""

_MIN_USED = 0.1
"""Smallest share of the grey scale that a window or VOI LUT may use."""

_EDGE = 1 / 1024
"""Distance from black and from white within which a pixel counts as clipped."""


def percentile_range(values: np.ndarray, count: np.ndarray) -> tuple[float, float]:
    """Return the 0.5th and 99.5th percentile, or minimum and maximum where these are equal.

    Args:
        values: [V], distinct values in any order.
        count: int64 [V], number of pixels with that value.
    """
    low, high = np.percentile(values, _PERCENTILES, weights=count, method="inverted_cdf")
    if low == high:
        low, high = values[count > 0].min(), values[count > 0].max()
    return float(low), float(high)


def range_without_outliers(values: np.ndarray, count: np.ndarray) -> tuple[float, float]:
    """Return minimum and maximum of the values that are no outliers, such as hot and dead pixels of a detector.

    An outlier lies farther outside the percentile range than that range is wide, and by more than 255. Arguments as in
    `percentile_range`.
    """
    low, high = percentile_range(values, count)
    width = max(high - low, 255)
    inside = values[(count > 0) & (values >= low - width) & (values <= high + width)]
    return float(inside.min()), float(inside.max())


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map values to float64 in [0, 1]: `low` and less to 0, `high` and more to 1."""
    return np.clip((values - low) / (high - low), 0, 1) if low < high else np.zeros(values.shape)


def used_share(grey: np.ndarray, count: np.ndarray) -> float:
    """Return the share of the grey scale between the 0.5th and the 99.5th percentile, without the commonest value.

    The commonest value is left out because it is often the background.
    """
    weights = _without_commonest(count)
    if not weights.any():
        return 0.0
    low, high = percentile_range(grey, weights)
    return high - low


def fault_of(grey: np.ndarray, values: np.ndarray, count: np.ndarray, outside: np.ndarray | None = None) -> str | None:
    """Return why a window or VOI LUT cannot be right, or None if it can.

    Args:
        grey: [V] in [0, 1], what the step makes of each value.
        values: [V], the values before the step.
        count: int64 [V], number of pixels with that value; not all 0.
        outside: bool [V], values outside a lookup table. They count as clipped.
    """
    occurs = count > 0
    if np.ptp(values[occurs]) == 0:
        return None
    if np.ptp(grey[occurs]) == 0:
        return "it would leave nothing visible"
    weights = _without_commonest(count)
    clipped = (grey <= _EDGE) | (grey >= 1 - _EDGE)
    if outside is not None:
        clipped |= outside
    share = weights[clipped].sum() / weights.sum()
    if share > _MAX_CLIPPED:
        return f"it would clip {share:.0%} of the pixels"
    used = used_share(grey, count)
    if used < _MIN_USED:
        return f"it would use only {used:.0%} of the grey scale"
    return None


def _without_commonest(count: np.ndarray) -> np.ndarray:
    weights = count.copy()
    weights[count.argmax()] = 0
    return weights

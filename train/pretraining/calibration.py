"""Calibrate the findings classifier: a scale (inverse temperature) and a shift of the logit of each finding.

Both are folded into the linear classifier, so probabilities are calibrated wherever the encoder is used, and the order
of the studies by a finding stays the same. Guo et al. 2017, "On Calibration of Modern Neural Networks", with a shift
(Platt 1999), since a network that saw rare findings more often says them too often.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit

from rrg.layers.image_encoder import ImageEncoder

PRIOR = 2.0
"""Weight of the wish to change nothing, in nats for each unit of the squared logarithm of the scale, and of the squared
shift."""

LEAST_POSITIVES = 5
"""A finding with fewer positives is left as it is."""


def fit_calibration(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scale and the shift of each finding [F] that minimise the cross-entropy of `scale * logits + shift`.

    Args:
        logits: [N, F]
        labels: [N, F] in {0, 1}, NaN where a label is not known.
    """
    fitted = []
    for logit, label in zip(np.asarray(logits, float).T, np.asarray(labels, float).T, strict=True):
        known = ~np.isnan(label)
        if label[known].sum() < LEAST_POSITIVES:
            fitted.append((0.0, 0.0))
            continue

        def cost(parameters: np.ndarray, x: np.ndarray = logit[known], y: np.ndarray = label[known]) -> float:
            log_scale, shift = parameters
            return cross_entropy(np.exp(log_scale) * x + shift, y).sum() + PRIOR * (log_scale**2 + shift**2)

        fitted.append(minimize(cost, np.zeros(2), method="Nelder-Mead").x)
    log_scale, shift = np.transpose(fitted)
    return np.exp(log_scale), shift


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Binary cross-entropy of each label in nats."""
    return np.logaddexp(0, logits) - labels * logits


def cross_fitted(logits: np.ndarray, labels: np.ndarray, folds: int = 5) -> np.ndarray:
    """Calibrated logits [N, F]: those of each fold by a calibration that was fitted to the others."""
    calibrated = np.array(logits, dtype=float)
    fold = np.arange(len(calibrated)) % folds
    for part in range(folds):
        scale, shift = fit_calibration(logits[fold != part], labels[fold != part])
        calibrated[fold == part] = scale * logits[fold == part] + shift
    return calibrated


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error over all findings, in bins of equal width."""
    known = ~np.isnan(labels)
    probability, label = expit(logits[known]), labels[known]
    place = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [abs(probability[place == b].sum() - label[place == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(label))


def apply_calibration(encoder: ImageEncoder, scale: np.ndarray, shift: np.ndarray) -> None:
    """Fold a calibration into the findings classifier of an encoder."""
    factor, offset = (torch.as_tensor(values, dtype=torch.float32) for values in (scale, shift))
    with torch.no_grad():
        encoder.findings.weight.mul_(factor[:, None].to(encoder.findings.weight))
        encoder.findings.bias.mul_(factor.to(encoder.findings.bias)).add_(offset.to(encoder.findings.bias))

"""The saliency mask against Grad-CAM by a backward pass and against a loop over pixels."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder
from rrg.models.csr_lmca.saliency import salience, salient_pixels
from tests.models.random_weights import noise, randomised


def classifier_of(channels: int) -> ImageEncoder:
    encoder = ImageEncoder("test_efficientnet", {}, len(FINDINGS))
    encoder.findings = nn.Linear(channels, len(FINDINGS))
    return randomised(encoder).float()


def test_the_salience_is_grad_cam_by_a_backward_pass() -> None:
    classifier, features = classifier_of(5), noise(2, 2, 5, 3, 4).float().requires_grad_()
    positive = torch.zeros(2, 14, dtype=torch.bool)
    positive[0, [2, 7]] = positive[1, 11] = True
    found = salience(classifier, features, positive)
    logits = classifier.classify(features, torch.ones(2, 2, dtype=torch.bool))
    for b, v in ((b, v) for b in range(2) for v in range(2)):
        expected = torch.zeros(3, 4)
        for c in positive[b].nonzero().flatten().tolist():
            (gradient,) = torch.autograd.grad(logits[b, c], features, retain_graph=True)
            cam = torch.einsum("c,chw->hw", gradient[b, v].mean((-2, -1)), features[b, v]).clamp(min=0)
            expected = expected.maximum((cam - cam.min()) / (cam.max() - cam.min()))
        torch.testing.assert_close(found[b, v], expected)


def test_the_mask_is_the_threshold_dilated_by_a_square() -> None:
    values = torch.rand(2, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    values[1, 0] = 0
    found = salient_pixels(values, 16, 0.6, 3)
    pixels = F.interpolate(values, (16, 16), mode="bilinear", align_corners=False)
    for b, v, r, c in ((b, v, r, c) for b in range(2) for v in range(2) for r in range(16) for c in range(16)):
        near = pixels[b, v, max(0, r - 1) : r + 2, max(0, c - 1) : c + 2]
        assert bool(found[b, v, r, c]) == bool((near >= 0.6).any() or (b, v) == (1, 0))
    assert not found[0].all()

"""Grad-CAM of the findings classifier, by the grad-cam package, unscaled."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from rrg.layers.image_encoder import ImageEncoder


class _RawGradCAM(GradCAM):
    """Grad-CAM of grad-cam without its min-max scaling and resizing: [images, h, w] of the one target layer."""

    def compute_cam_per_layer(self, input_tensor: Tensor, targets: list[Any], eigen_smooth: bool) -> list[np.ndarray]:
        recorded = self.activations_and_grads
        activations, gradients = (side[0].cpu().detach().numpy() for side in (recorded.activations, recorded.gradients))
        cam = self.get_cam_image(input_tensor, self.target_layers[0], targets, activations, gradients, eigen_smooth)
        return [np.maximum(cam, 0)]

    def aggregate_multi_layers(self, cam_per_target_layer: Sequence[np.ndarray]) -> np.ndarray:
        return cam_per_target_layer[0]


def grad_cam(encoder: ImageEncoder, features: Tensor, findings: Sequence[int]) -> np.ndarray:
    """Grad-CAM (Selvaraju et al., ICCV 2017) of the findings classifier at the last feature maps.

    features [V,C,h,w] of one study's valid views -> [len(findings), V, h, w]. The views are stacked
    to one tall image: the classifier pools their common mean, and one backward pass serves every finding.
    """
    views, _, height, width = features.shape
    tall = features.transpose(0, 1).flatten(1, 2)[None]  # [1, C, V*h, w]
    head = nn.Sequential(
        OrderedDict(
            features=nn.Identity(), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), findings=encoder.findings
        )
    )
    targets: list[Any] = [ClassifierOutputTarget(i) for i in findings]
    with torch.inference_mode(False), torch.enable_grad():  # gradients are needed even where the caller disabled them
        images = tall.detach().repeat(len(findings), 1, 1, 1).requires_grad_()
        with _RawGradCAM(model=head, target_layers=[head.features]) as cam:
            maps = cam(input_tensor=images, targets=targets)
    return maps.reshape(len(findings), views, height, width).astype(np.float32)

"""The visual side that every architecture starts from: a timm backbone and linear heads on its pooled features."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class ImageEncoder(nn.Module):
    """Backbone over every view, findings classifier over the study, view classifier over each image.

    The findings logits are linear in the mean feature over all cells of all valid views, so the class activation map
    of a finding is exactly its weight vector times the feature maps.
    """

    def __init__(self, backbone: str, backbone_options: dict[str, Any], num_findings: int, num_views: int = 2):
        super().__init__()
        self.backbone = timm.create_model(backbone, pretrained=False, num_classes=0, **backbone_options)
        self.num_features: int = self.backbone.num_features  # type: ignore[assignment]
        self.findings = nn.Linear(self.num_features, num_findings)
        self.views = nn.Linear(self.num_features, num_views)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """pixel_values [B,V,3,S,S] -> feature maps [B,V,C,h,w]."""
        batch, views = pixel_values.shape[:2]
        images = pixel_values.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        maps = self.backbone.forward_features(images)  # type: ignore[operator]
        if getattr(self.backbone, "output_fmt", "NCHW") == "NHWC":  # Swin
            maps = maps.permute(0, 3, 1, 2)
        return maps.unflatten(0, (batch, views))

    def fold_batch_norms(self) -> None:
        """Put each batch norm into the convolution before it: the same maps in two thirds of the time, on CPUs.

        For models that only write reports: the backbone can neither be trained nor saved afterwards.
        """
        for module in list(self.backbone.modules()):
            before: nn.Module | None = None
            for name, child in module.named_children():
                if isinstance(before, nn.Conv2d) and isinstance(child, nn.BatchNorm2d):
                    dtype = before.weight.dtype
                    folded = fuse_conv_bn_eval(before.float(), child.float()).to(dtype)
                    before.weight, before.bias = folded.weight, folded.bias
                    # timm's batch norms bring their activation along.
                    setattr(module, name, getattr(child, "act", nn.Identity()))
                before = child

    def pool(self, features: Tensor, view_mask: Tensor) -> Tensor:
        """features [B,V,C,h,w], view_mask [B,V] -> mean over the cells of the valid views [B,C]."""
        per_view = features.mean(dim=(-2, -1))  # [B,V,C]
        weight = view_mask.to(per_view.dtype)[..., None]
        return (per_view * weight).sum(1) / weight.sum(1).clamp(min=1)

    def classify(self, features: Tensor, view_mask: Tensor) -> Tensor:
        """features [B,V,C,h,w], view_mask [B,V] -> findings logits [B,F]."""
        return self.findings(self.pool(features, view_mask))

    def classify_views(self, features: Tensor) -> Tensor:
        """features [B,V,C,h,w] -> logits [B,V,2] of frontal against lateral."""
        return self.views(features.mean(dim=(-2, -1)))

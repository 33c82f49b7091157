"""Image encoder of all architectures: a timm backbone with linear classifiers of findings and views.

Shapes: B studies, V views, S image size, C channels of the backbone, h x w feature grid, F findings.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import timm
import torch
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_EARLY_BATCH = 2
"""Images per pass through the early layers: two take half the time of four, whose maps exceed the processor's cache."""


def state_digest(module: nn.Module) -> str:
    """sha256 of the names and values of all parameters and buffers of a module."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class ImageEncoder(nn.Module):
    """Backbone over every view, findings classifier over each study, view classifier over each image.

    The findings logits are linear in the mean feature over all cells of all valid views, so the class activation map
    of a finding is its weight vector times the feature maps.
    """

    def __init__(self, backbone: str, backbone_options: dict[str, Any], num_findings: int, num_views: int = 2):
        super().__init__()
        self.backbone = timm.create_model(backbone, pretrained=False, num_classes=0, **backbone_options)
        self.num_features: int = self.backbone.num_features  # type: ignore[assignment]
        self.findings = nn.Linear(self.num_features, num_findings)
        self.views = nn.Linear(self.num_features, num_views)
        self._parts: tuple[nn.Module, nn.Module] | None = None

    def forward(self, pixel_values: Tensor) -> Tensor:
        """pixel_values [B,V,3,S,S] -> feature maps [B,V,C,h,w]."""
        batch, views = pixel_values.shape[:2]
        images = pixel_values.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        if self._parts is None:
            maps = self.backbone.forward_features(images)  # type: ignore[operator]
        else:
            early, late = self._parts
            maps = late(torch.cat([early(part) for part in images.split(_EARLY_BATCH)]))
        if getattr(self.backbone, "output_fmt", "NCHW") == "NHWC":  # Swin
            maps = maps.permute(0, 3, 1, 2)
        return maps.unflatten(0, (batch, views))

    def fold_batch_norms(self) -> None:
        """Fold each batch norm into the convolution before it: same maps, two thirds of the time on a CPU.

        For inference only: the backbone can neither be trained nor saved afterwards.
        """
        for module in list(self.backbone.modules()):
            before: nn.Module | None = None
            for name, child in module.named_children():
                if isinstance(before, nn.Conv2d) and isinstance(child, nn.BatchNorm2d):
                    dtype = before.weight.dtype
                    folded = fuse_conv_bn_eval(before.float(), child.float()).to(dtype)
                    before.weight, before.bias = folded.weight, folded.bias
                    # timm's batch norm includes the activation after it.
                    setattr(module, name, getattr(child, "act", nn.Identity()))
                before = child

    def split_early_layers(self) -> None:
        """Run the early layers on `_EARLY_BATCH` images at a time and the late ones on all: same maps, faster on CPUs.

        The late layers of MobileNetV2 take 5 ms per study in large batches and 7 ms in small ones. Only for MobileNetV2
        and EfficientNet; other backbones stay as they are. Call it after `fold_batch_norms`, which replaces modules.
        """
        backbone = self.backbone
        if not isinstance(backbone, EfficientNet):
            return
        small = next(info["module"] for info in backbone.feature_info if info["reduction"] >= 8)  # blocks.N
        first = int(small.split(".")[1]) + 1
        blocks = list(cast(nn.Sequential, backbone.blocks))
        early = (backbone.conv_stem, backbone.bn1, *blocks[:first])
        self._parts = nn.Sequential(*early), nn.Sequential(*blocks[first:], backbone.conv_head, backbone.bn2)

    def pool(self, features: Tensor, view_mask: Tensor) -> Tensor:
        """features [B,V,C,h,w], view_mask [B,V] -> mean over the cells of the valid views [B,C]."""
        per_view = features.mean(dim=(-2, -1))  # [B,V,C]
        weight = view_mask.to(per_view.dtype)[..., None]
        return (per_view * weight).sum(1) / weight.sum(1).clamp(min=1)

    def classify(self, features: Tensor, view_mask: Tensor) -> Tensor:
        """features [B,V,C,h,w], view_mask [B,V] -> findings logits [B,F]."""
        return self.findings(self.pool(features, view_mask))

    def classify_views(self, features: Tensor) -> Tensor:
        """features [B,V,C,h,w] -> logits [B,V,2] of frontal and lateral."""
        return self.views(features.mean(dim=(-2, -1)))

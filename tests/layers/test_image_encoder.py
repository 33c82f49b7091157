"""The image encoder: pooling over valid views, CPU shortcuts, and the weights of the bundled backbone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from rrg.layers.image_encoder import ImageEncoder


def test_a_missing_view_has_no_part_in_the_pooled_features() -> None:
    encoder = ImageEncoder("test_efficientnet", {}, 14).eval()
    features = torch.randn(2, 2, encoder.num_features, 2, 3)
    mask = torch.tensor([[True, True], [False, True]])
    pooled = encoder.pool(features, mask)
    torch.testing.assert_close(pooled[0], features[0].mean(dim=(0, 2, 3)))
    torch.testing.assert_close(pooled[1], features[1, 1].mean(dim=(1, 2)))


def test_findings_logits_are_the_mean_of_the_class_activation_map() -> None:
    encoder = ImageEncoder("test_efficientnet", {}, 14).eval()
    features, mask = torch.randn(1, 2, encoder.num_features, 2, 3), torch.ones(1, 2, dtype=torch.bool)
    maps = torch.einsum("fc,vchw->fvhw", encoder.findings.weight, features[0])
    torch.testing.assert_close(encoder.classify(features, mask)[0], maps.mean(dim=(1, 2, 3)) + encoder.findings.bias)


def test_each_view_goes_through_the_same_backbone() -> None:
    encoder = ImageEncoder("test_efficientnet", {}, 14).eval()
    images = torch.randn(2, 2, 3, 64, 64)
    features = encoder(images)
    assert features.shape[:3] == (2, 2, encoder.num_features)
    torch.testing.assert_close(encoder(images.flip(1)).flip(1), features, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("backbone", ["mobilenetv2_100", "test_efficientnet", "resnet18", "densenet121", "test_vit"])
def test_folded_batch_norms_change_no_map(backbone: str) -> None:
    torch.manual_seed(0)
    encoder = ImageEncoder(backbone, {}, 14)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    encoder.eval().requires_grad_(False)
    size = 160 if backbone == "test_vit" else 64
    images = torch.randn(1, 2, 3, size, size)
    maps = encoder(images)
    encoder.fold_batch_norms()
    torch.testing.assert_close(encoder(images), maps, atol=1e-3, rtol=1e-3)
    left = sum(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())
    assert left == (62 if backbone == "densenet121" else 0), "norms before their convolution stay"


def with_counts(encoder: ImageEncoder, images: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """The maps, and how many images the first convolution was given each time."""
    counts: list[int] = []
    first = next(module for module in encoder.backbone.modules() if isinstance(module, nn.Conv2d))
    hook = first.register_forward_hook(lambda _, inputs, __: counts.append(len(inputs[0])))
    maps = encoder(images)
    hook.remove()
    return maps, counts


@pytest.mark.parametrize("backbone", ["mobilenetv2_100", "test_efficientnet", "resnet18"])
def test_early_layers_in_small_batches_give_the_same_maps(backbone: str) -> None:
    torch.manual_seed(0)
    encoder = ImageEncoder(backbone, {}, 14).eval().requires_grad_(False)
    images = torch.randn(5, 1, 3, 64, 64)
    whole, counts = with_counts(encoder, images)
    assert counts == [5]
    encoder.split_early_layers()
    maps, counts = with_counts(encoder, images)
    assert counts == ([5] if backbone == "resnet18" else [2, 2, 1])
    torch.testing.assert_close(maps, whole, atol=1e-5, rtol=1e-4)


def test_imagenet_weights_fit_the_bundled_backbone(shared_data: Path) -> None:
    weights = load_file(shared_data / "backbone" / "mobilenetv2_100_imagenet.safetensors")
    encoder = ImageEncoder("mobilenetv2_100", {"pad_type": "same"}, 14)
    encoder.backbone.load_state_dict(weights)
    assert encoder.eval()(torch.zeros(1, 1, 3, 224, 224)).shape == (1, 1, 1280, 7, 7)

"""The published configurations have the published sizes and train without a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rrg.labels.atlas import ATLAS
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel

PARAMETERS = {"r2gen_cmn": 59_053_369, "xpronet": 61_285_177, "camanet": 42_421_383, "sgrrg": 120_426_285}
"""Unique parameters of the published models with 761 outputs."""


def published(name: str) -> ReportModel:
    """The defaults of an architecture's configuration class, with random weights."""
    kind = ARCHITECTURES[name].load()
    return kind(kind.config_class(vocab_size=761, **dict.fromkeys(ENDS, 0)))


ENDS = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")


def batch_of(model: ReportModel) -> dict[str, Any]:
    """Two studies of as many views as the model has slots."""
    generator, size, views = torch.Generator().manual_seed(0), model.config.image_size, model.config.num_views
    batch: dict[str, Any] = {
        "pixel_values": torch.randn(2, views, 3, size, size, generator=generator),
        "view_mask": torch.ones(2, views, dtype=torch.bool),
        "labels": torch.randint(1, 761, (2, 12), generator=generator),
        "findings": torch.eye(14)[:2],
    }
    if model.reads_scene_graphs:
        sizes = getattr(model.config, "attribute_sizes")  # noqa: B009 - of this architecture's configuration alone
        batch["scene_graph"] = {
            "boxes": torch.tensor(ATLAS).expand(2, -1, -1).clone(),
            "regions": torch.ones(2, len(sizes)),
            "abnormal": torch.randint(2, (2, len(sizes)), generator=generator).float(),
            "attributes": (torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]).float().repeat(2, 1, 1),
        }
    return batch


@pytest.mark.parametrize("name", PARAMETERS)
def test_sizes_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        model = published(name)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(PARAMETERS[name], rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_training_step_lowers_the_loss_without_a_gpu(name: str) -> None:
    torch.manual_seed(0)
    model = published(name)
    for module in model.modules():  # the same function before and after the step
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.train()
    batch = batch_of(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-3)
    before = model(**batch).loss
    before.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    with torch.no_grad():
        after = model(**batch).loss
    assert before.isfinite() and after < before

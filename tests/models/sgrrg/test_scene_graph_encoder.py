"""The scene graph encoder and its contrastive loss against naive loops."""

from __future__ import annotations

import torch
from torch import Tensor

from rrg.models.sgrrg.scene_graph_encoder import SceneGraphEncoder, segregation_loss

SIZES = tuple(2 + i % 3 for i in range(29))


def random_graph() -> tuple[Tensor, Tensor]:
    """Regions [3,29] and attributes [3,29,4] of three studies, the last of which has no region."""
    generator = torch.Generator().manual_seed(0)
    regions = torch.rand(3, 29, generator=generator) < torch.tensor([0.9, 0.5, 0.0])[:, None]
    mentioned = torch.rand(3, 29, max(SIZES), generator=generator) < 0.4
    return regions, mentioned & (torch.arange(max(SIZES)) < torch.tensor(SIZES)[:, None])


def test_attribute_ids_are_those_of_the_table_of_all_regions() -> None:
    encoder = SceneGraphEncoder(8, SIZES, 1, 16, 2, 16, 0.0)
    attributes = random_graph()[1][0]
    ids, mask = encoder.attribute_ids(attributes, torch.arange(29))
    assert encoder.offsets[-1] == sum(SIZES)
    back = torch.zeros_like(attributes)
    for region in range(29):
        back[region, ids[region][mask[region]] - sum(SIZES[:region])] = True
    assert torch.equal(back, attributes)
    assert (ids[~mask] == sum(SIZES)).all()


def test_a_region_is_encoded_the_same_alone_and_among_larger_graphs() -> None:
    torch.manual_seed(0)
    encoder = SceneGraphEncoder(8, SIZES, 1, 16, 2, 16, 0.0).eval()
    boxes, (regions, attributes) = torch.randn(3, 29, 8), random_graph()
    together = encoder(boxes, attributes, regions)
    assert together[~regions].abs().max() == 0
    for study, region in regions.nonzero().tolist()[::7]:
        alone = torch.zeros_like(regions)
        alone[study, region] = True
        single = encoder(boxes, attributes, alone)[study, region]
        torch.testing.assert_close(single, together[study, region])


def test_the_segregation_loss_is_that_of_a_loop_over_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(12, 6, generator=generator)
    regions = torch.randint(3, (12,), generator=generator)
    abnormal = torch.rand(12, generator=generator) < 0.5
    total, count = 0.0, 0
    for i in range(12):
        for j in range(12):
            if regions[i] == regions[j]:
                cosine = float(vectors[i] @ vectors[j] / (vectors[i].norm() * vectors[j].norm()))
                total += max(0.0, 1 - cosine) if abnormal[i] == abnormal[j] else max(0.0, cosine - 0.4)
                count += 1
    torch.testing.assert_close(segregation_loss(vectors, regions, abnormal, 0.4), torch.tensor(total / count))


def test_the_segregation_loss_includes_pairs_of_a_vector_with_itself() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    regions = torch.tensor([4, 4, 5])
    loss = segregation_loss(vectors, regions, torch.tensor([True, False, True]), 0.4)
    torch.testing.assert_close(loss, torch.tensor(2 * 0.6 / 5))  # two ordered pairs, of five with the diagonal
    assert segregation_loss(vectors[:0], regions[:0], torch.zeros(0, dtype=torch.bool), 0.4) == 0

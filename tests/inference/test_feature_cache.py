"""The feature cache: a study is encoded once and never gets the features of another one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rrg.data.phantom import make_phantom
from rrg.data.radiographs import Radiograph
from rrg.inference.feature_cache import FeatureCache, sampling_seed
from rrg.inference.loading import LoadedModel, load_model
from rrg.models.base import ReportModel


@pytest.fixture(scope="module")
def loaded(tiny_weights: Path) -> LoadedModel:
    return load_model(tiny_weights / "r2gen_cmn", device="cpu")


@pytest.fixture(scope="module")
def studies() -> list[tuple[Radiograph, ...]]:
    return [make_phantom(seed, size=96).study.radiographs() for seed in range(4)]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of studies of each call of the image encoder."""
    calls: list[int] = []
    extract = ReportModel.extract_features

    def counted(model: ReportModel, pixel_values: torch.Tensor, view_mask: torch.Tensor) -> object:
        calls.append(len(pixel_values))
        return extract(model, pixel_values, view_mask)

    monkeypatch.setattr(ReportModel, "extract_features", counted)
    return calls


def test_only_studies_that_are_not_cached_are_encoded_as_one_batch(
    loaded: LoadedModel, studies: list[tuple[Radiograph, ...]], encoded: list[int]
) -> None:
    cache = FeatureCache(max_studies=3)
    first = cache.encode(loaded.model, loaded.transform, studies[:2])
    again = cache.encode(loaded.model, loaded.transform, [studies[1], studies[2], studies[0]])
    assert encoded == [2, 1]
    assert torch.equal(again[0].features.feature_maps, first[1].features.feature_maps)
    assert torch.equal(again[2].features.feature_maps, first[0].features.feature_maps)
    cache.encode(loaded.model, loaded.transform, [studies[3]])  # drops the least recently used
    cache.encode(loaded.model, loaded.transform, [studies[2]])
    assert encoded == [2, 1, 1]
    cache.encode(loaded.model, loaded.transform, [studies[1]])
    assert encoded == [2, 1, 1, 1]


def test_a_study_is_encoded_as_if_it_were_alone(loaded: LoadedModel, studies: list[tuple[Radiograph, ...]]) -> None:
    together = FeatureCache().encode(loaded.model, loaded.transform, [studies[0], studies[1][1:]])
    for study, one in zip((studies[0], studies[1][1:]), together, strict=True):
        (alone,) = FeatureCache().encode(loaded.model, loaded.transform, [study])
        torch.testing.assert_close(one.features.feature_maps, alone.features.feature_maps)
        assert torch.equal(one.view_mask, alone.view_mask)
        assert one.slots == alone.slots
    assert together[1].view_mask.tolist() == [[False, True]]
    assert together[1].slots == ((1,),)


def test_another_transform_or_view_is_another_entry(
    loaded: LoadedModel, studies: list[tuple[Radiograph, ...]], encoded: list[int]
) -> None:
    cache = FeatureCache()
    lateral_as_frontal = dataclasses.replace(studies[0][1], view="frontal")
    for radiographs in (studies[0], studies[0][:1], studies[0][1:], (lateral_as_frontal,)):
        cache.encode(loaded.model, loaded.transform, [radiographs])
    cache.encode(loaded.model, dataclasses.replace(loaded.transform, size=80), [studies[0]])
    assert encoded == [1] * 5


def test_models_with_other_masked_views_share_no_features(
    tiny_folder: Callable[[str], Path], studies: list[tuple[Radiograph, ...]]
) -> None:
    """R2GenCMN and CSR-LMCA may share an image encoder, but CSR-LMCA encodes masked copies too."""
    cache = FeatureCache()
    maps = []
    for name in ("r2gen_cmn", "csr_lmca"):
        model = load_model(tiny_folder(name), device="cpu")
        maps.append(cache.encode(model.model, model.transform, [studies[0]])[0].features.feature_maps)
    assert (maps[0].shape[1], maps[1].shape[1]) == (2, 4)


def test_the_seed_follows_from_the_pixels_that_are_read(studies: list[tuple[Radiograph, ...]]) -> None:
    frontal, lateral = studies[0]
    assert sampling_seed((frontal, lateral), (0, 1)) == sampling_seed((lateral, frontal), (1, 0))
    seeds = {
        sampling_seed((frontal, lateral), (0, 1)),
        sampling_seed((frontal, lateral), (0, None)),
        sampling_seed((lateral,), (1,)),
        sampling_seed(studies[1], (0, 1)),
    }
    assert len(seeds) == 4

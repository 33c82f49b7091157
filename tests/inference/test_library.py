"""The library of models: listing, loading, sharing of image encoders and features."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from rrg.data.phantom import make_phantom
from rrg.errors import InputError
from rrg.inference.library import ModelLibrary
from rrg.inference.reporter import Reporter
from rrg.inference.weights import count_parameters
from rrg.models import ARCHITECTURES
from rrg.models.r2gen_cmn import R2GenCMN


def test_architectures_without_weights_are_listed_with_the_command_that_trains_them(tmp_path: Path) -> None:
    infos = ModelLibrary(tmp_path).list()
    assert [info.name for info in infos] == list(ARCHITECTURES)
    assert not any(info.available for info in infos)
    for info in infos:
        assert f"make train MODEL={info.name} DATA=folder" in info.note
        with pytest.raises(InputError, match=rf"make train MODEL={info.name} "):
            ModelLibrary(tmp_path).reporter(info.name)


def test_the_error_for_an_unknown_model_lists_the_known_ones(tiny_weights: Path) -> None:
    with pytest.raises(InputError, match=r"no model 'gpt'.*r2gen_cmn"):
        ModelLibrary(tiny_weights).reporter("gpt")


def test_a_further_model_is_listed_after_the_architectures(tiny_weights: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_weights / "r2gen_cmn", tmp_path / "from_feedback")
    info = ModelLibrary(tmp_path).list()[-1]
    assert (info.name, info.title, info.available) == ("from_feedback", "R2GenCMN", True)
    assert ModelLibrary(tmp_path).reporter("from_feedback").weights_sha256 == info.weights_sha256


def test_many_threads_share_one_loaded_model(tiny_weights: Path) -> None:
    library = ModelLibrary(tiny_weights)
    with ThreadPoolExecutor(8) as pool:
        reporters = list(pool.map(lambda _: library.reporter("r2gen_cmn"), range(8)))
    assert len({id(reporter) for reporter in reporters}) == 1


def test_models_that_share_an_image_encoder_encode_a_study_once(tiny_weights: Path, tiny_shared: Path) -> None:
    library = ModelLibrary(tiny_shared)
    one, other = library.reporter("one"), library.reporter("other")
    assert one.model.image_encoder is other.model.image_encoder
    calls = []
    one.model.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    study, lateral = make_phantom(0, size=96).study, make_phantom(1, size=96).study
    alone = Reporter.from_pretrained(tiny_weights / "r2gen_cmn", device="cpu")
    for reporter in (one, other, one):
        assert reporter.report(study).text == alone.report(study).text
    assert len(calls) == 1
    other.report(lateral)
    assert len(calls) == 2
    other.report(replace(lateral, images=lateral.images[:1]))  # another study: one view of it
    assert len(calls) == 3
    for seed in range(2, 9):
        one.report(make_phantom(seed, size=96).study)
    one.report(study)
    assert len(calls) == 11, "only the latest are cached"


@pytest.mark.slow
def test_masked_views_are_not_shared_with_models_that_encode_none(weights: Path) -> None:
    library, study = ModelLibrary(weights), make_phantom(0, size=256).study
    plain, masked = library.reporter("r2gen_cmn"), library.reporter("csr_lmca")
    assert plain.model.image_encoder is masked.model.image_encoder
    assert plain.feature_cache is masked.feature_cache
    plain.report(study)
    alone = Reporter.from_pretrained(weights / "csr_lmca", device="cpu").report(study)
    assert masked.report(study).text == alone.text
    assert plain.encode(study).features.feature_maps.shape[1] == 2
    assert masked.encode(study).features.feature_maps.shape[1] == 4, "two views and their masked copies"


def test_counting_reads_the_parameters_and_statistics_of_the_model(tiny_weights: Path) -> None:
    model = R2GenCMN.from_pretrained(tiny_weights / "r2gen_cmn")  # that of a reporter has its batch norms folded
    assert count_parameters(tiny_weights / "r2gen_cmn") == sum(t.numel() for t in model.state_dict().values())


def test_listing_loads_no_model_code(tiny_weights: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from rrg.inference.library import ModelLibrary; "
        f"assert ModelLibrary(Path({str(tiny_weights)!r})).list()[0].available; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

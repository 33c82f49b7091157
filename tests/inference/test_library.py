"""The library of models: listing, loading, sharing of image encoders and features."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrg.data.phantom import make_phantom
from rrg.decoding.progress import Progress
from rrg.errors import InputError
from rrg.inference.library import ModelLibrary
from rrg.inference.loading import tensor_bytes
from rrg.inference.reporter import Reporter
from rrg.inference.weights import count_parameters, weights_digest
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


def test_models_that_share_an_image_encoder_encode_a_study_once(
    tiny_weights: Path, tiny_shared: Callable[[str], Path]
) -> None:
    for name in ("one", "other"):
        weights = tiny_shared(name).parent
    library = ModelLibrary(weights)
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


DAMAGES: dict[str, Callable[[Path], object]] = {
    "config.json cannot be read": lambda folder: (folder / "config.json").write_text('{"model_type": '),
    "config.json is not a JSON object": lambda folder: (folder / "config.json").write_text("[]"),
    "model.safetensors cannot be read": lambda folder: cut_in_half(folder / "model.safetensors"),
    "model.safetensors is missing": lambda folder: (folder / "model.safetensors").unlink(),
    "tokenizer.json cannot be read": lambda folder: cut_in_half(folder / "tokenizer.json"),
    "generation_config.json cannot be read": lambda folder: (folder / "generation_config.json").write_bytes(b"\xff"),
    "type 'bert'": lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'),
    "names no model type": lambda folder: (folder / "config.json").write_text('{"model_type": ["camanet"]}'),
    "Its files are damaged": lambda folder: changed_configuration(folder, image_encoder_file=["x"]),
    "shared.safetensors is missing": lambda folder: (folder.parent / "shared.safetensors").unlink(),
}
"""What the note names -> how the folder was damaged."""


def changed_configuration(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def cut_in_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("named", DAMAGES)
def test_a_damaged_folder_is_listed_with_the_reason_and_stops_no_other(
    named: str, tiny_shared: Callable[[str], Path], tiny_weights: Path
) -> None:
    damaged = tiny_shared("camanet")  # the name of an architecture, so it is listed whatever its config.json says
    shutil.copytree(tiny_weights / "r2gen_cmn", damaged.parent / "r2gen_cmn")
    DAMAGES[named](damaged)
    library = ModelLibrary(damaged.parent)
    infos = {info.name: info for info in library.list()}
    assert not infos["camanet"].available
    assert named in infos["camanet"].note
    assert str(damaged.parent) not in infos["camanet"].note, "the page names no folder of the server"
    with pytest.raises(InputError, match="cannot be used"):
        library.reporter("camanet")
    assert infos["r2gen_cmn"].available
    assert library.reporter("r2gen_cmn").report(make_phantom(0, size=64).study).text


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, '{"val": 3}'])
def test_damaged_figures_do_not_make_a_model_unusable(text: str, tiny_shared: Callable[[str], Path]) -> None:
    folder = tiny_shared("camanet")
    (folder / "results.json").write_text(text)
    info = next(info for info in ModelLibrary(folder.parent).list() if info.name == "camanet")
    assert info.available
    assert info.val is None


def test_a_further_folder_with_a_damaged_configuration_is_listed_too(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{")
    info = ModelLibrary(tmp_path).list()[-1]
    assert (info.name, info.title, info.available) == ("mine", "mine", False)
    assert "mine/config.json cannot be read" in info.note


def test_weights_that_do_not_fit_the_configuration_are_named(tiny_weights: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_weights / "r2gen_cmn", tmp_path / "r2gen_cmn")
    config = tmp_path / "r2gen_cmn" / "config.json"
    config.write_text(config.read_text().replace('"hidden_size": 32', '"hidden_size": 64'))
    with pytest.raises(InputError, match=r"cannot be loaded.*Copy its whole folder again"):
        ModelLibrary(tmp_path).reporter("r2gen_cmn")


# Memory


def shared_weights(tiny_shared: Callable[[str], Path], *names: str) -> Path:
    """A folder of weights with these models, which share an image encoder."""
    folders = [tiny_shared(name) for name in names]
    return folders[0].parent


def size_of(library: ModelLibrary, *names: str) -> int:
    for name in names:
        library.reporter(name)
    return library._bytes()


def test_a_shared_image_encoder_counts_once(tiny_shared: Callable[[str], Path]) -> None:
    weights = shared_weights(tiny_shared, "one", "other")
    one, both = (size_of(ModelLibrary(weights), *names) for names in (("one",), ("one", "other")))
    model = ModelLibrary(weights).reporter("one").model
    assert one == tensor_bytes(model)
    assert both == 2 * one - tensor_bytes(model.image_encoder)


def test_the_least_recently_used_model_leaves(tiny_shared: Callable[[str], Path]) -> None:
    weights = shared_weights(tiny_shared, "one", "two", "three")
    library = ModelLibrary(weights, max_bytes=size_of(ModelLibrary(weights), "one", "two"))
    for name in ("one", "two", "one"):
        library.reporter(name)
    assert [library.is_loaded(name) for name in ("one", "two", "three")] == [True, True, False]
    gone = weakref.ref(library.reporter("two"))
    library.reporter("one")
    library.reporter("three")
    assert [library.is_loaded(name) for name in ("one", "two", "three")] == [True, False, True]
    assert gone() is None, "its memory is free"
    study = make_phantom(0, size=64).study
    assert library.reporter("two").report(study).text == ModelLibrary(weights).reporter("two").report(study).text


def test_a_model_in_use_stays_with_its_user(tiny_shared: Callable[[str], Path]) -> None:
    weights = shared_weights(tiny_shared, "one", "two")
    library, study = ModelLibrary(weights, max_bytes=1), make_phantom(0, size=64).study
    used = library.reporter("one")
    before = used.report(study).text
    library.reporter("two")
    assert not library.is_loaded("one") and library.is_loaded("two"), "the model asked for stays in any budget"
    assert used.report(study).text == before
    assert library.reporter("one") is used, "not a second copy"


def test_loading_reports_its_state(tiny_weights: Path) -> None:
    library = ModelLibrary(tiny_weights)
    frames: list[tuple[Progress, bool]] = []
    assert not library.is_loaded("r2gen_cmn")
    library.reporter("r2gen_cmn", lambda frame: frames.append((frame, library.is_loaded("r2gen_cmn"))))
    assert frames == [(Progress("loading model", 0, 1), False), (Progress("loading model", 1, 1), True)]
    library.reporter("r2gen_cmn", lambda frame: frames.append((frame, True)))
    assert len(frames) == 2


def test_a_model_in_memory_is_given_while_another_one_is_loaded(
    tiny_shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = shared_weights(tiny_shared, "one", "two")
    library, ready = ModelLibrary(weights), threading.Event()
    library.reporter("one")

    def wait(frame: Progress) -> None:
        assert ready.wait(60)

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(library.reporter, "two", wait)
        library.reporter("one")
        ready.set()
        assert loading.result().name == "two"


# The best model


def measured(folder: Path, rouge_l: float, micro_f1: float, **changes: Any) -> None:
    record = {
        "model": folder.name,
        "weights_sha256": weights_digest(folder),
        "split": "val",
        "data": "phantoms",
        "studies": 6,
        "figures": {
            "r2gen": {folder.name: {"ROUGE-L": [rouge_l, 0, 1]}},
            "clinical": {folder.name: {"micro-F1-13": [micro_f1, 0, 1]}},
        },
    }
    (folder / "results.json").write_text(json.dumps(record | changes))


def test_the_best_on_val_is_marked_with_its_figures(tiny_shared: Callable[[str], Path]) -> None:
    one, two, three = (tiny_shared(name) for name in ("one", "two", "three"))
    measured(one, 0.5, 0.2)
    measured(two, 0.3, 0.5)
    measured(three, 0.9, 0.9, split="test")
    infos = {info.name: info for info in ModelLibrary(one.parent).list()}
    assert [name for name, info in infos.items() if info.best] == ["two"]
    assert infos["two"].val is not None and infos["two"].val.score == pytest.approx(0.4)
    assert infos["two"].note == (
        "Best of 2 models on val: the mean of ROUGE-L 0.300 and micro-F1 0.500 is 0.400 (6 studies of phantoms)."
    )
    assert (infos["one"].note, infos["three"].val) == ("", None)
    (two / "model.safetensors").write_bytes(b"damaged")
    assert [info.name for info in ModelLibrary(one.parent).list() if info.best] == ["one"]


@pytest.mark.parametrize("changes", [{"weights_sha256": "0" * 64}, {"figures": {}}, {"studies": None}])
def test_results_of_other_weights_or_another_shape_do_not_count(
    changes: dict[str, Any], tiny_shared: Callable[[str], Path]
) -> None:
    one = tiny_shared("one")
    measured(one, 0.5, 0.2, **changes)
    assert not any(info.best or info.val for info in ModelLibrary(one.parent).list())


def test_one_bundled_model_is_the_best(weights: Path) -> None:
    infos = [info for info in ModelLibrary(weights).list() if info.available]
    assert all(info.val is not None for info in infos)
    scores = {info.name: info.val.score for info in infos if info.val}
    assert [info.name for info in infos if info.best] == [max(scores, key=lambda name: scores[name])]

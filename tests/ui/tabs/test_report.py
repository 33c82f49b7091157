"""The handlers of the report tab, called as plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.inference.library import ModelLibrary
from rrg.models import ARCHITECTURES
from rrg.ui.examples import PUBLIC, SYNTHETIC
from rrg.ui.service import Service
from rrg.ui.settings import Settings
from rrg.ui.tabs import report as tab


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, "127.0.0.1", 7860, sqlite_url(tmp_path / "db.sqlite3"), tmp_path / "weights", None)


@pytest.fixture
def store(settings: Settings) -> Iterator[FeedbackStore]:
    with FeedbackStore(settings.database_url) as store:
        yield store


@pytest.fixture
def service(settings: Settings, store: FeedbackStore, fake_library: Any) -> Service:
    return Service(settings, fake_library, store)


def _shown(service: Service, radiograph_file: Callable[..., Path]) -> dict[str, Any]:
    report = service.generate_report(service.open_upload(radiograph_file(0), None), "plain")
    return {"report_id": report.report_id}


def test_a_study_is_opened_and_its_report_and_maps_appear_in_steps(
    service: Service, radiograph_file: Callable[..., Path]
) -> None:
    *_, opened, _ = tab.open_upload(service, str(radiograph_file(0)), None)
    steps = list(tab.generate_report(service, opened["study_id"], "plain"))
    assert [step["status"]["tone"] for step in steps] == ["busy", "busy", "busy", "good"]
    *_, written, explained = steps
    assert written["report"]["text"] == written["correction"]
    assert written["viewer"]["maps"] == {}
    assert len(explained["viewer"]["maps"]["sentence"]) == len(written["report"]["lines"])


def test_removing_the_files_closes_the_study(service: Service) -> None:
    (update,) = tab.open_upload(service, None, None)
    assert update["study_id"] is None
    assert update["report"] is None


def test_a_stored_report_is_restored_with_its_correction(
    service: Service, radiograph_file: Callable[..., Path]
) -> None:
    shown = _shown(service, radiograph_file)
    tab.save_correction(service, shown, "The heart is enlarged.", "Dr A")
    first, last = tab.restore(service, shown["report_id"])
    assert first["model"] == "plain"
    assert (first["correction"], first["reader"]) == ("The heart is enlarged.", "Dr A")
    assert last["viewer"]["maps"]["word"]


def test_a_report_on_a_deleted_upload_is_restored_without_images(
    service: Service, settings: Settings, store: FeedbackStore, fake_library: Any, radiograph_file: Callable[..., Path]
) -> None:
    shown = _shown(service, radiograph_file)
    restarted = Service(settings, fake_library, store)
    (update,) = tab.restore(restarted, shown["report_id"])
    assert update["report"]["report_id"] == shown["report_id"]
    assert "study_id" not in update
    assert update["status"]["tone"] == "warning"


def test_a_failure_to_save_is_never_shown_as_saved(
    service: Service, radiograph_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = _shown(service, radiograph_file)

    def full(*_: object) -> None:
        raise OSError("disk full at /srv/SMITH")

    monkeypatch.setattr(service, "save_correction", full)
    notice = tab.save_correction(service, shown, "The heart is enlarged.", "Dr A")
    assert notice["tone"] == "bad"
    assert notice["text"].startswith("Not saved.")
    assert "SMITH" not in notice["text"]


@pytest.mark.parametrize("shown", [None, "", {}, {"report_id": 3}, {"report_id": "forged"}])
def test_values_sent_by_the_page_are_validated(service: Service, shown: Any) -> None:
    assert tab.save_correction(service, shown, "text", "Dr A")["text"].startswith("Not saved.")


def test_the_notice_of_a_saved_correction_has_id_reader_and_time(
    service: Service, store: FeedbackStore, radiograph_file: Callable[..., Path]
) -> None:
    shown = _shown(service, radiograph_file)
    notice = tab.save_correction(service, shown, "The heart is enlarged.", "Dr A")
    (stored,) = store.corrections(shown["report_id"])
    assert stored.correction_id in notice["detail"]
    assert "by Dr A" in notice["text"]
    assert stored.saved_at[:10] in notice["text"]


def test_offline_a_synthetic_example_is_shown_with_a_warning(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    online = service.open_example

    def offline(example_id: str) -> Any:
        if example_id.startswith("nih"):
            raise InputError("The example could not be downloaded.")
        return online(example_id)

    monkeypatch.setattr(service, "open_example", offline)
    *_, last, _ = tab.open_example(service, PUBLIC[0].id)
    assert last["study_id"] == SYNTHETIC[0].id
    assert last["status"]["tone"] == "warning"
    assert "Synthetic" in last["status"]["text"]


def test_a_report_by_other_weights_is_shown_without_maps(
    service: Service, fake_library: Any, radiograph_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = service.open_upload(radiograph_file(0), None)
    report = service.generate_report(study, "plain")
    assert service.explain(study, report) is not None
    monkeypatch.setattr(type(fake_library.reporter("plain")), "weights_sha256", "b" * 64)
    assert service.explain(study, report) is None


def test_an_upload_that_left_the_cache_has_to_be_opened_again(service: Service) -> None:
    with pytest.raises(InputError, match="There is no study open"):
        list(tab.generate_report(service, "upload-unknown", "plain"))


def test_an_error_becomes_a_status_notice() -> None:
    def failing(error: Exception) -> Iterator[tab.Updates]:
        yield {"study_id": "a"}
        raise error

    first, last = tab.errors_in_status(failing(InputError("Choose a model.")))
    assert first == {"study_id": "a"}
    assert (last["status"]["text"], last["status"]["tone"]) == ("Choose a model.", "bad")
    *_, last = tab.errors_in_status(failing(OSError("disk full at /srv/SMITH")))
    assert last["status"]["tone"] == "bad"
    assert "SMITH" not in last["status"]["text"]


def test_every_architecture_without_weights_is_listed_with_the_command_that_trains_it(
    settings: Settings, store: FeedbackStore, tmp_path: Path
) -> None:
    service = Service(settings, ModelLibrary(tmp_path / "none"), store)
    with gr.Blocks():
        components = tab.Components(service)
    choices = {name: label for label, name in components.model.choices}
    assert list(choices) == list(ARCHITECTURES)
    assert components.model.value is None
    study = service.open_example(SYNTHETIC[0].id)
    for name, label in choices.items():
        assert label == f"{ARCHITECTURES[name].title} (no weights)"
        assert f"make train MODEL={name} DATA=folder" in tab.model_facts(service, name)
        with pytest.raises(InputError, match=f"make train MODEL={name} "):
            list(tab.generate_report(service, study.id, name))


def _blank_file(folder: Path, grey: int) -> str:
    path = folder / f"{grey}.png"
    Image.fromarray(np.full((200, 200), grey, np.uint8)).save(path)
    return str(path)


def test_the_notes_of_a_study_follow_its_images_and_go_with_it(service: Service, tmp_path: Path) -> None:
    steps = list(tab.open_upload(service, _blank_file(tmp_path, 0), None, "plain"))
    assert [step.get("notes") for step in steps[:2]] == [[], []], "the images do not wait for the notes"
    (note,) = steps[2]["notes"]
    assert (note["severity"], note["remedy"], note["label"]) == ("refuse", None, "")
    assert steps[2].keys() == {"notes"}
    (closed,) = tab.open_upload(service, None, None)
    assert closed["notes"] == []


@pytest.mark.parametrize("model", [None, "missing"])
def test_without_a_model_that_runs_the_pixels_are_checked(service: Service, tmp_path: Path, model: str | None) -> None:
    *_, noted = tab.open_upload(service, _blank_file(tmp_path, 255), None, model)
    assert [note["severity"] for note in noted["notes"]] == ["refuse"]


def test_a_refused_study_gets_no_report(service: Service, store: FeedbackStore, tmp_path: Path) -> None:
    opened = list(tab.open_upload(service, _blank_file(tmp_path, 0), None, "plain"))[1]
    *_, failed = tab.errors_in_status(tab.generate_report(service, opened["study_id"], "plain"))
    assert failed["status"]["tone"] == "bad"
    assert failed["status"]["text"].startswith("No report was written. This image is empty")
    assert store.counts().reports == 0


def test_a_remedy_opens_the_corrected_study(service: Service, radiograph_file: Callable[..., Path]) -> None:
    opened = list(tab.open_upload(service, str(radiograph_file(0)), None, "plain"))[1]
    mended, noted = tab.apply_remedy(service, opened["study_id"], "plain", "invert", 0)
    assert mended["study_id"] != opened["study_id"]
    assert "inverted by the reader" in mended["viewer"]["value"][0]["caption"]
    assert noted == {"notes": []}
    before, after = (service.find_study(shown["study_id"]) for shown in (opened, mended))
    assert before and after
    np.testing.assert_array_equal(after.radiographs()[0].pixels, 1 - before.radiographs()[0].pixels)
    with pytest.raises(InputError, match="no study open"):
        list(tab.apply_remedy(service, "upload-unknown", "plain", "invert", 0))


def test_a_report_opened_again_shows_its_notes(service: Service, tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:100, 0:100]
    path = tmp_path / "small.png"
    Image.fromarray((rows + columns).astype(np.uint8)).save(path)
    study = service.open_upload(path, None)
    report = service.generate_report(study, "plain")
    shown = next(iter(tab.restore(service, report.report_id)))
    assert ["100 x 100" in note["reason"] for note in shown["notes"]] == [True]

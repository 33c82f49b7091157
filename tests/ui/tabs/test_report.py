"""The page's handlers, called as plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.inference.library import ModelLibrary
from rrg.models import ARCHITECTURES
from rrg.ui.examples import PUBLIC, SYNTHETIC
from rrg.ui.service import Desk
from rrg.ui.settings import Settings
from rrg.ui.tabs.report import Workspace


@pytest.fixture
def desk(tmp_path: Path, fake_library: Any) -> Iterator[Desk]:
    settings = Settings(tmp_path, "127.0.0.1", 7860, sqlite_url(tmp_path / "db.sqlite3"), tmp_path / "weights", None)
    with FeedbackStore(settings.database_url) as store:
        yield Desk(settings, fake_library, store)


@pytest.fixture
def workspace(desk: Desk) -> Workspace:
    with gr.Blocks() as blocks:
        return Workspace(desk, blocks)


def _shown(desk: Desk, radiograph_file: Callable[..., Path]) -> dict[str, Any]:
    report = desk.write_report(desk.open_upload(radiograph_file(0), None), "plain")
    return {"report_id": report.report_id}


def test_a_failure_to_save_is_never_shown_as_saved(
    workspace: Workspace, radiograph_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = _shown(workspace.desk, radiograph_file)

    def full(*_: object) -> None:
        raise OSError("disk full at /srv/SMITH")

    monkeypatch.setattr(workspace.desk.store, "save_correction", full)
    said = workspace.save_correction(shown, "The heart is enlarged.", "Dr A")
    assert said["tone"] == "bad"
    assert said["text"].startswith("Not saved.")
    assert "SMITH" not in said["text"]


@pytest.mark.parametrize("shown", [None, "", {}, {"report_id": 3}, {"report_id": "forged"}])
def test_what_the_page_sends_back_is_not_trusted(workspace: Workspace, shown: Any) -> None:
    assert workspace.save_correction(shown, "text", "Dr A")["text"].startswith("Not saved.")


def test_saving_tells_id_reader_and_time(workspace: Workspace, radiograph_file: Callable[..., Path]) -> None:
    shown = _shown(workspace.desk, radiograph_file)
    said = workspace.save_correction(shown, "The heart is enlarged.", "Dr A")
    (kept,) = workspace.desk.store.corrections(shown["report_id"])
    assert kept.correction_id in said["detail"]
    assert "by Dr A" in said["text"]
    assert kept.saved_at[:10] in said["text"]


def test_offline_a_synthetic_example_stands_in_and_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = workspace.desk.open_example

    def offline(example_id: str) -> Any:
        if example_id.startswith("nih"):
            raise InputError("The example could not be downloaded.")
        return drawn(example_id)

    monkeypatch.setattr(workspace.desk, "open_example", offline)
    *_, last = workspace.open_example(PUBLIC[0].id)
    assert last[workspace.study_id] == SYNTHETIC[0].id
    assert last[workspace.status]["tone"] == "warning"
    assert "Synthetic" in last[workspace.status]["text"]


def test_a_report_by_weights_that_are_gone_is_shown_without_maps(
    desk: Desk, fake_library: Any, radiograph_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = desk.open_upload(radiograph_file(0), None)
    report = desk.write_report(study, "plain")
    assert desk.explain(study, report) is not None
    monkeypatch.setattr(type(fake_library.reporter("plain")), "weights_sha256", "b" * 64)
    assert desk.explain(study, report) is None


def test_an_upload_that_was_forgotten_has_to_be_opened_again(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="There is no study open"):
        list(workspace.write_report("upload-unknown", "plain"))


def test_every_architecture_without_weights_is_shown_as_such_with_the_command_that_trains_it(
    desk: Desk, tmp_path: Path
) -> None:
    desk.library = ModelLibrary(tmp_path / "none")
    with gr.Blocks() as blocks:
        workspace = Workspace(desk, blocks)
    choices = {name: label for label, name in workspace.model.choices}
    assert list(choices) == list(ARCHITECTURES)
    assert workspace.model.value is None
    study = desk.open_example(SYNTHETIC[0].id)
    for name, label in choices.items():
        assert label == f"{ARCHITECTURES[name].title} (no weights)"
        assert f"make train MODEL={name} DATA=folder" in workspace._model_facts(name)
        with pytest.raises(InputError, match=f"make train MODEL={name} "):
            list(workspace.write_report(study.id, name))

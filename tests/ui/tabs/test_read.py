"""The handlers of the Read tab, called as plain functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
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
from rrg.report import Note
from rrg.ui.examples import PUBLIC, SYNTHETIC
from rrg.ui.service import Service
from rrg.ui.settings import Settings
from rrg.ui.study_list import Query
from rrg.ui.tabs.read import _Wiring, handlers
from rrg.ui.tabs.read.handlers import Page
from rrg.ui.tabs.read.layout import Components
from rrg.ui.tabs.read.updates import Updates, status

QUERY = {"text": "synthetic", "filter": "all", "drafts": []}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, "127.0.0.1", 7860, sqlite_url(tmp_path / "db.sqlite3"), tmp_path / "weights", None)


@pytest.fixture
def store(settings: Settings) -> Iterator[FeedbackStore]:
    with FeedbackStore(settings.database_url) as store:
        yield store


@pytest.fixture
def service(settings: Settings, store: FeedbackStore, fake_library: Any) -> Iterator[Service]:
    service = Service(settings, fake_library, store)
    yield service
    service.queue.close()


@pytest.fixture
def page() -> Page:
    return Page(SYNTHETIC[0].id, "plain", "Dr A", "session")


def _all(updates: AsyncIterator[Updates]) -> list[Updates]:
    async def collect() -> list[Updates]:
        return [update async for update in updates]

    return asyncio.run(collect())


def _final(updates: AsyncIterator[Updates]) -> dict[str, Any]:
    """The value of each component after all updates, with the props of `gr.update`."""
    values: dict[str, Any] = {}
    for update in _all(updates):
        for name, value in update.items():
            if isinstance(value, dict) and value.get("__type__") == "update":
                values[name] = {**values.get(name, {}), **value}
            else:
                values[name] = value
    return values


def test_a_study_is_opened_and_its_report_and_maps_appear_in_steps(service: Service, page: Page) -> None:
    opened = _final(handlers.open_study(service, page, page.study_id))
    assert opened["study"]["title"] == SYNTHETIC[0].label
    assert opened["report"]["value"] is None
    steps = _all(handlers.write_report(service, page))
    assert [step["status"]["tone"] for step in steps if "status" in step][-1] == "good"
    (written,) = (step for step in steps if (step.get("report") or {}).get("value"))
    assert written["report"]["value"]["text"] == written["editor"]["value"]["report"]["text"]
    assert len(steps[-1]["viewer"]["maps"]["sentence"]) == len(written["report"]["value"]["lines"])


def test_a_report_already_written_is_shown_when_its_study_is_opened(service: Service, page: Page) -> None:
    written = _final(handlers.write_report(service, page))
    again = _final(handlers.open_study(service, page, page.study_id))
    assert again["report"]["value"]["report_id"] == written["report"]["value"]["report_id"]
    assert again["viewer"]["maps"]["word"]
    assert again["write"]["value"] == "Write again"
    other = _final(handlers.open_study(service, page, SYNTHETIC[1].id))
    assert other["report"]["value"] is None
    assert other["write"]["value"] == "Write report"


def test_a_report_by_other_weights_is_not_shown_as_written(service: Service, page: Page) -> None:
    _all(handlers.write_report(service, page))
    service.models["plain"] = replace(service.models["plain"], weights_sha256="b" * 64)
    assert _final(handlers.open_study(service, page, page.study_id))["report"]["value"] is None


def test_another_model_shows_its_own_report(service: Service, page: Page) -> None:
    _all(handlers.write_report(service, page))
    assert _final(handlers.choose_model(service, replace(page, model="terse")))["report"]["value"] is None
    assert _final(handlers.choose_model(service, page))["report"]["value"]["model"] == "plain"


@pytest.mark.parametrize(
    ("address", "message"),
    [({"report": "nonsense"}, "not known here"), ({"study": "upload-gone"}, "no longer on the server")],
)
def test_an_address_that_names_nothing_is_refused(
    service: Service, page: Page, address: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _all(handlers.restore(service, page, address))


def test_an_address_is_restored_with_its_report(service: Service, page: Page) -> None:
    report = _final(handlers.write_report(service, replace(page, model="terse")))["report"]["value"]
    for address in ({"report": report["report_id"]}, {"study": report["study_id"], "model": "terse"}):
        shown = _final(handlers.restore(service, page, address))
        assert shown["model"] == "terse"
        assert shown["report"]["value"]["report_id"] == report["report_id"]
        assert shown["study"]["study_id"] == page.study_id
        assert shown["viewer"]["maps"]["word"]


def test_a_report_on_a_deleted_upload_is_restored_without_images(
    service: Service, settings: Settings, store: FeedbackStore, fake_library: Any, radiograph_file: Callable[..., Path]
) -> None:
    page = Page(service.open_files([str(radiograph_file(0))]).id, "plain", "")
    report = _final(handlers.write_report(service, page))["report"]["value"]
    restarted = Service(settings, fake_library, store)
    shown = _final(handlers.restore(restarted, page, {"report": report["report_id"]}))
    assert shown["report"]["value"]["report_id"] == report["report_id"]
    assert "study" not in shown
    assert shown["status"]["tone"] == "warning"


def test_offline_a_public_example_is_refused_and_nothing_else_is_shown(
    service: Service, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object) -> Any:
        raise InputError("The example could not be downloaded.")

    monkeypatch.setattr("rrg.ui.service.open_example", offline)
    *_, last = _all(handlers.errors_in_status(handlers.open_study(service, page, PUBLIC[0].id)))
    assert (last["status"]["tone"], set(last)) == ("bad", {"status"})


def test_more_than_two_files_are_refused(service: Service, page: Page, radiograph_file: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="These are 3 files"):
        _all(handlers.open_files(service, page, [str(radiograph_file(seed)) for seed in range(3)]))


def test_steps_go_through_the_list_and_end(service: Service, page: Page) -> None:
    query = Query.from_dict(QUERY)
    seen = [page.study_id]
    while True:
        shown = _final(handlers.step(service, replace(page, study_id=seen[-1]), 1, query))
        if "study" not in shown:
            break
        seen.append(shown["study"]["study_id"])
    assert seen == [example.id for example in SYNTHETIC]
    assert "last study" in shown["status"]["text"]


def test_a_pasted_reference_counts_for_its_study_only(
    service: Service, page: Page, radiograph_file: Callable[..., Path]
) -> None:
    page = replace(page, study_id=service.open_files([str(radiograph_file(0))]).id)
    report = _final(handlers.write_report(service, page))
    assert not report["reference"]["reference"]
    pasted = _final(handlers.paste(service, page, report["report"]["value"] | {"text": "No effusion."}))
    assert pasted["findings"]["has_reference"]
    assert pasted["reference"]["reference"]
    kept = replace(page, pasted=pasted["pasted"])
    assert _final(handlers.open_study(service, kept, page.study_id))["reference"]["reference"]
    other = service.open_files([str(radiograph_file(1))]).id
    _all(handlers.write_report(service, replace(kept, study_id=other)))
    assert not _final(handlers.open_study(service, kept, other))["reference"]["reference"]


def test_reasons_to_doubt_a_report_are_shown(service: Service, page: Page) -> None:
    assert _final(handlers.write_report(service, page))["report"]["badges"] == []
    terse = replace(page, model="terse")
    assert _final(handlers.write_report(service, terse))["report"]["badges"] == ["terse is in doubt."]
    assert _final(handlers.open_study(service, terse, page.study_id))["report"]["badges"] == ["terse is in doubt."]


@pytest.mark.parametrize(
    ("model", "same", "text"), [("plain", False, "25% of the words"), ("terse", True, "did not matter")]
)
def test_a_report_is_compared_with_the_one_on_a_blank_image(
    service: Service, page: Page, model: str, same: bool, text: str
) -> None:
    report = _final(handlers.write_report(service, replace(page, model=model)))["report"]["value"]
    shown = _final(handlers.check_blank(service, page, {"report_id": report["report_id"]}))["report"]
    assert shown["blank_same"] is same
    assert text in shown["blank"]
    with pytest.raises(InputError, match="There is no report to check"):
        _all(handlers.check_blank(service, page, {"report_id": "forged"}))


def test_a_flag_is_stored_for_the_reader(service: Service, page: Page) -> None:
    values = {"study_id": SYNTHETIC[1].id, "flagged": True, "query": QUERY}
    (update,) = _all(handlers.flag(service, page, values))
    assert [row["flagged"] for row in update["studies"]["rows"]] == [False, True, False, False]
    assert not any(row.flagged for row in service.study_rows(Query(), "Dr B").rows)


def test_stopping_stores_nothing_and_frees_the_queue(
    service: Service, store: FeedbackStore, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stop_at_once() -> None:
        stream = handlers.write_report(service, page)
        await anext(stream)
        await stream.aclose()  # pyright: ignore[reportAttributeAccessIssue]

    asyncio.run(stop_at_once())
    assert _final(handlers.write_report(service, page))["status"]["tone"] == "good"
    assert store.counts().reports == 1


def test_the_status_is_that_of_the_newest_event(service: Service) -> None:
    """The check of an opened study ends while a report is written: its notes appear, and the progress stays."""
    with gr.Blocks():
        components = Components(service)
    wiring = _Wiring(service, components)
    turns = {name: asyncio.Event() for name in ("opened", "written", "noted")}

    async def check(*_: object) -> AsyncIterator[Updates]:
        yield status("Checking")
        await turns["written"].wait()
        yield {"notes": ["note"]} | status("Ready. Write the report.")
        yield status("Ready again.")

    async def write(*_: object) -> AsyncIterator[Updates]:
        yield status("Writing")
        turns["written"].set()
        await turns["noted"].wait()
        yield status("Written")

    async def press() -> list[dict[Any, Any]]:
        shown: list[dict[Any, Any]] = []
        request, event = SimpleNamespace(session_hash="session"), SimpleNamespace(_data={})

        async def run(handler: Any, ended: str) -> None:
            async for update in wiring.running(handler)(None, None, "", None, request, event):  # pyright: ignore
                shown.append(update)
                turns["opened"].set()
            turns[ended].set()

        checking = asyncio.create_task(run(check, "noted"))
        await turns["opened"].wait()
        await asyncio.gather(checking, run(write, "written"))
        return shown

    shown = asyncio.run(press())
    told = [update[components.status]["text"] for update in shown if components.status in update]
    assert told == ["Checking", "Writing", "Written"]
    assert [update[components.notes] for update in shown if components.notes in update] == [["note"]]
    assert all(shown), "an empty update would be taken for the value of the first component"


def test_a_page_that_loads_late_leaves_the_status_of_an_opened_study(service: Service) -> None:
    """On a slow connection the event of the page may begin after the click on a study."""
    with gr.Blocks():
        components = Components(service)
    wiring = _Wiring(service, components)
    loaded = asyncio.Event()

    async def opened(*_: object) -> AsyncIterator[Updates]:
        yield status("Reading the images")
        await loaded.wait()
        yield status("Ready. Write the report.")

    async def use() -> list[dict[Any, Any]]:
        shown: list[dict[Any, Any]] = []
        request = SimpleNamespace(session_hash="session", query_params={}, username=None)
        request.request = SimpleNamespace(client=None, headers={})
        event = SimpleNamespace(_data={})
        async for update in wiring.running(opened)(None, None, "", None, request, event):  # pyright: ignore
            shown.append(update)
            if not loaded.is_set():
                async for nothing in wiring.load("", request):  # pyright: ignore
                    assert nothing == {components.status: gr.skip()}
                loaded.set()
        return shown

    told = [update[components.status]["text"] for update in asyncio.run(use()) if components.status in update]
    assert told == ["Reading the images", "Ready. Write the report."]


def test_an_edit_that_is_ended_before_its_maps_empties_nothing(service: Service) -> None:
    """Gradio takes an event that yields nothing for one that empties all its components."""
    with gr.Blocks():
        components = Components(service)
    wiring = _Wiring(service, components)

    async def maps(*_: object) -> AsyncIterator[Updates]:
        await asyncio.Event().wait()
        yield status("never")

    async def run() -> list[dict[Any, Any]]:
        request, event = SimpleNamespace(session_hash="session"), SimpleNamespace(_data={})
        asyncio.get_running_loop().call_later(0.1, wiring._streams.stop, "session")
        editing = wiring.editing(maps)(None, None, "", None, request, event)  # pyright: ignore
        return [update async for update in editing]

    assert asyncio.run(run()) == [{components.status: gr.skip()}]


def test_an_error_becomes_a_status_notice() -> None:
    async def failing(error: Exception) -> AsyncIterator[Updates]:
        yield {"study": "a"}
        raise error

    first, last = _all(handlers.errors_in_status(failing(InputError("Choose a model."))))
    assert first == {"study": "a"}
    assert (last["status"]["text"], last["status"]["tone"]) == ("Choose a model.", "bad")
    *_, last = _all(handlers.errors_in_status(failing(OSError("disk full at /srv/SMITH"))))
    assert last["status"]["tone"] == "bad"
    assert "SMITH" not in last["status"]["text"]


def test_every_architecture_without_weights_is_listed_with_the_command_that_trains_it(
    settings: Settings, store: FeedbackStore, tmp_path: Path, page: Page
) -> None:
    service = Service(settings, ModelLibrary(tmp_path / "none"), store)
    with gr.Blocks():
        components = Components(service)
    choices = {choice["name"]: choice for choice in components.model.props["choices"]}
    assert list(choices) == list(ARCHITECTURES)
    assert components.model.value is None
    for name, choice in choices.items():
        assert choice["title"] == f"{ARCHITECTURES[name].title} (no weights)"
        assert f"make train MODEL={name} DATA=folder" in choice["facts"]
        assert not choice["available"]
        with pytest.raises(InputError, match=f"make train MODEL={name} "):
            _all(handlers.write_report(service, replace(page, model=name)))


def _blank_file(folder: Path, grey: int) -> str:
    path = folder / f"{grey}.png"
    Image.fromarray(np.full((200, 200), grey, np.uint8)).save(path)
    return str(path)


@pytest.mark.parametrize("model", ["plain", "missing", None])
def test_notes_appear_after_the_images_and_before_a_report(
    service: Service, page: Page, tmp_path: Path, model: str | None
) -> None:
    steps = _all(handlers.open_files(service, replace(page, model=model), [_blank_file(tmp_path, 0)]))
    (noted,) = (step for step in steps if step.get("notes"))
    assert steps.index(noted) > next(i for i, step in enumerate(steps) if step.get("study"))
    (note,) = noted["notes"]
    assert (note["severity"], note["remedy"]) == ("refuse", None)
    assert steps[-1]["status"]["tone"] == "bad"


def test_a_refused_study_gets_no_report(service: Service, store: FeedbackStore, page: Page, tmp_path: Path) -> None:
    page = replace(page, study_id=service.open_files([_blank_file(tmp_path, 0)]).id)
    *_, failed = _all(handlers.errors_in_status(handlers.write_report(service, page)))
    assert failed["status"]["tone"] == "bad"
    assert failed["status"]["text"].startswith("No report was written. This image is empty")
    assert store.counts().reports == 0


def test_a_remedy_opens_the_corrected_study(service: Service, page: Page, radiograph_file: Callable[..., Path]) -> None:
    page = replace(page, study_id=service.open_files([str(radiograph_file(0))]).id)
    shown = _final(handlers.correct_images(service, page, {"remedy": "invert", "image": 0}))
    assert shown["study"]["study_id"] != page.study_id
    assert "inverted by the reader" in shown["viewer"]["value"][0]["caption"]
    before, after = (service.find_study(str(study)) for study in (page.study_id, shown["study"]["study_id"]))
    assert before and after
    np.testing.assert_array_equal(after.radiographs()[0].pixels, 1 - before.radiographs()[0].pixels)
    with pytest.raises(InputError, match="no study open"):
        _all(handlers.correct_images(service, replace(page, study_id="gone"), {"remedy": "invert", "image": 0}))


def test_uploaded_files_are_put_into_their_slots(
    service: Service, page: Page, radiograph_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(radiograph_file(seed)) for seed in (0, 1)]
    given = service.open_files(paths)
    swap = Note("wrong_view", "warn", "The views are exchanged.", 0, "swap_views")
    monkeypatch.setattr(service, "check", lambda study, model: (swap,) if study.id == given.id else ())
    shown = _final(handlers.open_files(service, page, paths))
    first, second = (radiograph.pixels for radiograph in given.radiographs())
    study = service.find_study(shown["study"]["study_id"])
    assert study
    np.testing.assert_array_equal(study.radiographs()[0].pixels, second)
    np.testing.assert_array_equal(study.radiographs()[1].pixels, first)
    assert shown["notes"] == []

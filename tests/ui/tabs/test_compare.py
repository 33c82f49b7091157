"""The handlers of the Compare tab, called as plain functions."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrg.errors import InputError
from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.inference.library import ModelLibrary
from rrg.ui.examples import SYNTHETIC
from rrg.ui.service import Service
from rrg.ui.settings import Settings
from rrg.ui.tabs.compare import handlers
from rrg.ui.tabs.compare.ballot import Ballot
from rrg.ui.tabs.compare.handlers import Page
from rrg.ui.tabs.compare.updates import Updates

STUDY = SYNTHETIC[0].id
TEXTS = {
    "plain": "The heart is normal in size. There is a small left pleural effusion.",
    "terse": "There is no pleural effusion.",
    "third": "The heart is enlarged.",
}
VOTE = {"choice": "a", "reason": "", "reader": ""}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(sqlite_url(tmp_path / "db.sqlite3")) as store:
        yield store


@pytest.fixture
def make_service(tmp_path: Path, store: FeedbackStore) -> Iterator[Callable[[Any], Service]]:
    made: list[Service] = []

    def make(library: Any) -> Service:
        settings = Settings(
            tmp_path, "127.0.0.1", 7860, sqlite_url(tmp_path / "db.sqlite3"), tmp_path / "weights", None
        )
        made.append(Service(settings, library, store))
        return made[-1]

    yield make
    for service in made:
        service.queue.close()


@pytest.fixture
def service(make_service: Callable[[Any], Service], fake_library: Any) -> Service:
    fake_library.texts = TEXTS
    return make_service(fake_library)


@pytest.fixture
def page() -> Page:
    return Page(STUDY, ("plain", "terse"), client="session")


def _all(updates: AsyncIterator[Updates]) -> list[Updates]:
    async def collect() -> list[Updates]:
        return [update async for update in updates]

    return asyncio.run(collect())


def _merged(updates: list[Updates]) -> dict[str, Any]:
    """The value of each component after all updates, with the props of `gr.update`."""
    values: dict[str, Any] = {}
    for update in updates:
        for name, value in update.items():
            if isinstance(value, dict) and value.get("__type__") == "update":
                values[name] = {**values.get(name, {}), **value}
            else:
                values[name] = value
    return values


def _final(updates: AsyncIterator[Updates]) -> dict[str, Any]:
    return _merged(_all(updates))


def _texts(shown: dict[str, Any]) -> list[str | None]:
    return [column["text"] for column in shown["comparison"]["value"]["columns"]]


# Side by side


def test_stored_reports_are_shown_at_once_and_the_others_are_written(service: Service, page: Page) -> None:
    stored = service.write_report(service.open_study(STUDY), "terse")
    shown = _final(handlers.show(service, page))
    assert _texts(shown) == [None, stored.text]
    assert shown["status"]["text"] == "1 of 2 written."
    assert (shown["write"]["value"], shown["write"]["interactive"]) == ("Write report", True)
    assert shown["comparison"]["value"]["ask"]

    written = _final(handlers.write(service, page))
    assert _texts(written) == [TEXTS["plain"], stored.text]
    assert written["write"]["interactive"] is False
    assert written["comparison"]["maps_0"]["word"] and "maps_1" not in written["comparison"]
    assert _texts(_final(handlers.show(service, page))) == _texts(written)


def test_the_maps_of_stored_reports_follow_when_the_page_asks(service: Service, page: Page) -> None:
    service.write_report(service.open_study(STUDY), "terse")
    maps = _all(handlers.explain(service, page, {"columns": [0, 1, "1", 7]}))
    assert [set(update["comparison"]) - {"__type__"} for update in maps] == [{"maps_1"}]
    assert maps[0]["comparison"]["maps_1"]["word"][0]["method"] == "cross-attention"
    service.models["terse"] = replace(service.models["terse"], weights_sha256="b" * 64)
    assert _all(handlers.explain(service, page, {"columns": [1]})) == []
    for values in (None, "", {}, {"columns": "1"}):
        with pytest.raises(InputError, match="malformed"):
            _all(handlers.explain(service, page, values))


def test_a_study_that_cannot_be_opened_is_not_shown_as_the_one_before(service: Service, page: Page) -> None:
    updates = _all(handlers.errors_in_status(handlers.show(service, replace(page, study_id="upload-gone"))))
    shown = _merged(updates)
    assert shown["comparison"]["value"] is None
    assert shown["status"]["tone"] == "bad"


def test_progress_says_how_many_are_written(service: Service, page: Page) -> None:
    steps = _all(handlers.write(service, replace(page, models=("plain", "terse", "third"))))
    said = [step["status"]["text"] for step in steps if "status" in step]
    assert [count for count in (f"{n} of 3 written" for n in range(4)) if any(count in text for text in said)] == [
        "0 of 3 written",
        "1 of 3 written",
        "2 of 3 written",
        "3 of 3 written",
    ]
    shown = [_texts(dict(step)) for step in steps if (step.get("comparison") or {}).get("value")]
    assert [sum(text is not None for text in texts) for texts in shown] == [0, 1, 2, 3]


def test_the_image_encoder_runs_once_for_all_models(make_service: Callable[[Any], Service], tiny_library: Path) -> None:
    library = ModelLibrary(tiny_library)
    service = make_service(library)
    page = Page(STUDY, tuple(name for name, info in service.models.items() if info.available))
    assert len(page.models) == 3
    passes = []
    library.reporter(page.models[0]).model.image_encoder.register_forward_hook(lambda *_: passes.append(1))
    shown = _final(handlers.write(service, page))
    assert shown["status"]["text"] == "3 of 3 written."
    assert all(shown["comparison"][f"maps_{number}"]["word"] for number in range(3))
    assert len(passes) == 1


def test_sentences_about_the_same_thing_are_in_one_row(service: Service, page: Page) -> None:
    value = _final(handlers.write(service, page))["comparison"]["value"]
    about = [row for row in value["rows"] if all(row["cells"])]
    assert [[cell["sentence"] for cell in row["cells"]] for row in about] == [[1, 0]]
    (row,) = about
    for name, cell in zip(page.models, row["cells"], strict=True):
        assert [TEXTS[name][word["start"] : word["end"]] for word in cell["words"]][-2:] == ["effusion", "."]
    assert row["contradictions"] == ["Pleural Effusion"]
    assert "pleural effusion" in row["reference"]


def test_the_matrix_has_each_finding_of_each_report_and_of_the_reference(service: Service, page: Page) -> None:
    table = _final(handlers.write(service, page))["matrix"]
    assert (len(table["rows"]), table["titles"]) == (14, ["Plain", "Terse"])
    row = table["rows"][9]
    assert (row["name"], row["differs"], row["reference"]) == ("Pleural Effusion", True, "present")
    assert [(cell["status"], cell["kind"]) for cell in row["cells"]] == [
        ("present", "agree"),
        ("absent", "contradicted"),
    ]
    (span,) = row["cells"][0]["spans"]
    assert "effusion" in TEXTS["plain"][slice(*span)]
    assert [row["name"] for row in table["rows"] if row["differs"]] == ["Pleural Effusion", "No Finding"]


def test_stopping_keeps_what_is_written(service: Service, store: FeedbackStore, page: Page) -> None:
    async def stop_after_the_first() -> None:
        stream = handlers.write(service, page)
        async for update in stream:
            if "1 of 2 written" in update.get("status", {}).get("text", ""):
                break
        await stream.aclose()  # pyright: ignore[reportAttributeAccessIssue]

    asyncio.run(stop_after_the_first())
    assert store.counts().reports == 1
    assert _texts(_final(handlers.show(service, page))) == [TEXTS["plain"], None]
    assert _final(handlers.write(service, page))["status"]["text"] == "2 of 2 written."


def test_a_model_that_fails_does_not_hold_up_the_others(
    service: Service, fake_library: Any, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break(fake_library, "plain", monkeypatch)
    shown = _final(handlers.write(service, page))
    assert _texts(shown) == [None, TEXTS["terse"]]
    assert shown["comparison"]["value"]["columns"][0]["note"] == "The model plain cannot be loaded."
    assert (shown["status"]["text"], shown["status"]["tone"]) == ("1 of 2 written.", "warning")


def _break(library: Any, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load = library.reporter

    def reporter(name: str, progress: Any = None) -> Any:
        if name == broken:
            raise InputError(f"The model {name} cannot be loaded.")
        return load(name, progress)

    monkeypatch.setattr(library, "reporter", reporter)


@pytest.mark.parametrize("models", [[], ["plain"], ["plain", "plain"], ["plain", "missing"], ["plain", "forged"]])
def test_fewer_than_two_models_are_refused(service: Service, page: Page, models: list[str]) -> None:
    for handler in (handlers.show, handlers.write):
        with pytest.raises(InputError, match="Choose 2 to 7"):
            _all(handler(service, replace(page, models=tuple(models))))


def test_more_than_seven_models_are_refused(
    make_service: Callable[[Any], Service], fake_library: Any, page: Page
) -> None:
    fake_library.texts = {f"model {number}": "Normal." for number in range(8)}
    service = make_service(fake_library)
    names = tuple(fake_library.texts)
    assert _final(handlers.write(service, replace(page, models=names[:7])))["status"]["tone"] == "good"
    with pytest.raises(InputError, match="8 models are chosen"):
        _all(handlers.show(service, replace(page, models=names)))


def test_without_a_study_nothing_is_shown(service: Service, page: Page) -> None:
    shown = _final(handlers.show(service, replace(page, study_id=None)))
    assert shown["comparison"]["value"] is None
    assert shown["matrix"] is None
    assert shown["write"]["interactive"] is False
    with pytest.raises(InputError, match="no study open"):
        _all(handlers.write(service, replace(page, study_id=None)))


@pytest.mark.parametrize(
    "bar", [None, "", [], {"study_id": 3, "models": "plain", "blind": "yes"}, {"models": [1, None]}]
)
def test_values_sent_by_the_page_are_validated(bar: Any) -> None:
    assert Page.of_values(bar, {"vote_id": "forged"}, None) == Page(None, ())


def test_an_error_becomes_a_status_notice(service: Service) -> None:
    (update,) = _all(handlers.errors_in_status(handlers.write(service, Page("upload-gone", ("plain", "terse")))))
    assert update["status"]["tone"] == "bad"
    assert "no longer on the server" in update["status"]["text"]


# Blind


def _blind(service: Service, page: Page) -> Page:
    """The page with a pair whose reports are written."""
    page = replace(page, blind=True)
    page = replace(page, ballot=_final(handlers.show(service, page))["ballot"])
    return replace(page, ballot=_final(handlers.write(service, page))["ballot"])


def _sent(updates: list[Updates]) -> str:
    """All that the updates send to the page. The ballot is the state of the session, which stays on the server."""
    return json.dumps([{name: value for name, value in update.items() if name != "ballot"} for update in updates])


def test_nothing_tells_the_models_before_the_vote(service: Service, page: Page) -> None:
    page = replace(page, blind=True)
    shown = _all(handlers.show(service, page))
    page = replace(page, ballot=_merged(shown)["ballot"])
    written = _all(handlers.write(service, page))
    page = replace(page, ballot=_merged(written)["ballot"])
    again = _all(handlers.show(service, page))  # with stored reports
    maps = _all(handlers.explain(service, page, {"columns": [0, 1]}))
    assert len(maps) == 2
    refused = _all(handlers.vote(service, page, {"choice": "left", "reason": "", "reader": ""}))
    assert page.ballot and page.ballot.reports
    reference = service.open_study(STUDY).report
    assert reference
    sent = _sent([*shown, *written, *again, *maps, *refused])
    assert all(json.dumps(text)[1:-1] in sent for text in (TEXTS["plain"], TEXTS["terse"]))
    telling = ["plain", "terse", "aaaaaaaa", "layer 3", "0.2 s", page.ballot.vote_id, *page.ballot.reports]
    assert [text for text in telling if text.lower() in sent.lower()] == []
    assert [part for part in reference.split(".") if part.strip() and part in sent] == []

    voted = _all(handlers.vote(service, page, VOTE))
    assert [text for text in ("Plain", "Terse") if text in _sent(voted)] == ["Plain", "Terse"]
    assert _merged(voted)["comparison"]["value"]["has_reference"]


def test_a_failure_does_not_tell_the_models(
    service: Service, fake_library: Any, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break(fake_library, "terse", monkeypatch)
    page = replace(page, blind=True)
    shown = _all(handlers.show(service, page))
    page = replace(page, ballot=_merged(shown)["ballot"])
    written = _all(handlers.write(service, page))
    assert "cannot write a report" in _sent(written)
    assert "terse" not in _sent(written).lower()
    ballot = _merged(written)["ballot"]
    (_, refused) = _all(
        handlers.vote(service, replace(page, ballot=ballot), {"choice": "a", "reason": "", "reader": ""})
    )
    assert "no pair to vote on" in refused["vote"]["failure"]


@pytest.mark.parametrize("choice", ["a", "b", "equal", "both bad"])
def test_a_vote_is_stored_with_its_sides(service: Service, store: FeedbackStore, page: Page, choice: str) -> None:
    page = _blind(service, page)
    assert page.ballot and page.ballot.reports
    voted = _final(handlers.vote(service, page, {"choice": choice, "reason": "More exact.", "reader": "Dr A"}))
    (stored,) = store.votes()
    assert (stored.vote_id, stored.study_id, stored.choice) == (page.ballot.vote_id, STUDY, choice)
    assert (stored.reason, stored.reader) == ("More exact.", "Dr A")
    assert (stored.model_a, stored.model_b) == page.ballot.models
    shown_as_a, shown_as_b = _texts(voted)
    assert (shown_as_a, shown_as_b) == (TEXTS[stored.model_a], TEXTS[stored.model_b])
    for report_id, model in ((stored.report_a, stored.model_a), (stored.report_b, stored.model_b)):
        report = store.get_report(report_id)
        assert report and report.model == model
    assert voted["vote"]["value"]["vote"]["titles"] == [stored.model_a.title(), stored.model_b.title()]
    titles = [column["title"] for column in voted["comparison"]["value"]["columns"]]
    assert titles == [f"A: {stored.model_a.title()}", f"B: {stored.model_b.title()}"]


def test_the_vote_is_on_the_reports_that_were_shown(service: Service, store: FeedbackStore, page: Page) -> None:
    page = _blind(service, page)
    assert page.ballot and page.ballot.reports
    shown = store.get_report(page.ballot.reports[0])
    assert shown
    store.save_report(replace(shown, report_id="newer", text="Other.", created_at="2999-01-01T00:00:00+00:00"))
    voted = _final(handlers.vote(service, page, VOTE))
    assert store.votes()[0].report_a == shown.report_id
    assert _texts(voted)[0] == shown.text


def test_a_pair_gets_one_vote(service: Service, store: FeedbackStore, page: Page) -> None:
    page = _blind(service, page)
    voted = _final(handlers.vote(service, page, VOTE))
    for later in (page, replace(page, ballot=voted["ballot"])):
        again = _final(handlers.vote(service, later, {**VOTE, "choice": "b"}))
        assert "already saved" in again["vote"]["failure"]
        assert "value" not in again["vote"]
    assert [vote.choice for vote in store.votes()] == ["a"]


@pytest.mark.parametrize(
    "values", [None, "", {}, {"choice": "a"}, VOTE | {"choice": 1}, VOTE | {"reason": "x" * 2_001}]
)
def test_a_vote_that_is_not_valid_is_not_stored(
    service: Service, store: FeedbackStore, page: Page, values: Any
) -> None:
    page = _blind(service, page)
    refused = _final(handlers.vote(service, page, values))
    assert refused["vote"]["failure"] and "value" not in refused["vote"]
    assert store.votes() == []


def test_a_failure_to_save_is_never_shown_as_saved(
    service: Service, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = _blind(service, page)

    def full(*_: object) -> None:
        raise OSError("disk full at /srv/SMITH")

    monkeypatch.setattr(service.records, "save_vote", full)
    updates = _all(handlers.vote(service, page, VOTE))
    assert [set(update) for update in updates] == [{"vote"}, {"vote"}]
    assert "SMITH" not in updates[-1]["vote"]["failure"] and "value" not in updates[-1]["vote"]


def test_without_a_pair_there_is_no_vote_and_nothing_is_written(
    service: Service, store: FeedbackStore, page: Page
) -> None:
    refused = _final(handlers.vote(service, page, VOTE))
    assert "no pair to vote on" in refused["vote"]["failure"]
    for ballot in (None, Ballot.draw("another study", ("plain", "terse"))):
        with pytest.raises(InputError, match="Choose Blind again"):
            _all(handlers.write(service, replace(page, blind=True, ballot=ballot)))
    assert (store.votes(), store.counts().reports) == ([], 0)


def test_the_pair_and_its_sides_are_random_and_follow_from_the_id() -> None:
    drawn = [Ballot.draw("study", ("a", "b", "c")) for _ in range(600)]
    counts = Counter(ballot.models for ballot in drawn)
    assert len(counts) == 6
    # Binomial with n = 600 and p = 1/6: 100 and a standard deviation of 9.1; 6 of them are never exceeded.
    assert all(45 < count < 155 for count in counts.values())
    for ballot in drawn[:20]:
        assert Ballot.draw("study", ("c", "b", "a"), ballot.vote_id) == ballot
    assert len({ballot.vote_id for ballot in drawn}) == 600

"""The HTTP endpoints, called through gradio_client."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from rrg.data.phantom import make_phantom
from rrg.data.studies import study_of_files
from rrg.report import Report
from rrg.ui.api import ENDPOINTS
from tests.ui.conftest import FakeLibrary, documented_example


@pytest.fixture(scope="module")
def client(app: Any, connect: Callable[[str], Client]) -> Client:
    return connect(app.url)


def test_only_the_documented_endpoints_are_public(client: Client) -> None:
    described = client.view_api(return_format="dict")
    assert set(described["named_endpoints"]) == {f"/{name}" for name in ENDPOINTS}
    assert not described["unnamed_endpoints"]


def test_the_endpoints_are_described_with_types(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    for name in ENDPOINTS:
        assert endpoints[f"/{name}"]["description"]
    assert endpoints["/explain"]["returns"][0]["type"]["type"] == "object"
    optional = {
        (name, parameter["parameter_name"])
        for name, endpoint in endpoints.items()
        for parameter in endpoint["parameters"]
        if parameter["parameter_has_default"]
    }
    assert optional == {
        ("/report", "lateral"),
        ("/report", "model"),
        ("/explain", "kind"),
        ("/explain", "text"),
        ("/save_correction", "reader"),
    }


def test_a_report_is_returned_and_stored(app: Any, client: Client, radiograph_file: Callable[..., Path]) -> None:
    answer = client.predict(handle_file(radiograph_file(1)), None, "plain", api_name="/report")
    assert app.store.get_report(answer["report_id"]) == Report.from_dict(answer)
    assert "one view" in answer["text"]
    assert answer["model"] == "plain"
    assert len(answer["findings"]) == 14


def test_two_views_reach_the_model(client: Client, radiograph_file: Callable[..., Path]) -> None:
    files = (handle_file(radiograph_file(seed)) for seed in (1, 2))
    assert "two views" in client.predict(*files, "plain", api_name="/report")["text"]


def test_the_study_id_depends_on_pixels_and_not_on_the_file_name(
    client: Client, radiograph_file: Callable[..., Path]
) -> None:
    names = ("SMITH_JOHN_1950.png", "anything")
    answers = [
        client.predict(handle_file(radiograph_file(3, name)), None, "plain", api_name="/report") for name in names
    ]
    assert answers[0]["study_id"] == answers[1]["study_id"]
    assert "SMITH" not in json.dumps(answers)


def test_the_first_model_writes_where_none_is_named(client: Client, radiograph_file: Callable[..., Path]) -> None:
    assert client.predict(handle_file(radiograph_file(2)), api_name="/report")["model"] == "plain"


def test_maps_of_a_report_are_returned(app: Any, client: Client, radiograph_file: Callable[..., Path]) -> None:
    files = [radiograph_file(seed) for seed in (11, 12)]
    report = client.predict(*map(handle_file, files), "plain", api_name="/report")
    expected = FakeLibrary().reporter("plain").explain(study_of_files(*files), Report.from_dict(report))
    for kind, maps in (("word", expected.words), ("sentence", expected.sentences), ("finding", expected.findings)):
        answer = client.predict(report["report_id"], kind, api_name="/explain")
        assert answer["views"] == ["frontal", "lateral"]
        assert (answer["kind"], answer["text"], answer["model"]) == (kind, report["text"], "plain")
        assert [one["target"] for one in answer["maps"]] == [one.target for one in maps]
        for one, other in zip(answer["maps"], maps, strict=True):
            assert one["known"] and one["method"] == other.method
            np.testing.assert_allclose(one["values"], other.values, rtol=1e-3)
            assert one["largest"] == pytest.approx(other.values.max(), rel=1e-3)
    assert client.predict(report["report_id"], "native", api_name="/explain")["maps"] == []


def test_maps_of_an_edited_text_are_returned(client: Client, radiograph_file: Callable[..., Path]) -> None:
    report = client.predict(handle_file(radiograph_file(13)), None, "plain", api_name="/report")
    answer = client.predict(report["report_id"], "word", "The unknown heart.", api_name="/explain")
    assert [(one["target"], one["known"]) for one in answer["maps"]] == [
        ("The", True),
        ("unknown", False),
        ("heart", True),
        (".", True),
    ]
    assert answer["maps"][2]["span"] == [12, 17]
    assert np.max(answer["maps"][1]["values"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("unknown",), "not known"),
        ((None,), "report_id must be a text"),
        (("REPORT", "everything"), "word, sentence, finding, native"),
        (("REPORT", "word", " ."), "no word"),
        (("REPORT", "word", "heart " * 4000), "24,000 characters"),
    ],
)
def test_maps_that_cannot_be_computed_are_refused(
    client: Client, radiograph_file: Callable[..., Path], arguments: tuple[Any, ...], message: str
) -> None:
    report = client.predict(handle_file(radiograph_file(14)), None, "plain", api_name="/report")
    named = [report["report_id"] if argument == "REPORT" else argument for argument in arguments]
    with pytest.raises(AppError, match=message):
        client.predict(*named, api_name="/explain")


@pytest.mark.parametrize(("page", "text"), [("docs/api.md", "plain The heart is normal"), ("README.md", "two views")])
def test_the_example_of_the_documentation_runs(
    page: str,
    text: str,
    app: Any,
    radiograph_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = 15 + 2 * sorted(["README.md", page]).index(page)  # a correction that another page saved is not stored again
    for seed, name in ((first, "frontal.png"), (first + 1, "lateral.png")):
        radiograph_file(seed).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    before = app.store.counts()
    exec(documented_example("gradio_client", app.url, page).replace("r2gen_cmn", "plain"), {})
    assert text in capsys.readouterr().out
    assert app.store.counts() != before


def test_maps_need_the_images(app: Any, client: Client) -> None:
    """A stored report whose images have left the server."""
    report = FakeLibrary().reporter("plain").report(make_phantom(5, 96).study)
    app.store.save_report(report)
    with pytest.raises(AppError, match="no longer on the server"):
        client.predict(report.report_id, api_name="/explain")


def test_models_are_listed_with_those_without_weights(client: Client) -> None:
    assert {info["name"]: info["available"] for info in client.predict(api_name="/models")} == {
        "plain": True,
        "terse": True,
        "missing": False,
    }


def test_a_correction_is_stored_with_its_report(app: Any, client: Client, radiograph_file: Callable[..., Path]) -> None:
    report = client.predict(handle_file(radiograph_file(4)), None, "terse", api_name="/report")
    answer = client.predict(report["report_id"], "Cardiomegaly.", "Dr A", api_name="/save_correction")
    (stored,) = app.store.corrections(report["report_id"])
    assert (stored.text, stored.reader) == ("Cardiomegaly.", "Dr A")
    assert answer == {"correction_id": stored.correction_id, "saved_at": stored.saved_at}
    assert app.store.get_report(report["report_id"]).text == report["text"]


def _text_file(path: Path) -> None:
    path.write_text("this is not an image")


def _tiny(path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)


def _truncated(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (256, 256), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("spoil", [_text_file, _tiny, _truncated])
def test_an_invalid_image_is_rejected_with_a_message_and_nothing_is_stored(
    app: Any, client: Client, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    bad = tmp_path / "SMITH.png"
    spoil(bad)
    before = app.store.counts()
    with pytest.raises(AppError, match="The frontal image cannot be used") as refusal:
        client.predict(handle_file(bad), None, "plain", api_name="/report")
    assert "SMITH" not in str(refusal.value)
    assert app.store.counts() == before


@pytest.mark.parametrize(("model", "message"), [("nonsense", "plain, terse"), ("missing", "train")])
def test_a_model_that_cannot_be_loaded_is_rejected(
    app: Any, client: Client, radiograph_file: Callable[..., Path], model: str, message: str
) -> None:
    before = app.store.counts()
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(radiograph_file(5)), None, model, api_name="/report")
    assert app.store.counts() == before


def test_a_refused_image_gives_its_reason_and_nothing_is_stored(app: Any, client: Client, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((200, 200), np.uint8)).save(tmp_path / "black.png")
    before = app.store.counts()
    with pytest.raises(AppError, match="No report was written"):
        client.predict(handle_file(tmp_path / "black.png"), None, "plain", api_name="/report")
    assert app.store.counts() == before


def test_warnings_are_in_the_answer(app: Any, client: Client, tmp_path: Path) -> None:
    small = np.mgrid[0:100, 0:100].sum(axis=0).astype(np.uint8)
    Image.fromarray(small).save(tmp_path / "small.png")
    answer = client.predict(handle_file(tmp_path / "small.png"), None, "plain", api_name="/report")
    (note,) = answer["notes"]
    assert (note["kind"], note["severity"], note["image"], note["remedy"]) == ("too_small", "warn", 0, None)
    assert app.store.get_report(answer["report_id"]) == Report.from_dict(answer)


def test_a_request_without_image_is_rejected(client: Client) -> None:
    with pytest.raises(AppError, match="There is no image"):
        client.predict(None, None, "plain", api_name="/report")


@pytest.mark.parametrize(
    ("text", "known", "message"), [("  ", True, "empty"), ("x", False, "not known"), (["x"], True, "text must be")]
)
def test_an_invalid_correction_is_rejected(
    app: Any, client: Client, radiograph_file: Callable[..., Path], text: Any, known: bool, message: str
) -> None:
    report = client.predict(handle_file(radiograph_file(6)), None, "plain", api_name="/report")
    before = app.store.counts()
    with pytest.raises(AppError, match=message):
        client.predict(report["report_id"] if known else "unknown", text, "Dr A", api_name="/save_correction")
    assert app.store.counts() == before


def test_a_path_on_the_server_is_rejected(app: Any, tmp_path: Path, radiograph_file: Callable[..., Path]) -> None:
    """Only uploaded files may be read; otherwise a client could read any image on the server's disk."""
    named = {"path": str(radiograph_file(7)), "meta": {"_type": "gradio.FileData"}}
    before = app.store.counts()
    started = httpx.post(f"{app.url}gradio_api/call/report", json={"data": [named, None, "plain"]}, timeout=None).json()
    events = httpx.get(f"{app.url}gradio_api/call/report/{started['event_id']}", timeout=None).text
    assert "event: error" in events
    assert "event: complete" not in events
    assert app.store.counts() == before


def test_an_unexpected_error_reveals_no_details(
    run_app: Callable[..., Any],
    connect: Callable[[str], Client],
    tmp_path: Path,
    radiograph_file: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = "-".join(["SMITH", "JOHN"])  # a traceback shows source lines

    class Broken:
        def list(self) -> list[object]:
            return []

        def reporter(self, name: str, progress: object = None) -> object:
            raise RuntimeError(f"cannot read {secret}")

    with run_app(tmp_path / "home", Broken()) as app, pytest.raises(AppError) as refusal:
        connect(app.url).predict(handle_file(radiograph_file(8)), None, "plain", api_name="/report")
    assert "Something went wrong" in str(refusal.value)
    assert secret not in str(refusal.value) + caplog.text
    assert "RuntimeError" in caplog.text


@pytest.mark.slow
def test_concurrent_clients_get_their_own_reports(
    app: Any, connect: Callable[[str], Client], radiograph_file: Callable[..., Path]
) -> None:
    def ask(seed: int) -> tuple[str, str]:
        model = "plain" if seed % 2 else "terse"
        answer = connect(app.url).predict(handle_file(radiograph_file(seed)), None, model, api_name="/report")
        return answer["study_id"], answer["text"]

    seeds = range(20, 26)
    files = [radiograph_file(seed) for seed in seeds]
    with ThreadPoolExecutor(len(files)) as pool:
        together = list(pool.map(ask, seeds))
    assert together == [ask(seed) for seed in seeds]
    assert len(set(together)) == len(files)

"""Neutral names of uploads: a patient's name in a file name never reaches the disk, nor another session."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rrg.ui.security.upload_names import NeutralNames, neutral_name

NAMES = ["SMITH_JOHN_1950.png", "Müller^Anna.dcm", 'a"b;c=d.PNG', "../../../etc/passwd", "", "x" * 300, "no suffix"]


def _upload(app: Any, *files: tuple[str, bytes]) -> list[str]:
    answer = httpx.post(
        f"{app.url}gradio_api/upload", files=[("files", file) for file in files], timeout=None, trust_env=False
    )
    answer.raise_for_status()
    return answer.json()


def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


@pytest.mark.parametrize("name", NAMES)
def test_no_part_of_the_given_name_is_left(name: str) -> None:
    assert re.fullmatch(r"upload-[0-9a-f]{32}(\.(png|dcm))?", neutral_name(name))


def test_the_name_reaches_neither_disk_nor_answer(app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.blocks.app, "uploaded_file_dir", str(tmp_path))
    paths = _upload(app, ("SMITH_JOHN_1950.png", b"pixels"), ("SMITH^ANNA", b"other"))
    assert [Path(path).read_bytes() for path in paths] == [b"pixels", b"other"]
    assert not any("SMITH" in name for name in (*paths, *_files(tmp_path)))


def test_nothing_that_the_app_writes_has_the_name(
    app: Any,
    tmp_path: Path,
    radiograph_file: Callable[..., Path],
    connect: Callable[[str], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole report: Gradio's copies included."""
    monkeypatch.setattr(app.blocks.app, "uploaded_file_dir", str(tmp_path / "uploads"))
    for block in app.blocks.blocks.values():
        if hasattr(block, "GRADIO_CACHE"):
            monkeypatch.setattr(block, "GRADIO_CACHE", str(tmp_path / "uploads"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    connect(app.url).predict(handle_file(radiograph_file(0)), None, "plain", api_name="/report")
    written = _files(tmp_path / "uploads")
    assert any(name.startswith("upload-") for name in written)
    assert not any("SMITH" in name for name in written)


def test_the_file_of_another_session_can_be_neither_named_nor_read(
    app: Any, radiograph_file: Callable[..., Path]
) -> None:
    (path,) = _upload(app, ("SMITH.png", radiograph_file(0).read_bytes()))
    assert httpx.get(f"{app.url}gradio_api/file={path}", trust_env=False).status_code == 404
    assert _report_on(app, path)["event: complete"]
    assert "event: error" in _report_on(app, str(Path(path).with_name("SMITH.png")))
    assert "event: error" in _report_on(app, str(Path(path).parent))


def _report_on(app: Any, path: str) -> dict[str, str]:
    """The events of a report on a file that the client names, each with its data."""
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    url = f"{app.url}gradio_api/call/report"
    event = httpx.post(url, json={"data": [file, None, "plain"]}, timeout=None, trust_env=False).json()["event_id"]
    lines = httpx.get(f"{url}/{event}", timeout=None, trust_env=False).text.splitlines()
    return dict(zip(lines[::3], lines[1::3], strict=False))


async def _echo(request: Request) -> JSONResponse:
    form = await request.form()
    return JSONResponse(
        [[name, v if isinstance(v, str) else [v.filename, (await v.read()).hex()]] for name, v in form.multi_items()]
    )


def _sent(files: list[tuple[str, tuple[str, bytes]]], data: dict[str, str]) -> Any:
    inner = Starlette(routes=[Route("/upload", _echo, methods=["POST"])])

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(NeutralNames(inner, "/upload"))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/upload", files=files, data=data)

    return asyncio.run(post()).json()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.text(st.characters(codec="utf-8"), max_size=40))
def test_the_content_stays_as_it_is(contents: list[bytes], text: str) -> None:
    text = text.replace("\r", "").replace("\n", "")
    files = [("files", ("SMITH.png", content)) for content in [*contents, b"\r\n--b\r\n"][:4]]
    *fields, _ = [*_sent(files, {"note": text}), None]
    assert [bytes.fromhex(value[1]) for name, value in fields if name == "files"] == [f[1][1] for f in files]
    assert [value for name, value in fields if name == "note"] == [text]
    assert "SMITH" not in str(fields)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no part"),
        ("multipart/form-data; boundary=b", b"--b\r\nno header"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
    ],
)
def test_a_malformed_upload_is_refused(app: Any, kind: str, body: bytes) -> None:
    answer = httpx.post(
        f"{app.url}gradio_api/upload", content=body, headers={"Content-Type": kind}, timeout=None, trust_env=False
    )
    assert answer.status_code in (200, 400)
    assert answer.status_code == 400 or answer.json() == []

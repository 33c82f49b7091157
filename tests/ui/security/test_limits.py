"""Limits of size, time and number, behind the real server and by themselves."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Scope

from rrg.ui.security.limits import Limits, Rates, RequestLimits

SMALL = Limits(body=10_000, upload=50_000)


def _post(app: Any, path: str, **content: Any) -> httpx.Response:
    return httpx.post(f"{app.url}gradio_api/{path}", timeout=None, trust_env=False, **content)


@pytest.fixture(scope="module")
def small(run_app: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    with run_app(tmp_path_factory.mktemp("small"), limits=SMALL) as app:
        yield app


def _chunks(size: int) -> Any:
    """A body whose length is not declared."""
    yield b'{"data": ["'
    for _ in range(size // 1000):
        yield b"x" * 1000
    yield b'"]}'


def test_a_large_request_is_refused(small: Any) -> None:
    path = "call/save_correction"
    assert _post(small, path, json={"data": ["x" * 5_000, "", ""]}).status_code == 200
    declared = _post(small, path, json={"data": ["x" * 20_000]})
    assert declared.status_code == 413
    assert "larger than" in declared.text
    assert _post(small, path, content=_chunks(20_000), headers={"Content-Type": "application/json"}).status_code == 413


def test_the_200_megabytes_of_an_attack_are_not_read(app: Any) -> None:
    """A server that read on would take all of them from the socket."""
    host = httpx.URL(app.url)
    with socket.create_connection((host.host, host.port)) as connection:
        head = (
            f"POST /gradio_api/call/save_correction HTTP/1.1\r\nHost: {host.host}:{host.port}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode())
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        sent = 0
        try:
            while sent < 200 * 2**20:
                connection.sendall(chunk)
                sent += 65536
        except OSError:
            pass  # the server closed the connection
        assert sent < 100 * 2**20


def test_uploads_have_a_limit_of_their_own(small: Any) -> None:
    def files(size: int, count: int = 1) -> list[tuple[str, tuple[str, bytes]]]:
        return [("files", (f"{number}.png", b"x" * size)) for number in range(count)]

    assert _post(small, "upload", files=files(40_000)).status_code == 200
    assert _post(small, "upload", files=files(60_000)).status_code == 413
    assert _post(small, "upload", files=files(20_000, count=4)).status_code == 413
    many = _post(small, "upload", files=files(10, count=10))
    assert many.status_code == 400
    assert "at most 4 files" in many.text


def test_a_burst_of_requests_is_refused(run_app: Callable[..., Any], tmp_path: Path) -> None:
    with run_app(tmp_path, limits=Limits(requests=0.001, burst=20)) as app:
        answers = [httpx.get(f"{app.url}gradio_api/app_id", trust_env=False) for _ in range(30)]
        assert answers[0].status_code == 200
        assert answers[-1].status_code == 429
        assert answers[-1].headers["retry-after"]


def test_rates_are_those_of_each_client() -> None:
    now = [0.0]
    rates = Rates(rate=2, burst=3, clock=lambda: now[0])
    assert [rates.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert rates.take("b")
    now[0] = 1.0
    assert [rates.take("a") for _ in range(3)] == [True, True, False]
    now[0] = 100.0
    assert [rates.take("a") for _ in range(4)] == [True, True, True, False]


async def _read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def _serve(limits: Limits, messages: list[Message | float], path: str = "/") -> int:
    """Status of the answer to a request whose body comes in these messages; a number is a pause in seconds."""
    app = Starlette(routes=[Route("/{path:path}", _read, methods=["POST"])])
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("1.2.3.4", 1),
    }
    rest = iter(messages)
    statuses: list[int] = []

    async def receive() -> Message:
        message = next(rest)
        if isinstance(message, float):
            await asyncio.sleep(message)
            message = next(rest)
        assert not isinstance(message, float)
        return message

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    asyncio.run(RequestLimits(app, limits)(scope, receive, send))
    return statuses[0]


def _part(more: bool = True) -> Message:
    return {"type": "http.request", "body": b"x", "more_body": more}


def test_a_request_that_stops_or_never_ends_is_cut_off() -> None:
    quick = Limits(pause=0.2, seconds=0.6)
    assert _serve(quick, [_part(), 0.01, _part(more=False)]) == 200
    assert _serve(quick, [_part(), 5.0, _part(more=False)]) == 408
    dripping = [item for _ in range(20) for item in (0.1, _part())]
    assert _serve(quick, [*dripping, _part(more=False)]) == 408


def test_one_client_cannot_keep_many_slow_uploads_open(run_app: Callable[..., Any], tmp_path: Path) -> None:
    """Of 20 uploads that send nothing more, a few wait; the others are refused at once, and saving still works."""
    with run_app(tmp_path, limits=Limits(uploads_per_client=3)) as app, ExitStack() as opened:
        host = httpx.URL(app.url)
        head = (
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host.host}:{host.port}\r\nContent-Length: 1000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        )
        connections = []
        for _ in range(20):
            connection = opened.enter_context(socket.create_connection((host.host, host.port)))
            connection.settimeout(1)
            connection.sendall(head.encode())
            connections.append(connection)
        answers = []
        for connection in connections:
            try:
                answers.append(connection.recv(100).split(b" ")[1])
            except TimeoutError:
                answers.append(b"waits")
        assert sorted(answers) == [b"429"] * 17 + [b"waits"] * 3
        assert _post(app, "call/models", json={"data": []}).status_code == 200


class _Slow:
    """A library whose reports take until `go` is set."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.go = threading.Event()

    def list(self) -> Any:
        return self._library.list()

    def reporter(self, name: str, progress: Any = None) -> Any:
        reporter = self._library.reporter(name, progress)
        report = reporter.report

        def slow(*args: Any, **kwargs: Any) -> Any:
            self.go.wait()
            return report(*args, **kwargs)

        reporter.report = slow
        return reporter


def test_a_correction_is_saved_while_reports_of_another_client_wait(
    run_app: Callable[..., Any],
    tmp_path: Path,
    fake_library: Any,
    radiograph_file: Callable[..., Path],
    connect: Callable[[str], Client],
) -> None:
    """One client asks for 70 reports under as many names; it gets 24 places, and saving does not wait for them."""
    library = _Slow(fake_library)
    with run_app(tmp_path, library) as app:
        stored = fake_library.reporter("plain").report(app.service.open_upload(radiograph_file(1), None))
        app.store.save_report(stored)
        with radiograph_file(0).open("rb") as file:
            (path,) = _post(app, "upload", files=[("files", ("a.png", file))]).json()
        data = [{"path": path, "meta": {"_type": "gradio.FileData"}}, None, "plain"]
        info = httpx.get(f"{app.url}config", trust_env=False).json()
        index = next(d["id"] for d in info["dependencies"] if d["api_name"] == "report")
        try:
            for number in range(70):
                body = {"data": data, "fn_index": index, "session_hash": f"attack{number}"}
                assert _post(app, "queue/join", json=body).status_code == 200
            client = connect(app.url)
            saved = client.predict(stored.report_id, "Cardiomegaly.", "Dr A", api_name="/save_correction")
            assert saved["correction_id"]
            answer = _post(app, "call/save_correction", json={"data": [stored.report_id, "Again.", "Dr A"]})
            with httpx.stream(
                "GET", f"{app.url}gradio_api/call/save_correction/{answer.json()['event_id']}", trust_env=False
            ) as events:
                lines = [line for line in events.iter_lines() if line.startswith("data: [")]
            assert json.loads(lines[0][6:])[0]["correction_id"]
            assert len(app.service.queue._jobs) <= 24
        finally:
            library.go.set()

"""The route of the radiographs, behind the real server."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastapi
import gradio as gr
import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette

from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.studies import ImageFile, Study
from rrg.ui import images
from rrg.ui.images import image_route, image_url, png16
from rrg.ui.security.sessions import Viewer, session_id


def _radiograph(seed: int, shape: tuple[int, int] = (40, 31)) -> Radiograph:
    pixels = np.random.default_rng(seed).random(shape).astype(np.float32)
    return Radiograph(pixels, "lateral" if seed else "frontal", None, Provenance("PNG", 16))


STUDIES = {
    name: Study(name, (_radiograph(0), _radiograph(1, (20, 50)))) for name in ("upload-1", "a/b ${x}.txt", "ä <b>")
}


def _get(app: Any, path: str, **headers: str) -> httpx.Response:
    """Ask without a server. The path is sent as it is."""

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


@pytest.fixture
def app() -> Starlette:
    return Starlette(routes=[image_route(lambda study_id, _: STUDIES.get(study_id))])


@pytest.mark.parametrize("study_id", STUDIES)
@pytest.mark.parametrize("index", [0, 1])
def test_the_bytes_are_the_pixels_at_16_bits(app: Starlette, study_id: str, index: int) -> None:
    answer = _get(app, "/" + image_url(study_id, index))
    pixels = STUDIES[study_id].radiographs()[index].pixels
    sent = np.frombuffer(answer.content, "<u2").reshape(pixels.shape)
    np.testing.assert_allclose(sent / 65535, pixels, atol=0.5 / 65535 + 1e-6)


def test_the_answer_is_compressed_and_kept_by_this_browser_alone(app: Starlette) -> None:
    headers = _get(app, "/" + image_url("upload-1", 0)).headers
    assert headers["content-encoding"] == "gzip"
    assert headers["cache-control"] == "private, max-age=600"
    assert headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("path", ["rrg/images/unknown/0", "rrg/images/upload-1/2"])
def test_an_image_that_is_not_there_is_said_to_be_gone(app: Starlette, path: str) -> None:
    answer = _get(app, "/" + path)
    assert answer.status_code == 404
    assert answer.text == "The image is no longer on the server. Open it again."
    assert answer.headers["cache-control"] == "no-store"


def test_a_file_that_cannot_be_read_does_not_betray_its_path() -> None:
    study = Study("1", (ImageFile(Path("/srv/SMITH.png"), "frontal"),))
    answer = _get(Starlette(routes=[image_route(lambda *_: study)]), "/rrg/images/1/0")
    assert answer.status_code == 404
    assert "SMITH" not in answer.text


def test_encoded_images_are_reused_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, ...]] = []
    plain = images.encoded
    monkeypatch.setattr(images, "encoded", lambda pixels: made.append(pixels.shape) or plain(pixels))
    room_for_one = len(plain(STUDIES["upload-1"].radiographs()[0].pixels)) + 100
    app = Starlette(routes=[image_route(lambda study_id, _: STUDIES.get(study_id), max_bytes=room_for_one)])
    for index in (0, 0, 1, 1, 0):
        _get(app, f"/rrg/images/upload-1/{index}")
    assert made == [(40, 31), (20, 50), (40, 31)]


def test_a_study_that_left_the_cache_is_not_served_from_the_encoded_images() -> None:
    studies = dict(STUDIES)
    app = Starlette(routes=[image_route(lambda study_id, _: studies.get(study_id))])
    assert _get(app, "/rrg/images/upload-1/0").status_code == 200
    del studies["upload-1"]
    assert _get(app, "/rrg/images/upload-1/0").status_code == 404


def test_encoding_does_not_block_other_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first image waits in its thread until the second request has been answered."""
    answered = threading.Event()
    plain = images.encoded

    def slow(pixels: np.ndarray) -> bytes:
        if pixels.shape == (40, 31):
            assert answered.wait(60), "the second request was not answered meanwhile"
        return plain(pixels)

    monkeypatch.setattr(images, "encoded", slow)
    app = Starlette(routes=[image_route(lambda study_id, _: STUDIES.get(study_id))])

    async def both() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            first = asyncio.create_task(client.get("/rrg/images/upload-1/0"))
            await asyncio.sleep(0)
            second = await client.get("/rrg/images/upload-1/1")
            answered.set()
            return [(await first).status_code, second.status_code]

    assert asyncio.run(both()) == [200, 200]


@contextmanager
def _mounted(blocks: gr.Blocks) -> Iterator[Any]:
    parent = fastapi.FastAPI()
    route = image_route(lambda study_id, _: STUDIES.get(study_id))
    yield gr.mount_gradio_app(parent, blocks, "/below", app_kwargs={"routes": [route]}, run_history=False)


def test_the_route_works_where_gradio_is_mounted_below_a_path() -> None:
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Markdown("page")
    with _mounted(blocks) as parent:
        assert _get(parent, "/below/" + image_url("a/b ${x}.txt", 0)).status_code == 200
        assert _get(parent, "/" + image_url("upload-1", 0)).status_code == 404


@pytest.mark.parametrize("root_path", [None, "/proxy"])
def test_the_app_serves_an_upload(
    run_app: Callable[..., Any], tmp_path: Path, radiograph_file: Callable[..., Path], root_path: str | None
) -> None:
    """A proxy may pass the prefix of the address on, or take it off."""
    options = {"root_path": root_path} if root_path else {}
    with run_app(tmp_path / "home", **options) as app:
        origin = httpx.URL(app.url).copy_with(path="/")
        cookies = httpx.get(app.url, trust_env=False).cookies
        (token,) = cookies.values()
        study = app.service.open_upload(radiograph_file(0), None, Viewer(session_id(token)))
        for prefix in {"", (root_path or "").strip("/")}:
            answer = httpx.get(
                origin.join(f"{prefix}/{image_url(study.id, 0)}".lstrip("/")), cookies=cookies, trust_env=False
            )
            assert answer.status_code == 200
            assert len(answer.content) == 256 * 256 * 2


def test_kept_images_have_16_bits_and_no_metadata() -> None:
    pixels = np.linspace(0, 1, 12).reshape(3, 4)
    with Image.open(io.BytesIO(png16(pixels))) as image:
        assert np.array_equal(np.asarray(image), np.round(pixels * 65535))
        assert image.info == {}

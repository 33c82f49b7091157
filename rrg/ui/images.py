"""The HTTP route that sends radiographs to the viewer at full resolution and 16 bits.

`GET rrg/images/<study_id>/<index>` answers with the rows of radiograph `index` of `Study.radiographs()`: little-endian
uint16 [H, W], the pixels times 65535, without any metadata. Gradio's file routes are not used: they would put the
pixels into a file and keep its name.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from threading import Lock
from urllib.parse import quote

import numpy as np
from cachetools import LRUCache
from PIL import Image
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.ui.security.sessions import Viewer, current_session

PREFIX = "rrg/images"
"""Path of the route below the address of the app."""
MAX_AGE = 600
"""Seconds for which the browser keeps a radiograph."""
GONE = "The image is no longer on the server. Open it again."


def image_url(study_id: str, index: int) -> str:
    """Return the address of a radiograph, relative to that of the app."""
    return f"{PREFIX}/{quote(study_id, safe='')}/{index}"


def encoded(pixels: np.ndarray) -> bytes:
    """Convert pixels [H, W] in [0, 1] to gzip of their rows as little-endian uint16."""
    levels = np.round(np.clip(pixels, 0, 1) * 65535).astype("<u2")
    return gzip.compress(levels.tobytes(), compresslevel=1, mtime=0)


def png16(pixels: np.ndarray) -> bytes:
    """Convert pixels [H, W] in [0, 1] to a PNG of 16 bits without metadata."""
    levels = np.round(np.clip(pixels, 0, 1) * 65535).astype(np.uint16)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, format="PNG")
    return file.getvalue()


def image_route(find_study: Callable[[str, Viewer], Study | None], max_bytes: int = 96 * 2**20) -> Route:
    """Build the route. `find_study` returns a study by its id if the viewer may see it.

    Up to `max_bytes` encoded bytes are cached.
    """
    cache: LRUCache[tuple[str, int], bytes] = LRUCache(max_bytes, getsizeof=len)
    lock = Lock()

    def rows(study: Study, index: int) -> bytes | None:
        """Return the encoded radiograph, or None if the study has no radiograph of this index."""
        key = (study.id, index)
        with lock:
            if key in cache:
                return cache[key]
        radiographs = study.radiographs()
        if index >= len(radiographs):
            return None
        data = encoded(radiographs[index].pixels)
        with lock:
            if len(data) <= max_bytes:
                cache[key] = data
        return data

    def image(request: Request) -> Response:
        # Not `async`: Starlette runs it in a thread, so that reading and compressing do not block other requests.
        study = find_study(request.path_params["study_id"], current_session(request).viewer)
        try:
            data = rows(study, request.path_params["index"]) if study else None
        except InputError:  # its message names a path of the server
            data = None
        if data is None:
            return PlainTextResponse(GONE, status_code=404, headers={"Cache-Control": "no-store"})
        headers = {"Content-Encoding": "gzip", "Cache-Control": f"private, max-age={MAX_AGE}"}
        return Response(data, media_type="application/octet-stream", headers=headers)

    return Route(f"/{PREFIX}/{{study_id:path}}/{{index:int}}", image, methods=["GET"])

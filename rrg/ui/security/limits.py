"""Limits of requests: bytes, seconds and number, for each client and in all."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rrg.ui.security.answers import refusal

UPLOAD = "/gradio_api/upload"


@dataclass(frozen=True)
class Limits:
    """What one process accepts."""

    body: int = 2 * 2**20
    """Bytes of a request, except uploads."""
    upload: int = 130 * 2**20
    """Bytes of all files of one upload: two files of 64 MB."""
    requests: float = 100.0
    """Requests a second that one client may send on and on."""
    burst: int = 2000
    """Requests that one client may send at once."""
    uploads_per_client: int = 6
    """Uploads that one client may have under way."""
    uploads: int = 24
    """Uploads of all clients under way."""
    pause: float = 20.0
    """Seconds that a client may send nothing."""
    seconds: float = 300.0
    """Seconds that a client may take to send one request."""


class RequestLimits:
    """Refuses what exceeds `Limits`: 413 for bytes, 429 for number, 408 for seconds."""

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits = Limits(),
        refused: Callable[[str, str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`refused` is told the action and the client of each refusal."""
        self._app = app
        self._limits = limits
        self._refused = refused or (lambda action, client: None)
        self._rates = Rates(limits.requests, limits.burst, clock)
        self._uploads: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = (scope.get("client") or ("", 0))[0]
        if not self._rates.take(client):
            self._refused("refused rate", client)
            busy = refusal(429, "Too many requests. Wait a few seconds, then try again.", {"Retry-After": "5"})
            await busy(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        if not scope["path"].endswith(UPLOAD):
            await self._bounded(scope, receive, send, self._limits.body, client)
            return
        if self._uploads[client] >= self._limits.uploads_per_client or self._uploads.total() >= self._limits.uploads:
            self._refused("refused upload", client)
            busy = refusal(429, "Too many uploads at once. Wait for one to end.", {"Retry-After": "5"})
            await busy(scope, receive, send)
            return
        self._uploads[client] += 1
        try:
            await self._bounded(scope, receive, send, self._limits.upload, client)
        finally:
            self._uploads[client] -= 1
            if not self._uploads[client]:
                del self._uploads[client]

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, size: int, client: str) -> None:
        """Pass on a request whose body is limited. What is wrong with it is answered in place of the app."""
        large = (413, f"The request is larger than {size // 2**20} MB. Send less.")
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > size:
            self._refused("refused size", client)
            await refusal(*large)(scope, receive, send)
            return
        slow = (408, "The request came too slowly. Check the connection, then send it again.")
        broken: tuple[int, str] | None = None
        started = False
        taken = 0
        end = time.monotonic() + self._limits.seconds
        complete = False

        async def bounded() -> Message:
            nonlocal broken, taken, complete
            if complete:  # after the body this waits for the client to leave, which takes as long as the answer
                return await receive()
            try:
                wait = min(self._limits.pause, end - time.monotonic())
                message = await asyncio.wait_for(receive(), wait)
            except TimeoutError:
                broken = slow
                raise MultiPartException(slow[1]) from None  # Gradio deletes what it has of the files
            taken += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if taken > size:
                broken = large
                raise MultiPartException(large[1])
            return message

        async def answered(message: Message) -> None:
            nonlocal started
            if broken is None or started:
                started = True
                await send(message)

        try:
            await self._app(scope, bounded, answered)
        except MultiPartException:
            if broken is None:
                raise
        if broken is not None and not started:
            self._refused("refused size" if broken is large else "refused slow", client)
            await refusal(*broken, headers={"Connection": "close"})(scope, receive, send)


class Rates:
    """Token buckets: each key may act `burst` times at once, then `rate` times a second."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(10_000)

    def take(self, key: str) -> bool:
        """Count one action; False if it is one too many."""
        now = self._clock()
        tokens, before = self._buckets.get(key, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - before) * self._rate)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        return allowed

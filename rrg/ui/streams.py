"""Streams of updates of the browser tabs: opening another study ends those of the previous one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class Streams:
    """The running streams of each client.

    Gradio's `cancels` is not used: its request may arrive late and end an event that began after it.
    """

    def __init__(self) -> None:
        self._running: dict[str | None, set[asyncio.Event]] = {}

    def stop(self, client: str | None) -> None:
        """End all running streams of a client."""
        for ended in self._running.get(client, ()):
            ended.set()

    async def follow(self, client: str | None, updates: AsyncIterator[T]) -> AsyncIterator[T]:
        """Iterate over updates until they end or the client's streams are stopped. Then the updates are closed."""
        ended = asyncio.Event()
        self._running.setdefault(client, set()).add(ended)
        stopped = asyncio.ensure_future(ended.wait())
        try:
            while True:
                step = asyncio.ensure_future(anext(updates))
                try:
                    await asyncio.wait((step, stopped), return_when=asyncio.FIRST_COMPLETED)
                    if ended.is_set():
                        return
                    value = step.result()
                except StopAsyncIteration:
                    return
                finally:
                    if not step.done():
                        step.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await step
                yield value
        finally:
            stopped.cancel()
            self._running[client].discard(ended)
            if not self._running[client]:
                del self._running[client]
            if hasattr(updates, "aclose"):
                await updates.aclose()  # pyright: ignore[reportAttributeAccessIssue]

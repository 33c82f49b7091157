"""Streams of updates end when their client opens something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rrg.ui.streams import Streams


async def _numbers(closed: list[str], name: str, wait: float = 0) -> AsyncIterator[int]:
    try:
        for number in range(3):
            yield number
            await asyncio.sleep(wait)
    finally:
        closed.append(name)


def test_updates_arrive_in_order_and_are_closed() -> None:
    async def run() -> tuple[list[int], list[str]]:
        closed: list[str] = []
        streams = Streams()
        return [number async for number in streams.follow("a", _numbers(closed, "one"))], closed

    assert asyncio.run(run()) == ([0, 1, 2], ["one"])


def test_stopping_ends_the_clients_streams_while_they_wait_and_no_others() -> None:
    async def run() -> tuple[list[int], list[int], list[str]]:
        closed: list[str] = []
        streams = Streams()

        async def read(client: str, wait: float) -> list[int]:
            return [number async for number in streams.follow(client, _numbers(closed, client, wait))]

        first = asyncio.create_task(read("a", 3600))
        other = asyncio.create_task(read("b", 0.01))
        await asyncio.sleep(0.05)
        streams.stop("a")
        return await first, await other, sorted(closed)

    assert asyncio.run(run()) == ([0], [0, 1, 2], ["a", "b"])


def test_a_stream_that_begins_after_a_stop_runs() -> None:
    async def run() -> list[int]:
        streams = Streams()
        streams.stop("a")
        return [number async for number in streams.follow("a", _numbers([], "a"))]

    assert asyncio.run(run()) == [0, 1, 2]


def test_an_error_reaches_the_caller() -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    async def run() -> None:
        async for _ in Streams().follow("a", failing()):
            pass

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(run())

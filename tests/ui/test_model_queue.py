"""The queue of the models: order, positions, progress, stop, limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest

from rrg.decoding.progress import Stopped
from rrg.errors import InputError
from rrg.ui.model_queue import Done, ModelQueue, Running, Waiting


@pytest.fixture
def queue() -> Iterator[ModelQueue]:
    queue = ModelQueue(max_jobs=5, max_per_client=2)
    yield queue
    queue.close()


async def _states(queue: ModelQueue, work: Callable[..., Any], client: str | None = None) -> list[Any]:
    return [state async for state in queue.run(work, client)]


def test_values_arrive_in_order_before_the_result(queue: ModelQueue) -> None:
    def work(tell: Callable[[int], None]) -> str:
        for value in range(100):
            tell(value)
        return "end"

    states = asyncio.run(_states(queue, work))
    values = [state.progress for state in states if isinstance(state, Running) and state.progress is not None]
    assert values == list(range(100))
    assert states[-1] == Done("end")


def test_jobs_run_one_at_a_time_in_the_order_of_their_arrival(queue: ModelQueue) -> None:
    running, order = 0, []

    def job(name: int) -> Callable[..., int]:
        def work(tell: Callable[[int], None]) -> int:
            nonlocal running
            running += 1
            assert running == 1
            order.append(name)
            running -= 1
            return name

        return work

    async def run_all() -> list[list[Any]]:
        return await asyncio.gather(*(_states(queue, job(name)) for name in range(5)))

    results = asyncio.run(run_all())
    assert order == [0, 1, 2, 3, 4]
    assert [states[-1] for states in results] == [Done(name) for name in range(5)]


def test_a_waiting_job_knows_how_many_are_ahead(queue: ModelQueue) -> None:
    release = Event()

    async def run() -> list[Any]:
        first = asyncio.create_task(_states(queue, lambda tell: release.wait()))
        await asyncio.sleep(0)
        second = asyncio.create_task(_states(queue, lambda tell: None))
        await asyncio.sleep(0)
        third = queue.run(lambda tell: None)
        assert await anext(third) == Waiting(2)
        release.set()
        states = [state async for state in third]
        await asyncio.gather(first, second)
        return states

    assert asyncio.run(run())[-1] == Done(None)


def test_leaving_stops_a_running_job_and_removes_a_waiting_one(queue: ModelQueue) -> None:
    stopped, ran = Event(), Event()

    def endless(tell: Callable[[int], None]) -> None:
        try:
            while True:
                tell(1)
        except Stopped:
            stopped.set()
            raise

    async def run() -> None:
        running = queue.run(endless)
        await anext(running)
        waiting = queue.run(lambda tell: ran.set())
        await anext(waiting)
        await waiting.aclose()  # pyright: ignore[reportAttributeAccessIssue]
        await running.aclose()  # pyright: ignore[reportAttributeAccessIssue]
        assert (await _states(queue, lambda tell: "next"))[-1] == Done("next")

    asyncio.run(run())
    assert stopped.wait(10)
    assert not ran.is_set()


def test_an_error_of_the_job_reaches_the_client_and_the_queue_goes_on(queue: ModelQueue) -> None:
    def broken(tell: Callable[[int], None]) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(_states(queue, broken))
    assert asyncio.run(_states(queue, lambda tell: 1))[-1] == Done(1)


def test_too_many_jobs_are_refused(queue: ModelQueue) -> None:
    release = Event()

    async def run() -> None:
        async def occupy(client: str) -> Any:
            iterator = queue.run(lambda tell: release.wait(), client)
            await anext(iterator)
            return iterator

        held = [await occupy("a"), await occupy("a")]
        with pytest.raises(InputError, match="You have 2 reports waiting"):
            await occupy("a")
        held += [await occupy(client) for client in "bcd"]
        with pytest.raises(InputError, match="5 reports are waiting"):
            await occupy("e")
        release.set()
        for iterator in held:
            await iterator.aclose()

    asyncio.run(run())

"""The queue of the models: jobs run one at a time, first in, first out, with positions, progress and a stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any

from rrg.decoding.progress import Stopped
from rrg.errors import InputError

POLL = 0.05
"""Seconds between two looks at the state of a job. It bounds the delay of its result."""

Tell = Callable[[Any], None]
"""Passes the progress of a job to its client; raises `Stopped` once the client has left."""


@dataclass(frozen=True)
class Waiting:
    """The job has not begun."""

    ahead: int
    """Number of jobs before it, the running one included."""


@dataclass(frozen=True)
class Running:
    """The job runs."""

    progress: Any = None
    """What the job passed to `Tell` since the last state; None if nothing."""


@dataclass(frozen=True)
class Done:
    """The job has ended."""

    result: Any


class ModelQueue:
    """Runs jobs one at a time on a thread of its own: two models at once would slow each other down.

    A waiting client holds no thread. Safe for clients of several event loops.
    """

    def __init__(self, max_jobs: int = 64, max_per_client: int = 4, max_per_address: int = 24) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._jobs: list[_Job] = []
        self._lock = Lock()
        self._max_jobs = max_jobs
        self._max_per_client = max_per_client
        self._max_per_address = max_per_address

    async def run(
        self, work: Callable[[Tell], Any], client: str | None = None, address: str = ""
    ) -> AsyncIterator[Any]:
        """Queue `work` and iterate over its states: `Waiting`, `Running`, at last `Done`.

        `client` is what the browser tab calls itself. A program can take many such names, so `address`, from which the
        request came, has a limit too.

        Every value that the job passes to its `Tell` arrives in order. Closing the iterator removes a waiting job and
        stops a running one at its next `Tell`.

        Raises:
            InputError: too many jobs are waiting, of all clients, of this one or of its address.
            Exception: what `work` raises.
        """
        job = self._enter(work, client, address)
        try:
            waiting: Waiting | None = None
            running = False
            while True:
                ended = job.future.done()  # before the values are taken, so that none is lost
                for value in job.take():
                    running = True
                    yield Running(value)
                if ended:
                    break
                if job.started and not running:
                    running = True
                    yield Running()
                elif not job.started and (now := Waiting(self._ahead(job))) != waiting:
                    waiting = now
                    yield now
                await asyncio.sleep(POLL)
            yield Done(job.future.result())
        finally:
            job.stop()

    def close(self) -> None:
        """Stop all jobs and end the thread."""
        with self._lock:
            jobs = list(self._jobs)
        for job in jobs:
            job.stop()
        self._thread.shutdown(wait=True)

    def _enter(self, work: Callable[[Tell], Any], client: str | None, address: str) -> _Job:
        with self._lock:
            own = sum(job.client == client for job in self._jobs)
            near = sum(job.address == address for job in self._jobs)
            if (client is not None and own >= self._max_per_client) or (address and near >= self._max_per_address):
                own = own if client is not None and own >= self._max_per_client else near
                raise InputError(f"You have {own} reports waiting. Let one of them finish, then try again.")
            if len(self._jobs) >= self._max_jobs:
                raise InputError(f"{len(self._jobs)} reports are waiting, which is the limit. Try again in a minute.")
            job = _Job(work, client, address)
            self._jobs.append(job)
            job.future = self._thread.submit(job.run)
        job.future.add_done_callback(lambda _: self._leave(job))
        return job

    def _leave(self, job: _Job) -> None:
        with self._lock:
            self._jobs.remove(job)

    def _ahead(self, job: _Job) -> int:
        with self._lock:
            return self._jobs.index(job) if job in self._jobs else 0


class _Job:
    future: Future[Any]

    def __init__(self, work: Callable[[Tell], Any], client: str | None, address: str) -> None:
        self.client = client
        self.address = address
        self.started = False
        self._work = work
        self._values: list[Any] = []
        self._stopping = Event()
        self._lock = Lock()

    def run(self) -> Any:
        self.started = True
        if self._stopping.is_set():
            raise Stopped
        return self._work(self._tell)

    def _tell(self, value: Any) -> None:
        if self._stopping.is_set():
            raise Stopped
        with self._lock:
            self._values.append(value)

    def take(self) -> list[Any]:
        with self._lock:
            values, self._values = self._values, []
        return values

    def stop(self) -> None:
        self._stopping.set()
        self.future.cancel()


async def finish(states: AsyncIterator[Any]) -> Any:
    """Return the result of a job, given its states. Raises what the job raises."""
    async for state in states:
        if isinstance(state, Done):
            return state.result
    raise Stopped

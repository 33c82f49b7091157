"""Radiographs of a stream of studies, decoded ahead of the model."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from rrg.data.radiographs import Radiograph
from rrg.data.studies import Study
from rrg.errors import InputError

_THREADS = 2


def read_ahead(
    studies: Iterable[Study], ahead: int, skip: Callable[[Study, InputError], None] | None = None
) -> Iterator[tuple[Study, Sequence[Radiograph]]]:
    """Read the radiographs of each study; those of the next `ahead` are decoded while the caller is busy.

    A study that cannot be read is passed to `skip` and left out; without `skip` its InputError is raised. The threads
    call no tensor operation: each would start its own OpenMP threads, and more threads than cores slow the model down.
    """
    waiting: deque[tuple[Study, Future[Sequence[Radiograph]]]] = deque()
    remaining = iter(studies)
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            while True:
                for study in itertools.islice(remaining, ahead + 1 - len(waiting)):
                    waiting.append((study, pool.submit(study.radiographs)))
                if not waiting:
                    return
                study, future = waiting.popleft()
                try:
                    radiographs = future.result()
                except InputError as error:
                    if skip is None:
                        raise
                    skip(study, error)
                else:
                    yield study, radiographs
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

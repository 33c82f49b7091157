"""Reading ahead: studies in order, at most `ahead` of them, and no thread left when the caller stops."""

from __future__ import annotations

import threading

import pytest

from rrg.data.phantom import make_phantom
from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.inference.reading import read_ahead


class Broken(Study):
    __slots__ = ()

    def radiographs(self) -> tuple:
        raise InputError(f"{self.id} is broken.")


@pytest.fixture(scope="module")
def studies() -> list[Study]:
    return [make_phantom(seed, size=64).study for seed in range(6)]


def test_studies_come_in_order_and_broken_ones_are_skipped(studies: list[Study]) -> None:
    skipped: list[str] = []
    mixed = [studies[0], Broken("a", ()), *studies[1:4], Broken("b", ())]
    found = list(read_ahead(mixed, 2, lambda study, error: skipped.append(f"{study.id}: {error}")))
    assert [study.id for study, _ in found] == [study.id for study in studies[:4]]
    assert all(len(radiographs) == 2 for _, radiographs in found)
    assert skipped == ["a: a is broken.", "b: b is broken."]


def test_without_skip_the_error_is_raised(studies: list[Study]) -> None:
    reading = read_ahead([studies[0], Broken("a", ())], 2)
    assert next(reading)[0].id == studies[0].id
    with pytest.raises(InputError, match="a is broken"):
        next(reading)


def test_at_most_the_given_number_of_studies_is_read_ahead(studies: list[Study]) -> None:
    taken: list[str] = []

    def stream() -> object:
        for study in studies:
            taken.append(study.id)
            yield study

    reading = read_ahead(stream(), 2)
    next(reading)
    assert len(taken) == 3
    threads = threading.active_count()
    reading.close()
    assert threading.active_count() <= threads

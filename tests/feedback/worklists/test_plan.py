"""Assignments: overlap, balance, order, repeatability."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrg.errors import InputError
from rrg.feedback.worklists.plan import assign, make_cases

STUDIES = [f"s{number}" for number in range(60)]
MODELS = ["xpronet", "sgrrg", "camanet"]
READERS = ["a", "b", "c"]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 5), st.data())
def test_every_case_has_its_readers_and_the_load_is_even(studies: int, models: int, readers: int, data) -> None:
    overlap = data.draw(st.integers(1, readers))
    cases = make_cases(STUDIES[:studies], [f"m{n}" for n in range(models)], 0.2, 7)
    given_to = assign(cases, [f"r{n}" for n in range(readers)], overlap, 7)
    assert Counter(case for own in given_to.values() for case in own) == Counter(dict.fromkeys(cases, overlap))
    sizes = [len(own) for own in given_to.values()]
    assert max(sizes) - min(sizes) <= 1
    assert all(len({case.study_id for case in own}) == len(own) for own in given_to.values())


def test_readers_get_the_models_equally_often_and_in_turns() -> None:
    given_to = assign(make_cases(STUDIES, MODELS, 0, 7), READERS, 2, 7)
    for own in given_to.values():
        counts = Counter(case.model for case in own)
        assert max(counts.values()) - min(counts.values()) <= 2
        whole = min(counts.values())
        turns = [{case.model for case in own[start : start + 3]} for start in range(0, 3 * whole, 3)]
        assert all(turn == {*MODELS} for turn in turns)


def test_no_model_is_read_early_or_late() -> None:
    given_to = assign(make_cases(STUDIES, MODELS, 0, 7), READERS, 2, 7)
    means = {
        model: sum(i for own in given_to.values() for i, case in enumerate(own) if case.model == model)
        / sum(case.model == model for own in given_to.values() for case in own)
        for model in MODELS
    }
    assert max(means.values()) - min(means.values()) < 1.5


def test_all_pairs_of_readers_share_cases() -> None:
    given_to = assign(make_cases(STUDIES, MODELS, 0, 7), READERS, 2, 7)
    shared = [len({*given_to[a]} & {*given_to[b]}) for a, b in combinations(READERS, 2)]
    assert sum(shared) == 60 and min(shared) >= 10


def test_the_share_of_probes_and_the_seed() -> None:
    cases = make_cases(STUDIES, MODELS, 0.1, 7)
    assert sum(case.probe for case in cases) == 6
    assert cases == make_cases(STUDIES, MODELS, 0.1, 7) != make_cases(STUDIES, MODELS, 0.1, 8)
    assert assign(cases, READERS, 2, 7) == assign(cases, READERS, 2, 7)


@pytest.mark.parametrize(
    ("studies", "models", "readers", "overlap", "share", "message"),
    [
        ([], MODELS, READERS, 1, 0, "at least one study"),
        (["s", "s"], MODELS, READERS, 1, 0, "'s' is named twice"),
        (STUDIES, [], READERS, 1, 0, "at least one model"),
        (STUDIES, MODELS, ["a", "a"], 1, 0, "'a' is named twice"),
        (STUDIES, MODELS, READERS, 4, 0, "between 1 and 3"),
        (STUDIES, MODELS, READERS, 0, 0, "between 1 and 3"),
        (STUDIES, MODELS, READERS, 1, 1.5, "between 0 and 1"),
    ],
)
def test_what_cannot_be_planned(studies, models, readers, overlap, share, message) -> None:
    with pytest.raises(InputError, match=message):
        assign(make_cases(studies, models, share, 7), readers, overlap, 7)

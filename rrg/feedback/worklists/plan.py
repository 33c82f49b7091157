"""Who reads which report in which order: assignment with overlap, counterbalanced over models."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rrg.errors import InputError


@dataclass(frozen=True)
class Case:
    """A report that readers judge."""

    study_id: str
    model: str
    probe: bool
    """Whether a sentence with known wrong content is to be inserted."""


def make_cases(studies: Sequence[str], models: Sequence[str], probe_share: float, seed: int) -> list[Case]:
    """Give each study one model, each model the same number of studies, and a share of the cases a probe.

    Raises InputError for no study, no model, one that is named twice, or a share outside of 0 to 1.
    """
    _check_names("study", studies)
    _check_names("model", models)
    if not 0 <= probe_share <= 1:
        raise InputError(f"The share of probes is {probe_share}; it has to be between 0 and 1.")
    generator = random.Random(seed)
    shuffled = generator.sample(list(studies), len(studies))
    probes = set(generator.sample(range(len(studies)), round(probe_share * len(studies))))
    return [Case(study, models[i % len(models)], i in probes) for i, study in enumerate(shuffled)]


def assign(cases: Sequence[Case], readers: Sequence[str], overlap: int, seed: int) -> dict[str, list[Case]]:
    """Give each case to `overlap` readers, and each reader an order of the cases.

    Readers get the same number of cases, and of each model, to within one. In each reader's order the models take
    turns; the first of a turn moves on from turn to turn and from reader to reader, so that no model is read early or
    late as a rule.

    Raises InputError for no reader, one that is named twice, or an overlap that is not between 1 and their number.
    """
    _check_names("reader", readers)
    if not 1 <= overlap <= len(readers):
        raise InputError(
            f"The overlap is {overlap}, and there are {len(readers)} readers. Choose one between 1 and {len(readers)}."
        )
    generator = random.Random(seed)
    total: Counter[str] = Counter()
    of_model: Counter[tuple[str, str]] = Counter()
    given: dict[str, list[Case]] = {reader: [] for reader in readers}
    for case in cases:
        order = generator.sample(list(readers), len(readers))  # ties are broken at random
        order.sort(key=lambda reader: (total[reader], of_model[reader, case.model]))
        for reader in order[:overlap]:
            given[reader].append(case)
            total[reader] += 1
            of_model[reader, case.model] += 1
    models = sorted({case.model for case in cases})
    return {reader: _in_turns(given[reader], models, first, generator) for first, reader in enumerate(readers)}


def _in_turns(cases: Sequence[Case], models: Sequence[str], first: int, generator: random.Random) -> list[Case]:
    waiting = {model: [case for case in cases if case.model == model] for model in models}
    for group in waiting.values():
        generator.shuffle(group)
    order: list[Case] = []
    while any(waiting.values()):
        turn = [models[(first + step) % len(models)] for step in range(len(models))]
        order += [waiting[model].pop() for model in turn if waiting[model]]
        first += 1
    return order


def _check_names(kind: str, names: Sequence[str]) -> None:
    if not names:
        raise InputError(f"A worklist needs at least one {kind}. Name one.")
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"The {kind} {repeated[0]!r} is named twice. Name each {kind} once.")

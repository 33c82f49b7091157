"""A simulated reader study with known error rates, agreement, probes, times and votes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rrg.evaluate.reader_study.rates import REASONS
from rrg.feedback.assessment import Assessment, Reason, SentenceEdit
from rrg.feedback.records import Choice, Correction, Vote
from rrg.report import Report, Sentence

NAMES = ("anna", "ben")
SENTENCES = 8


@dataclass(frozen=True)
class Truth:
    """What the simulation draws from."""

    error_rates: dict[Reason, float]
    """Probability that a sentence of the six that stand for the categories has its error."""
    sensitivity: float = 0.8
    """Probability that a reader finds an error, a probe included."""
    significant: float = 0.5


TRUTH = Truth(dict(zip(REASONS, (0.30, 0.25, 0.10, 0.15, 0.20, 0.08), strict=True)))


def simulate(
    reports: int, truth: Truth = TRUTH, seed: int = 0, model: str = "xpronet"
) -> tuple[list[tuple[Report, Correction]], dict[str, int]]:
    """Corrections of each report by two readers, and the probes: the last sentence of every fifth report."""
    generator = np.random.default_rng(seed)
    pairs, probes = [], {}
    for number in range(reports):
        report_id = f"{model}-{number}"
        wrong = np.array([generator.random() < truth.error_rates[reason] for reason in REASONS])
        support = np.where(wrong, generator.beta(2, 4, len(REASONS)), generator.beta(4, 2, len(REASONS)))
        texts = [f"sentence {index} of report {number}." for index in range(SENTENCES)]
        starts = np.cumsum([0, *(len(text) + 1 for text in texts)]).tolist()
        supports = [*support.tolist(), 0.9, 0.9]
        sentences = tuple(
            Sentence(text, start, start + len(text), share)
            for text, start, share in zip(texts, starts, supports, strict=False)
        )
        report = Report(
            report_id,
            f"s{number}",
            " ".join(texts),
            (),
            sentences,
            (),
            model,
            "a" * 64,
            {},
            0.1,
            "2026-01-01T00:00:00+00:00",
        )
        if number % 5 == 0:
            probes[report_id] = SENTENCES - 1
        for reader in NAMES:
            found = wrong & (generator.random(len(REASONS)) < truth.sensitivity)
            edits = [
                SentenceEdit("delete", index, "", reason, bool(generator.random() < truth.significant))
                for index, reason in enumerate(REASONS)
                if found[index]
            ]
            if report_id in probes and generator.random() < truth.sensitivity:
                edits.append(SentenceEdit("delete", SENTENCES - 1, "", "false finding", True))
            gone = {edit.source for edit in edits}
            text = " ".join(one for index, one in enumerate(texts) if index not in gone)
            verdict = "accept" if not edits else "minor" if len(edits) < 3 else "major"
            seconds = float(generator.lognormal(4 if reader == "anna" else 4.7, 0.4))
            assessment = Assessment(verdict, edits=tuple(edits), seconds=seconds)
            pairs.append((report, correction(report_id, reader, text, assessment, f"{reader}-{report_id}")))
    return pairs, probes


def correction(
    report_id: str, reader: str, text: str, assessment: Assessment | None, key: str, **fields: object
) -> Correction:
    values = {
        "correction_id": key,
        "key": key,
        "report_id": report_id,
        "text": text,
        "reader": reader,
        "status": "submitted",
        "assessment": assessment,
        "saved_at": "2026-01-01T00:00:00.000000+00:00",
        "parent_id": None,
        "version": 1,
        "app_version": "0",
    }
    return Correction(**values | fields)


def simulate_votes(strengths: dict[str, float], votes: int, seed: int = 0) -> list[Vote]:
    """Votes between two random models a study, by the model of Bradley and Terry."""
    generator = np.random.default_rng(seed)
    cast = []
    for number in range(votes):
        a, b = generator.permutation([*strengths])[:2].tolist()
        wins = 1 / (1 + np.exp(strengths[b] - strengths[a]))
        choice: Choice = "a" if generator.random() < wins else "b"
        cast.append(
            Vote(f"v{number}", f"s{number}", "r1", "r2", a, b, choice, "", "anna", "2026-01-01T00:00:00+00:00", "0")
        )
    return cast

"""Language metrics on tokenized texts: BLEU-1 to 4, ROUGE-L, CIDEr-D and METEOR 1.5.

pycocoevalcap 1.2 counts, so the figures equal those of R2Gen and later papers; only METEOR needs Java. Its scorers are
called one by one, because `COCOEvalCap` also builds SPICE, which downloads 384 MB and fails on a current Java. Every
text is first joined to a single line, because line breaks misalign the scorers or make them fail.

- ROUGE-L is the recall-weighted F (beta 1.2), averaged over studies. It is not the F1 of the `rouge_score` package.
- CIDEr takes its IDF from the references of the call. Figures of different sets of studies cannot be compared, a subset
  uses the IDF of the whole set, and with few studies CIDEr has no meaning.
- METEOR and BLEU are corpus figures: the formula is applied to summed statistics. They are no means over studies.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from rrg.errors import InputError
from rrg.evaluate.meteor import MeteorUnavailable, meteor_figure, meteor_statistics
from rrg.evaluate.significance import Measure, mean_measure

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
LONGEST = 1_000
"""Tokens of a text that are scored; the time of ROUGE-L is quadratic in the length."""
FEWEST_FOR_CIDER = 30
"""Number of studies below which CIDEr carries a warning (with one study every CIDEr is 0)."""


@dataclass(frozen=True, eq=False)
class LanguageScores:
    """Language metrics of one system."""

    measures: dict[str, Measure]
    """Name in METRICS -> measure; studies in the order of the references."""
    not_computed: dict[str, str]
    """Metric -> why it is missing. A missing figure is never 0."""
    warnings: tuple[str, ...]

    @property
    def values(self) -> dict[str, float]:
        return {name: measure.value for name, measure in self.measures.items()}


def clean_line(text: str) -> str:
    """Normalize a text to one line of tokens with single spaces between them.

    Line separators, control characters and "|||" (METEOR's separator) become spaces. A lone surrogate, which cannot be
    encoded, becomes "?".
    """
    text = text.encode("utf-8", "replace").decode("utf-8").replace("|||", " ")
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())


def language_scores(
    systems: Mapping[str, Mapping[str, str]],
    references: Mapping[str, str | Sequence[str]],
    *,
    meteor: bool = True,
) -> dict[str, LanguageScores]:
    """Score systems (name -> study id -> text) against references (study id -> one or more texts).

    Texts are tokens separated by whitespace (`rrg.evaluate.protocols`). All systems share one Java process for METEOR;
    `meteor=False` saves its ten seconds. Raises InputError without a system or a study, for a study without a
    reference, and for a system whose study ids differ from those of the references.
    """
    if not systems or not references:
        raise InputError("There is nothing to score: give at least one system and one study with a reference.")
    cut: set[str] = set()

    def line(text: str, study: str) -> str:
        words = clean_line(text).split(" ")
        if len(words) > LONGEST:
            cut.add(study)
        return " ".join(words[:LONGEST])

    targets = {
        study: [line(text, study) for text in ([texts] if isinstance(texts, str) else texts)]
        for study, texts in references.items()
    }
    without = [study for study, texts in targets.items() if not any(texts)]
    if without:
        raise InputError(
            f"Study {without[0]!r} has no reference text: leave studies without a report out ({len(without)})."
        )
    outputs: dict[str, dict[str, str]] = {}
    for name, texts in systems.items():
        if texts.keys() != references.keys():
            missing, extra = references.keys() - texts.keys(), texts.keys() - references.keys()
            raise InputError(
                f"{name} and the references are not about the same studies: {len(missing)} without a text, "
                f"{len(extra)} without a reference (such as {min(missing or extra)!r}). "
                "Score exactly the studies that have both."
            )
        outputs[name] = {study: line(texts[study], study) for study in targets}

    warnings = [f"{len(cut)} studies: text cut to {LONGEST} tokens before scoring"] if cut else []
    if len(targets) < FEWEST_FOR_CIDER:
        warnings.append(f"CIDEr takes its IDF from these {len(targets)} studies alone: too few for it to mean anything")
    meteors, why_not = _meteor_measures(outputs, targets) if meteor else ({}, {"METEOR": "not computed: not asked for"})
    return {
        name: LanguageScores(_measures(texts, targets) | meteors.get(name, {}), why_not, tuple(warnings))
        for name, texts in outputs.items()
    }


def bleu_figure(order: int) -> Callable[[np.ndarray], np.ndarray]:
    """BLEU-`order` [...] of sums [..., 10]: both lengths, n-grams of the hypothesis (1..4), matched n-grams (1..4)."""
    tiny, small = 1e-15, 1e-9  # as in pycocoevalcap: without a matching 4-gram BLEU-4 is about 1e-4, not 0

    def figure(sums: np.ndarray) -> np.ndarray:
        precisions = (sums[..., 6 : 6 + order] + tiny) / (sums[..., 2 : 2 + order] + small)
        length_ratio = (sums[..., 0] + tiny) / (sums[..., 1] + small)
        return np.exp(np.minimum(0.0, 1 - 1 / length_ratio)) * np.prod(precisions, axis=-1) ** (1 / order)

    return figure


def _measures(outputs: Mapping[str, str], targets: Mapping[str, list[str]]) -> dict[str, Measure]:
    hypotheses = {study: [text] for study, text in outputs.items()}
    bleu = BleuScorer(n=4)
    for study, texts in targets.items():
        bleu += (outputs[study], texts)
    bleu_rows = np.array(
        [
            [
                row["testlen"],
                min((abs(n - row["testlen"]), n) for n in row["reflen"])[1],
                *row["guess"],
                *row["correct"],
            ]
            for row in bleu.ctest
        ],
        dtype=float,
    )
    measures = {f"BLEU-{order}": Measure(bleu_rows, bleu_figure(order)) for order in (1, 2, 3, 4)}
    _, rouge = Rouge().compute_score(targets, hypotheses)
    _, cider = Cider().compute_score(targets, hypotheses)
    return measures | {"ROUGE-L": mean_measure(np.asarray(rouge)), "CIDEr": mean_measure(np.asarray(cider))}


def _meteor_measures(
    outputs: Mapping[str, Mapping[str, str]], targets: Mapping[str, list[str]]
) -> tuple[dict[str, dict[str, Measure]], dict[str, str]]:
    """METEOR of all systems by one Java process, or the reason why it is missing."""
    try:
        rows = meteor_statistics(
            [text for texts in outputs.values() for text in texts.values()], [*targets.values()] * len(outputs)
        )
    except MeteorUnavailable as error:
        return {}, {"METEOR": str(error)}
    blocks = np.split(rows, len(outputs))
    return {name: {"METEOR": Measure(block, meteor_figure)} for name, block in zip(outputs, blocks, strict=True)}, {}

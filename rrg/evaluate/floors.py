"""Trivial baselines ("floors") that every table of results compares a model with.

Reports of normal studies are so similar that one constant report beats published models on IU X-Ray. The constants with
the best BLEU-4 and CIDEr are chosen on the validation split, whichever split is then evaluated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rrg.decoding.cider import CiderD
from rrg.decoding.ngrams import ORDERS, NgramFrequencies, Words, ngrams
from rrg.evaluate.language import bleu_figure

NORMAL_TEMPLATE = (
    "The heart is normal in size. The mediastinal contours are within normal limits. The lungs are clear. "
    "No focal consolidation, pleural effusion or pneumothorax is seen. The visualized bony structures are unremarkable."
)
RANDOM_SEED = 0


@dataclass(frozen=True)
class Floor:
    """The texts of a trivial baseline, one for every study."""

    name: str
    description: str
    texts: dict[str, str]
    """Study id -> report as in the train split (raw text; a protocol splits it into words)."""


def constant(name: str, description: str, report: str, studies: Sequence[str]) -> Floor:
    """The same report for every study."""
    return Floor(name, f"{description}: {report!r}", dict.fromkeys(studies, report))


def most_frequent(train: Sequence[str], studies: Sequence[str]) -> Floor:
    """The most frequent report of the train split; the first one of equally frequent ones."""
    report, count = Counter(train).most_common(1)[0]
    return constant("most frequent", f"the commonest train report ({count} of {len(train)})", report, studies)


def random_report(train: Sequence[str], studies: Sequence[str], seed: int = RANDOM_SEED) -> Floor:
    """A random train report for every study, drawn with replacement."""
    picks = np.random.default_rng(seed).integers(len(train), size=len(studies)).tolist()
    texts: dict[str, str] = {study: train[int(pick)] for study, pick in zip(studies, picks, strict=True)}
    return Floor("random", f"a train report drawn at random for every study (seed {seed})", texts)


def nearest_neighbour(
    train: Sequence[str], train_features: np.ndarray, studies: Sequence[str], features: np.ndarray
) -> Floor:
    """The report of the train study whose image features ([N, D]; `features` is [M, D]) have the highest cosine."""
    unit_train, unit = (
        x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (train_features, features)
    )
    nearest = (unit @ unit_train.T).argmax(axis=1).tolist()
    texts: dict[str, str] = {study: train[int(index)] for study, index in zip(studies, nearest, strict=True)}
    return Floor(
        "nearest neighbour", "the report of the train study with the most similar image features (cosine)", texts
    )


def best_constants(train: Mapping[str, str], val: Sequence[str]) -> tuple[str, str]:
    """The train reports with the highest BLEU-4 and the highest CIDEr as the constant report of every validation study.

    `train` maps a report to the tokenized text that is scored, `val` holds the tokenized references, one a study. The
    first of equally good reports is returned.
    """
    reports = list(train)
    candidates = [text.split() for text in train.values()]
    references = [text.split() for text in val]
    return (
        reports[int(constant_bleu4(candidates, references).argmax())],
        reports[int(constant_cider(candidates, references).argmax())],
    )


def constant_bleu4(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Corpus BLEU-4 [C] of each candidate as the constant report of all references.

    An n-gram that occurs c times in the candidate has sum_r min(c, count in r) clipped matches. A table of how many
    references have each count gives that sum, so that thousands of candidates take well under a second.
    """
    n, reference_length = len(references), sum(map(len, references))
    statistics = np.zeros((len(candidates), 10))  # the columns of `bleu_figure`
    statistics[:, 0] = [n * len(words) for words in candidates]
    statistics[:, 1] = reference_length
    for order in ORDERS:
        tables: dict[Words, Counter[int]] = {}  # n-gram -> count -> number of references
        for words in references:
            for ngram, count in Counter(ngrams(words, order)).items():
                tables.setdefault(ngram, Counter())[count] += 1
        for row, words in zip(statistics, candidates, strict=True):
            row[1 + order] = n * max(0, len(words) - order + 1)
            row[5 + order] = sum(
                min(count, other) * rows
                for ngram, count in Counter(ngrams(words, order)).items()
                for other, rows in tables.get(ngram, {}).items()
            )
    return bleu_figure(4)(statistics)


def constant_cider(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Mean CIDEr-D [C] of each candidate as the constant report of all references, with their document frequencies."""
    return CiderD(NgramFrequencies.of(references)).matrix(candidates, references).mean(axis=1)

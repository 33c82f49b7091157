"""Floors: trivial baselines, which ignore the image or copy a report of the train split.

Reports of normal studies are so similar that one constant report scores higher than published models on IU X-Ray. The
best constant reports are selected on the validation split, whichever split is evaluated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from rrg.evaluate.language import bleu_figure

NORMAL_TEMPLATE = (
    "The heart is normal in size. The mediastinal contours are within normal limits. The lungs are clear. "
    "No focal consolidation, pleural effusion or pneumothorax is seen. The visualized bony structures are unremarkable."
)
RANDOM_SEED = 0
_ORDERS = (1, 2, 3, 4)
_CIDER_SIGMA = 6.0


@dataclass(frozen=True)
class Floor:
    """A trivial baseline with a report for every study."""

    name: str
    description: str
    texts: dict[str, str]
    """Study id -> report, not tokenized."""


def constant(name: str, description: str, report: str, studies: Sequence[str]) -> Floor:
    """The same report for every study."""
    return Floor(name, f"{description}: {report!r}", dict.fromkeys(studies, report))


def most_frequent(train: Sequence[str], studies: Sequence[str]) -> Floor:
    """The most frequent report of the train split; of equally frequent ones the first."""
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
    """The report of the train study with the most similar image features (cosine; N train studies, M studies).

    `train_features` is [N, D], and `features` is [M, D].
    """
    unit_train, unit = (
        x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (train_features, features)
    )
    nearest = (unit @ unit_train.T).argmax(axis=1).tolist()
    texts: dict[str, str] = {study: train[int(index)] for study, index in zip(studies, nearest, strict=True)}
    return Floor(
        "nearest neighbour", "the report of the train study with the most similar image features (cosine)", texts
    )


def best_constants(train: Mapping[str, str], val: Sequence[str]) -> tuple[str, str]:
    """The train reports that score best in BLEU-4 and in CIDEr when written for every validation study.

    `train` maps a report to its scored words, `val` holds the scored words of the references (one a study). Ties go to
    the first report.
    """
    reports = list(train)
    candidates = [text.split() for text in train.values()]
    references = [text.split() for text in val]
    return (
        reports[int(constant_bleu4(candidates, references).argmax())],
        reports[int(constant_cider(candidates, references).argmax())],
    )


def constant_bleu4(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Corpus BLEU-4 [C] of each candidate written for every reference.

    The clipped matches of a constant are a sum over its n-grams g, written c times, of sum_r min(c, count of g in r): a
    table lookup, so thousands of candidates take well under a second.
    """
    counts = [_ngrams(words) for words in references]
    occurrences: dict[tuple[str, ...], Counter[int]] = {}
    for row in counts:
        for ngram, count in row.items():
            occurrences.setdefault(ngram, Counter())[count] += 1
    n, reference_length = len(references), sum(map(len, references))
    statistics = np.zeros((len(candidates), 10))
    for i, words in enumerate(candidates):
        statistics[i, :2] = n * len(words), reference_length
        statistics[i, 2:6] = [n * max(0, len(words) - order + 1) for order in _ORDERS]
        for ngram, written in _ngrams(words).items():
            found = occurrences.get(ngram, {})
            statistics[i, 5 + len(ngram)] += sum(min(written, count) * rows for count, rows in found.items())
    return bleu_figure(4)(statistics)


def constant_cider(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Mean CIDEr-D [C] of each candidate written for every reference (IDF from `references`).

    CIDEr-D's clipped product min(a, b) b is summed over levels of a count: [count >= 1] + [count >= 2] + ..., which
    makes it a few sparse matrix products instead of C x R comparisons.
    """
    written, seen = [_ngrams(words) for words in candidates], [_ngrams(words) for words in references]
    frequency = Counter(ngram for row in seen for ngram in row)
    # CIDEr's "length" is the number of bigrams.
    lengths = [np.array([max(0, len(words) - 1) for words in texts], dtype=float) for texts in (candidates, references)]
    penalty = np.exp(-((lengths[0][:, None] - lengths[1][None, :]) ** 2) / (2 * _CIDER_SIGMA**2))
    total = np.zeros(penalty.shape)
    for order in _ORDERS:
        columns = {g: j for j, g in enumerate(sorted({g for row in (*written, *seen) for g in row if len(g) == order}))}
        idf = np.array([np.log(len(references)) - np.log(max(1, frequency[g])) for g in columns])
        hypotheses, targets = _count_matrix(written, columns), _count_matrix(seen, columns)
        norms = [np.sqrt((counts**2) @ idf**2) for counts in (hypotheses, targets)]
        product = np.zeros(penalty.shape)
        for level in range(1, int(min(hypotheses.data.max(initial=0), targets.data.max(initial=0))) + 1):
            reached = _where_at_least(level, hypotheses, np.ones_like(hypotheses.data)) * idf**2
            product += (reached @ _where_at_least(level, targets, targets.data).T).toarray()
        scale = np.outer(*norms)
        total += np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
    return 10 * (total / len(_ORDERS) * penalty).mean(axis=1)


def _ngrams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + order]) for order in _ORDERS for i in range(len(words) - order + 1))


def _count_matrix(rows: Sequence[Counter[tuple[str, ...]]], columns: Mapping[tuple[str, ...], int]) -> csr_array:
    """float64 sparse [rows, columns] of the n-grams that have a column."""
    entries = [(i, columns[g], count) for i, row in enumerate(rows) for g, count in row.items() if g in columns]
    i, j, counts = np.array(entries, dtype=int).reshape(-1, 3).T
    return csr_array((counts.astype(float), (i, j)), shape=(len(rows), len(columns)))


def _where_at_least(level: int, counts: csr_array, values: np.ndarray) -> csr_array:
    """`values` of the stored entries whose count is at least `level`, 0 elsewhere."""
    kept = np.where(counts.data >= level, values, 0.0)
    return csr_array((kept, counts.indices, counts.indptr), shape=counts.shape)

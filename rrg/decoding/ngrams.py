"""How rare the wordings of reports are: in how many reports of the train split each n-gram stands.

The counts are kept beside a model's weights, under hashes of the n-grams: no text can be read out of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np

from rrg.errors import InputError

Words = tuple[str, ...]

LONGEST = 4
"""Words of an n-gram at most, as in BLEU-4 and CIDEr."""
FILE = "ngrams.npz"
"""Its name in a folder of weights."""


def ngrams(words: Sequence[str]) -> Iterator[Words]:
    """All n-grams of a text, up to `LONGEST` words."""
    for length in range(1, LONGEST + 1):
        for first in range(len(words) - length + 1):
            yield tuple(words[first : first + length])


class NgramFrequencies:
    """In how many of `reports` reports each n-gram stands that stands in more than one."""

    def __init__(self, reports: int, counts: dict[int, int]):
        self.reports = reports
        self._counts = counts

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> Self:
        """Count those of texts, each a sequence of words."""
        counts, reports = Counter[int](), 0
        for words in texts:
            counts.update({_key(ngram) for ngram in ngrams(words)})
            reports += 1
        return cls(reports, {key: count for key, count in counts.items() if count > 1})

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        """Read them from a folder of weights. Raises InputError where they are missing or damaged."""
        path = folder / FILE
        remedy = f"Copy the model's whole folder, with {FILE}, or train the model again."
        if not path.is_file():
            raise InputError(f"The model in {folder} writes by how rare wordings are, and there is no {path}. {remedy}")
        try:
            with np.load(path) as file:
                keys, counts, reports = file["keys"], file["counts"], int(file["reports"])
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise InputError(f"{path} cannot be read ({error}). {remedy}") from error
        return cls(reports, dict(zip(keys.tolist(), counts.tolist(), strict=True)))

    def save_pretrained(self, folder: Path) -> None:
        """Write them to a folder of weights; the same counts give the same bytes."""
        keys = np.array(sorted(self._counts), dtype=np.uint64)
        counts = np.array([self._counts[key] for key in keys.tolist()], dtype=np.uint32)
        np.savez_compressed(folder / FILE, keys=keys, counts=counts, reports=np.array(self.reports))

    def rarity(self, wordings: Iterable[Words]) -> np.ndarray:
        """Inverse document frequency of n-grams in nats: 0 where all reports have it, most where one or none has."""
        frequencies = [self._counts.get(_key(ngram), 1) for ngram in wordings]
        return np.log(self.reports / np.array(frequencies, dtype=float))


def _key(ngram: Words) -> int:
    return int.from_bytes(blake2b(" ".join(ngram).encode(), digest_size=8).digest(), "little")

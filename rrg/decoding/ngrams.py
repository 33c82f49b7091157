"""N-grams of reports: counts, document frequencies in the train split, and inverse document frequencies (IDF).

BLEU-4 (`rrg.evaluate.floors`), CIDEr-D (`rrg.decoding.cider`) and MBR decoding (`rrg.decoding.similarity`) use them. A
model's folder of weights holds the document frequencies of its train split under hashes of the n-grams, so that no
report text can be read from the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Self
from zipfile import BadZipFile

import numpy as np

from rrg.data.files import replaced
from rrg.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Words = tuple[str, ...]

ORDERS = (1, 2, 3, 4)
"""Words in an n-gram, as in BLEU-4 and CIDEr."""
FILE = "ngrams.npz"
"""Name of the file of document frequencies in a folder of weights."""


def ngrams(words: Sequence[str], order: int) -> Iterator[Words]:
    """All n-grams of `order` words, with repetitions."""
    return zip(*(words[i:] for i in range(order)), strict=False)


def distinct(counts: Iterable[Iterable[Words]]) -> list[Words]:
    """The distinct n-grams of several texts, by first occurrence."""
    return list(dict.fromkeys(ngram for text in counts for ngram in text))


def count_matrix(counts: Sequence[Counter[Words]], columns: Iterable[Words]) -> csr_array:
    """Sparse float64 [texts, columns]: how often each text has each n-gram. Every n-gram needs a column."""
    from scipy.sparse import csr_array  # here: the list of models reads the name of the file and needs no matrix

    index = {ngram: column for column, ngram in enumerate(columns)}
    values = np.array([count for text in counts for count in text.values()], dtype=float)
    indices = np.array([index[ngram] for text in counts for ngram in text], dtype=int)
    starts = np.cumsum([0, *map(len, counts)])
    return csr_array((values, indices, starts), shape=(len(counts), len(index)))


class NgramFrequencies:
    """Document frequencies of n-grams: in how many of `documents` reports each n-gram occurs.

    N-grams that occur in one report only are not stored; they get the IDF of unseen n-grams.
    """

    def __init__(self, documents: int, counts: dict[int, int]):
        self.documents = documents
        self._counts = counts

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> Self:
        """Count the document frequencies in texts, each a sequence of words."""
        counts, documents = Counter[int](), 0
        for words in texts:
            counts.update({hash_words(ngram) for order in ORDERS for ngram in ngrams(words, order)})
            documents += 1
        return cls(documents, {key: count for key, count in counts.items() if count > 1})

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Read them from a folder of weights. Raises InputError where the file is missing or damaged."""
        path = Path(folder) / FILE
        remedy = f"Copy the model's whole folder, with {FILE}, or train the model again."
        if not path.is_file():
            raise InputError(f"The model in {folder} decodes with CIDEr, and there is no {path}. {remedy}")
        try:
            with np.load(path) as file:
                keys, counts, documents = file["keys"], file["counts"], int(file["reports"])
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise InputError(f"{path} cannot be read ({error}). {remedy}") from error
        return cls(documents, dict(zip(keys.tolist(), counts.tolist(), strict=True)))

    def save_pretrained(self, folder: Path | str) -> None:
        """Write them to a folder of weights. Equal counts give equal bytes."""
        keys = np.array(sorted(self._counts), dtype=np.uint64)
        counts = np.array([self._counts[key] for key in keys.tolist()], dtype=np.uint32)
        with replaced(Path(folder) / FILE) as path:
            np.savez_compressed(path, keys=keys, counts=counts, reports=np.array(self.documents))

    def idf(self, wordings: Iterable[Words]) -> np.ndarray:
        """Inverse document frequency [n-grams] in nats: 0 for an n-gram of every report, highest for an unseen one."""
        frequencies = [self._counts.get(hash_words(ngram), 1) for ngram in wordings]
        return np.log(self.documents / np.array(frequencies, dtype=float))


def hash_words(words: Words) -> int:
    """64 bits that stand for words in a file from which no text can be read."""
    return int.from_bytes(blake2b(" ".join(words).encode(), digest_size=8).digest(), "little")

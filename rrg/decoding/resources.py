"""What MBR decoding reads from a model's folder beside the weights: n-gram frequencies and the sentence bank."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rrg.decoding.ngrams import FILE as NGRAMS_FILE
from rrg.decoding.ngrams import NgramFrequencies
from rrg.decoding.sentence_bank import FILE as BANK_FILE
from rrg.decoding.sentence_bank import SentenceBank

if TYPE_CHECKING:
    from rrg.decoding.mbr import MBRConfig  # imports torch, which the names of the files do not need


@dataclass(frozen=True, eq=False)
class MBRResources:
    """Files in a model's folder that MBR decoding needs."""

    ngram_frequencies: NgramFrequencies | None = None
    """Needed where `MBRConfig.cider_weight` is above 0."""
    sentence_bank: SentenceBank | None = None
    """Needed where `MBRConfig.sentence_bank` is true."""

    @classmethod
    def from_pretrained(cls, folder: Path, config: MBRConfig | None) -> Self:
        """Read what the settings need from a folder. Raises InputError where a file is missing or damaged."""
        if config is None:
            return cls()
        return cls(
            NgramFrequencies.from_pretrained(folder) if config.cider_weight else None,
            SentenceBank.from_pretrained(folder) if config.sentence_bank else None,
        )

    def save_pretrained(self, folder: Path) -> None:
        """Write them to a folder of weights."""
        if self.ngram_frequencies is not None:
            self.ngram_frequencies.save_pretrained(folder)
        if self.sentence_bank is not None:
            self.sentence_bank.save_pretrained(folder)


NO_RESOURCES = MBRResources()
RESOURCE_FILES = (NGRAMS_FILE, BANK_FILE)
"""Names of the files; they decide the reports of a model."""

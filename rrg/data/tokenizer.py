"""The tokenizers of the R2Gen protocol, of words or of byte pairs, saved with the weights as `tokenizer.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from rrg.data.text import CLEANERS
from rrg.errors import InputError

BOUNDARY = "</s>"
"""Begins, ends and pads a report: id 0 is all three, as in R2Gen."""
UNKNOWN = "<unk>"
WORD_START = "\u0120"
"""First character of the byte pairs that begin a word: how byte-level tokenizers write a space."""


@dataclass(frozen=True)
class WrittenWord:
    """A word and the ids that wrote it: from `first` to before `last`."""

    text: str
    first: int
    last: int


def _cleaner(name: str) -> Callable[[str], str]:
    if name not in CLEANERS:
        raise InputError(f"There is no report cleaning named {name!r}. Use one of: {', '.join(CLEANERS)}.")
    return CLEANERS[name]


def _word_by_word(tokenizer: Tokenizer) -> Tokenizer:
    """Byte pairs of single words, each with the space before it."""
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


class ReportTokenizer(PreTrainedTokenizerFast):
    """Words of cleaned reports <-> ids.

    One id, 0 unless the vocabulary is GPT-2's, is BOS, EOS and PAD. Of words (`build`): those that the train split
    holds at least `threshold` times, and `<unk>` sorted among them, have ids from 1 in lexicographic order. Of byte
    pairs (`build_byte_pairs`, `of_gpt2`): a word may take several ids, and every word can be written. `encode_report`
    and `decode_words` are the protocol; calling the tokenizer works as everywhere in `transformers`, on text that is
    cleaned already.
    """

    # No `__init__`: transformers would then rebuild the words from tokenizer.json as sub-words, without an error.

    @property
    def cleaner(self) -> str:
        """The key of `CLEANERS` that the vocabulary was counted with, saved in `tokenizer_config.json`."""
        return self.init_kwargs["cleaner"]

    @classmethod
    def build(cls, reports: Iterable[str], threshold: int, cleaner: str = "iu_xray") -> ReportTokenizer:
        """Count the words of the train split's `reports`; published thresholds are 3 (IU X-Ray) and 10 (MIMIC-CXR).

        Raises InputError when `cleaner` is not a key of `CLEANERS` or no word is frequent enough.
        """
        clean = _cleaner(cleaner)
        counts = Counter(word for report in reports for word in clean(report).split())
        words = [word for word, count in counts.items() if count >= threshold]
        if not words:
            raise InputError(
                f"No word occurs {threshold} times in the reports, so there is no vocabulary. "
                "Give more reports (the train split) or a lower threshold."
            )
        ids = {word: i for i, word in enumerate([BOUNDARY, *sorted([*words, UNKNOWN])])}
        tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = WhitespaceSplit()
        return cls._of(tokenizer, cleaner, unk_token=UNKNOWN)

    @classmethod
    def build_byte_pairs(cls, reports: Iterable[str], size: int, cleaner: str = "iu_xray") -> ReportTokenizer:
        """Learn `size` byte pairs (Sennrich et al., ACL 2016) from the train split's `reports`; none crosses a space.

        Raises InputError when `cleaner` is not a key of `CLEANERS` or `size` leaves no room beside the 256 bytes.
        """
        clean = _cleaner(cleaner)
        if size < 300:
            raise InputError(f"{size} byte pairs are too few: the bytes alone are 256. Give 300 or more.")
        tokenizer = _word_by_word(Tokenizer(BPE()))
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = BpeTrainer(vocab_size=size, special_tokens=[BOUNDARY], initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator((clean(report) for report in reports), trainer)
        return cls._of(tokenizer, cleaner)

    @classmethod
    def of_gpt2(cls, folder: str | Path, cleaner: str = "iu_xray") -> ReportTokenizer:
        """GPT-2's own byte pairs from a local folder or the hub; its end of text is BOS, EOS and PAD.

        Raises InputError for a tokenizer of another kind.
        """
        theirs = AutoTokenizer.from_pretrained(folder)
        backend = getattr(theirs, "backend_tokenizer", None)
        if backend is None or not isinstance(backend.model, BPE) or not theirs.eos_token:
            raise InputError(f"{folder} holds no byte-level tokenizer. Name a folder with GPT-2's tokenizer.json.")
        return cls._of(_word_by_word(backend), cleaner, theirs.eos_token)

    @classmethod
    def _of(cls, tokenizer: Tokenizer, cleaner: str, boundary: str = BOUNDARY, **special: str) -> ReportTokenizer:
        tokenizer.post_processor = TemplateProcessing(
            single=f"{boundary} $A {boundary}", special_tokens=[(boundary, tokenizer.token_to_id(boundary))]
        )
        ends = dict.fromkeys(("bos_token", "eos_token", "pad_token"), boundary)
        return cls(tokenizer_object=tokenizer, cleaner=cleaner, **ends, **special)

    @property
    def has_byte_pairs(self) -> bool:
        """Whether a word may take several ids."""
        return isinstance(self.backend_tokenizer.model, BPE)

    def encode_report(self, text: str, max_length: int) -> list[int]:
        """Clean `text` and give BOS + ids + EOS cut to `max_length` entries (published: 60 IU X-Ray, 100 MIMIC-CXR).

        BOS counts, so a report of `max_length - 1` words or more loses its EOS: the model is never taught to end it.
        """
        return self.backend_tokenizer.encode(_cleaner(self.cleaner)(text)).ids[:max_length]

    def decode_words(self, ids: Iterable[int]) -> list[str]:
        """The words up to the first EOS after BOS; rare words stay `<unk>` where the vocabulary is one of words."""
        return [word.text for word in self.written_words(ids)]

    def written_words(self, ids: Iterable[int]) -> list[WrittenWord]:
        """The words up to the first EOS (a leading BOS is passed over), each with the places of its ids."""
        pieces: list[tuple[int, str]] = []
        for position, token_id in enumerate(int(i) for i in ids):
            if token_id == self.eos_token_id:
                if position == 0:
                    continue
                break
            pieces.append((position, str(self.convert_ids_to_tokens(token_id))))
        if not self.has_byte_pairs:
            return [WrittenWord(piece, position, position + 1) for position, piece in pieces]
        groups: list[list[tuple[int, str]]] = []
        for position, piece in pieces:
            if groups and not piece.startswith(WORD_START):
                groups[-1].append((position, piece))
            else:
                groups.append([(position, piece)])
        decoder = self.backend_tokenizer.decoder
        return [
            WrittenWord(text, group[0][0], group[-1][0] + 1)
            for group in groups
            if (text := decoder.decode([piece for _, piece in group]).strip())
        ]

    def encode_words(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        """The ids that write `words` of a cleaned report, without BOS and EOS, and for each the index of its word."""
        encoded = [self.backend_tokenizer.encode(word, add_special_tokens=False).ids for word in words]
        return [i for ids in encoded for i in ids], [index for index, ids in enumerate(encoded) for _ in ids]

"""Tokenizer of reports, with a vocabulary of words (as in R2Gen) or of byte pairs."""

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
"""BOS, EOS and padding token. Its id is 0, as in R2Gen."""
UNKNOWN = "<unk>"
WORD_START = "\u0120"
"""First character of a byte pair that starts a word: the space in byte-level tokenizers."""


@dataclass(frozen=True)
class GeneratedWord:
    """A word of a token sequence, and the positions of its ids."""

    text: str
    first: int
    """Position of the first id."""
    last: int
    """Position after the last id."""


def _cleaner(name: str) -> Callable[[str], str]:
    if name not in CLEANERS:
        raise InputError(f"There is no report cleaning named {name!r}. Use one of: {', '.join(CLEANERS)}.")
    return CLEANERS[name]


def _word_by_word(tokenizer: Tokenizer) -> Tokenizer:
    """Set up byte-level tokenization of single words, each with the space before it."""
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


class ReportTokenizer(PreTrainedTokenizerFast):
    """Tokenizer between reports and ids, saved with the weights as `tokenizer.json`.

    BOS, EOS and PAD have the same id: 0, or the end of text of GPT-2. There are two kinds of vocabulary:

    - words (`build`): the words that occur at least `threshold` times in the train split, and `<unk>`, have ids from 1
      in lexicographic order;
    - byte pairs (`build_byte_pairs`, `of_gpt2`): a word may take several ids, and every word can be encoded.

    `encode_report` and `decode_words` follow the R2Gen protocol. Calling the tokenizer works as for any tokenizer of
    `transformers`; it expects cleaned text.
    """

    # Do not define `__init__`: transformers would load the words of tokenizer.json as sub-words, without an error.

    @property
    def cleaner(self) -> str:
        """Key of `CLEANERS` used to build the vocabulary; saved in `tokenizer_config.json`."""
        return self.init_kwargs["cleaner"]

    @classmethod
    def build(cls, reports: Iterable[str], threshold: int, cleaner: str = "iu_xray") -> ReportTokenizer:
        """Build a vocabulary of words.

        Args:
            reports: reports of the train split, not cleaned.
            threshold: minimum count of a word; published: 3 (IU X-Ray), 10 (MIMIC-CXR).
            cleaner: key of `CLEANERS`.

        Raises:
            InputError: `cleaner` is unknown, or no word reaches the threshold.
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
        """Build a vocabulary of byte pairs (Sennrich et al., ACL 2016). No pair crosses a space.

        Args:
            reports: reports of the train split, not cleaned.
            size: size of the vocabulary, 300 or more: the 256 bytes are part of it.
            cleaner: key of `CLEANERS`.

        Raises:
            InputError: `cleaner` is unknown, or `size` is too small.
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
        """Use the byte pairs of GPT-2; its end of text is BOS, EOS and PAD.

        Args:
            folder: local folder or name on the hub.
            cleaner: key of `CLEANERS`.

        Raises:
            InputError: there is no tokenizer, or it is not byte-level.
        """
        try:
            source = AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise InputError(f"{folder} holds no tokenizer ({reason}). Name a folder of GPT-2, or gpt2.") from error
        backend = getattr(source, "backend_tokenizer", None)
        if backend is None or not isinstance(backend.model, BPE) or not source.eos_token:
            raise InputError(f"{folder} holds no byte-level tokenizer. Name a folder with GPT-2's tokenizer.json.")
        return cls._of(_word_by_word(backend), cleaner, source.eos_token)

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
        """Clean a report and return BOS + ids + EOS, truncated to `max_length` (published: 60 IU X-Ray, 100 MIMIC-CXR).

        A report of `max_length - 1` ids or more loses its EOS, as in R2Gen; from it the model does not learn to stop.
        """
        return self.backend_tokenizer.encode(_cleaner(self.cleaner)(text)).ids[:max_length]

    def decode_words(self, ids: Iterable[int]) -> list[str]:
        """Decode ids to words, up to the first EOS. A leading BOS is skipped, and `<unk>` is returned as a word."""
        return [word.text for word in self.generated_words(ids)]

    def generated_words(self, ids: Iterable[int]) -> list[GeneratedWord]:
        """Decode ids as `decode_words`, with the positions of the ids of each word."""
        pieces: list[tuple[int, str]] = []
        for position, token_id in enumerate(int(i) for i in ids):
            if token_id == self.eos_token_id:
                if position == 0:
                    continue
                break
            pieces.append((position, str(self.convert_ids_to_tokens(token_id))))
        if not self.has_byte_pairs:
            return [GeneratedWord(piece, position, position + 1) for position, piece in pieces]
        groups: list[list[tuple[int, str]]] = []
        for position, piece in pieces:
            if groups and not piece.startswith(WORD_START):
                groups[-1].append((position, piece))
            else:
                groups.append([(position, piece)])
        decoder = self.backend_tokenizer.decoder
        return [
            GeneratedWord(text, group[0][0], group[-1][0] + 1)
            for group in groups
            if (text := decoder.decode([piece for _, piece in group]).strip())
        ]

    def encode_words(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        """Encode words of a cleaned report, without BOS and EOS.

        Returns:
            the ids, and for each id the index of its word.
        """
        encoded = [self.backend_tokenizer.encode(word, add_special_tokens=False).ids for word in words]
        return [i for ids in encoded for i in ids], [index for index, ids in enumerate(encoded) for _ in ids]

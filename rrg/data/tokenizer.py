"""The word-level tokenizer of the R2Gen protocol, saved with the weights as `tokenizer.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from rrg.data.text import CLEANERS
from rrg.errors import InputError

BOUNDARY = "</s>"
"""Begins, ends and pads a report: id 0 is all three, as in R2Gen."""
UNKNOWN = "<unk>"


def _cleaner(name: str) -> Callable[[str], str]:
    if name not in CLEANERS:
        raise InputError(f"There is no report cleaning named {name!r}. Use one of: {', '.join(CLEANERS)}.")
    return CLEANERS[name]


class ReportTokenizer(PreTrainedTokenizerFast):
    """Words of cleaned reports <-> ids.

    Id 0 is BOS, EOS and PAD; the words that the train split holds at least `threshold` times, and `<unk>` sorted among
    them, have ids from 1 in lexicographic order. `encode_report` and `decode_words` are the protocol; calling the
    tokenizer works as everywhere in `transformers`, on text that is cleaned already.
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
        tokenizer.post_processor = TemplateProcessing(
            single=f"{BOUNDARY} $A {BOUNDARY}", special_tokens=[(BOUNDARY, ids[BOUNDARY])]
        )
        return cls(
            tokenizer_object=tokenizer,
            cleaner=cleaner,
            bos_token=BOUNDARY,
            eos_token=BOUNDARY,
            pad_token=BOUNDARY,
            unk_token=UNKNOWN,
        )

    def encode_report(self, text: str, max_length: int) -> list[int]:
        """Clean `text` and give BOS + ids + EOS cut to `max_length` entries (published: 60 IU X-Ray, 100 MIMIC-CXR).

        BOS counts, so a report of `max_length - 1` words or more loses its EOS: the model is never taught to end it.
        """
        return self.backend_tokenizer.encode(_cleaner(self.cleaner)(text)).ids[:max_length]

    def decode_words(self, ids: Iterable[int]) -> list[str]:
        """The words up to the first 0 after BOS (a leading 0); unknown words stay `<unk>`."""
        words = []
        for position, token_id in enumerate(int(i) for i in ids):
            if token_id == self.eos_token_id:
                if position == 0:
                    continue
                break
            words.append(str(self.convert_ids_to_tokens(token_id)))
        return words

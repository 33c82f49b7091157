"""What exactly is compared: a report turned into the words that are scored, in two ways that are always printed
together.

- `r2gen`: the protocol of R2Gen and its line (Chen et al., EMNLP 2020), only for comparison with published tables.
  Reference and hypothesis are decoded token ids: cleaned, lower-cased, rare words replaced by `<unk>`, cut at the
  maximum length (60 ids for IU X-Ray, 100 for MIMIC-CXR, the BOS included), and every sentence end counts as a word
  ".". It flatters: one constant report gains 36 % BLEU-4 by it.
- `raw`: the whole reference as the radiologist wrote it, against the report as the reader sees it; words lower-cased
  and split like the Penn Treebank, punctuation dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rrg.data.tokenizer import ReportTokenizer
from rrg.report import Report

_PTB_WORD = re.compile(
    r"""
    [^\W_]+ (?: (?: [-/_]+ | (?<=\d)[.,:](?=\d) ) [^\W_]+ )*    # words and numbers: x-ray, and/or, 2.5
    | '(?:s|re|ve|ll|d|m)\b                                     # contractions are words of their own: patient 's
    | [^\s\w.,;:?!()\[\]{}"'`-]                                 # other signs (%, <, +) stay; punctuation is dropped
    """,
    re.VERBOSE,
)


def ptb_words(text: str) -> str:
    """Lower-case words like those of CoreNLP's PTBTokenizer without punctuation, without Java.

    Equal on 2,719 of 2,747 IU X-Ray reports (99.0 %); most of the rest is "cannot", "ct." and a space missing after a
    period.
    """
    return " ".join(_PTB_WORD.findall(text.lower()))


@dataclass(frozen=True)
class Protocol:
    """How a text by a radiologist and a report by a model become words separated by single spaces."""

    name: str
    description: str
    written: Callable[[str], str]
    """A human report (a reference, or a floor's text taken from the train split)."""
    generated: Callable[[Report], str]
    """A model's report."""


def r2gen_protocol(tokenizer: ReportTokenizer, max_length: int = 60) -> Protocol:
    """The R2Gen line's protocol with the vocabulary that the model was trained with."""
    return Protocol(
        name="r2gen",
        description=f"cleaned ({tokenizer.cleaner}), lower case, rare words <unk>, both sides cut at {max_length} ids "
        "with BOS, sentence ends counted as words, split at spaces",
        written=lambda text: " ".join(tokenizer.decode_words(tokenizer.encode_report(text, max_length))),
        generated=lambda report: " ".join(word.text for word in report.words).lower(),
    )


RAW = Protocol(
    name="raw",
    description="whole reference and readable report, lower case, words as in the Penn Treebank, punctuation dropped",
    written=ptb_words,
    generated=lambda report: ptb_words(report.text),
)

"""Tokenization protocols: how references and generated reports become the tokens that language metrics compare.

- `r2gen`: the protocol of R2Gen and later papers (Chen et al., EMNLP 2020), for comparison with published tables.
  Reference and hypothesis are decoded token ids: cleaned, lower-cased, rare words replaced by `<unk>`, cut at the
  maximum length (60 ids for IU X-Ray, 100 for MIMIC-CXR, with BOS), and every sentence end is a token ".". It gives
  higher figures than `raw`: the BLEU-4 of one constant report is 36 % higher.
- `raw`: the whole reference and the detokenized report; lower-cased and split as in the Penn Treebank, without
  punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrg.report import Report

if TYPE_CHECKING:
    from rrg.data.tokenizer import ReportTokenizer  # imports torch, which the scores of two texts do not need

_PTB_WORD = re.compile(
    r"""
    [^\W_]+ (?: (?: [-/_]+ | (?<=\d)[.,:](?=\d) ) [^\W_]+ )*    # words and numbers: x-ray, and/or, 2.5
    | '(?:s|re|ve|ll|d|m)\b                                     # contractions are separate tokens: patient 's
    | [^\s\w.,;:?!()\[\]{}"'`-]                                 # other signs (%, <, +) stay; punctuation is dropped
    """,
    re.VERBOSE,
)


def ptb_words(text: str) -> str:
    """Lower-case tokens as by CoreNLP's PTBTokenizer, without punctuation and without Java.

    Equal to CoreNLP on 2,719 of 2,747 IU X-Ray reports (99.0 %). Most differences are "cannot", "ct." and a missing
    space after a period.
    """
    return " ".join(_PTB_WORD.findall(text.lower()))


@dataclass(frozen=True)
class Protocol:
    """How a human text and a generated report become tokens separated by single spaces."""

    name: str
    description: str
    tokenize_reference: Callable[[str], str]
    """Tokens of a reference, or of a floor's text, which comes from the train split."""
    tokenize_generated: Callable[[Report], str]
    """Tokens of a model's report."""


def r2gen_protocol(tokenizer: ReportTokenizer, max_length: int = 60) -> Protocol:
    """The protocol of R2Gen with the vocabulary of a model; `max_length` counts token ids, with BOS."""
    return Protocol(
        name="r2gen",
        description=f"cleaned ({tokenizer.cleaner}), lower case, rare words <unk>, both sides cut at {max_length} ids "
        "with BOS, sentence ends counted as words, split at spaces",
        tokenize_reference=lambda text: " ".join(tokenizer.decode_words(tokenizer.encode_report(text, max_length))),
        tokenize_generated=lambda report: " ".join(word.text for word in report.words).lower(),
    )


RAW = Protocol(
    name="raw",
    description="whole reference and readable report, lower case, words as in the Penn Treebank, punctuation dropped",
    tokenize_reference=ptb_words,
    tokenize_generated=lambda report: ptb_words(report.text),
)

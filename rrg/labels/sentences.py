"""Split a text into sentences where the rule labeler ends them, with character spans."""

from __future__ import annotations

import re

Span = tuple[int, int]
"""Character range [start, end) of a text."""

# As in `rrg.labels.findings`: no sentence ends at a decimal point, after "vs", or at the "?" of "?pneumonia". One ends
# at an empty line and before a list item.
_END = re.compile(
    r"\[\*\*.*?\*\*\]|\d+(?:\.\d+)?|\bvs\.|(?<!\S)\?(?=[a-z])"
    r"|(?P<end>[.!?]+|\n\s*(?:\n|(?=[-*•]|\d+[.)]\s)))",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[^\W\d_]")


def sentence_spans(text: str) -> tuple[Span, ...]:
    """Find the sentences of a text: spans with their full stop, without the white space around them.

    Together the spans hold every character that is not white space. A part without letters, such as the number of a
    list item, belongs to the sentence after it; at the end of the text, to the one before it.
    """
    ends = [match.end() for match in _END.finditer(text) if match["end"]]
    spans: list[Span] = []
    start = 0
    for end in (*ends, len(text)):
        if _LETTER.search(text, start, end):
            spans.append((start, end))
            start = end
    if text[start:].strip():
        spans = [*spans[:-1], (spans[-1][0], len(text))] if spans else [(0, len(text))]
    return tuple(_stripped(text, span) for span in spans)


def _stripped(text: str, span: Span) -> Span:
    part = text[span[0] : span[1]]
    start = span[0] + len(part) - len(part.lstrip())
    return start, start + len(part.strip())

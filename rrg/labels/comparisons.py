"""Find statements that compare with an earlier image: "stable", "unchanged", "interval", "since the prior study".

A model that gets no earlier image cannot know such a statement, so decoding refuses sentences with one. The patterns
prefer a false alarm to a missed comparison. History that the image itself shows is no comparison: "prior granulomatous
disease", "previous sternotomy". Neither is a comparison of the sides: "larger than on the left".
"""

from __future__ import annotations

import re

_IMAGE = (
    r"(?:exam\w*|stud(?:y|ies)|films?|radiographs?|radiograms?|imag\w+|x-?rays?|scans?|ct|cts|pa|ap|chest|one|visits?)"
)
_EARLIER = r"(?:prior|priors|previous|earlier|last|old|preceding|comparison|outside)"
_HISTORY = r"(?:\w+ )?(?:granulom|infect|inflam|surg|operat|trauma|injur|fractur|disease|process|tb\b|tubercul|cabg)"
_SIDE = r"(?:the )?(?:left|right|contralateral|opposite|other)"
_COMPARISON = re.compile(
    r"\b(?:"
    r"(?:un)?stable|stably|stability|unchanged|unaltered|interval(?:ly)?|interim|again|similar(?:ly)?"
    r"|re-?demonstrat\w*|re-?visuali[sz]\w*|re-?identified"
    r"|remain|remains|remained|persist\w*|new|newly|still|since|previously|currently|no longer|now"
    r"|worse|worsen\w*|improv\w*|resolv\w*|resolution|clearing|cleared|progress\w*|regress\w*|evol(?:ving|ved|ution)"
    r"|increasing|decreasing|enlarging|diminishing|develop(?:ed|ing|ment)"
    rf"|compar(?:ed|ison|able)(?! (?:to|with) {_SIDE}\b)"
    rf"|(?:from|to|than|with|on|as|the|of|in) (?:\w+ )?{_EARLIER} (?:\w+ ){{0,2}}{_IMAGE}"
    rf"|{_EARLIER} {_IMAGE}|(?:from|than|to|on) (?:the )?(?:prior|priors|previous)(?! {_HISTORY})"
    r"|(?:no|without) (?:\w+ ){0,2}change(?!s)|chang(?:ed|ing)|change (?:since|from|in)"
    r"|(?:ha(?:s|ve)|slightly|mildly|significantly) (?:\w+ )?(?:increased|decreased|enlarged) (?:in size|from)"
    r"|ha(?:s|ve) (?:\w+ )?(?:increased|decreased|enlarged)"
    r"|residual(?!s| to| of| from)"
    r"|ha(?:s|ve) been (?:\w+ )?(?:removed|removal|placed|placement|inserted|insertion|withdrawn|advanced|retracted"
    r"|repositioned|replaced)"
    r"|today'?s"
    r")\b",
    re.IGNORECASE,
)


def has_comparison(text: str) -> bool:
    """Whether a text states something in comparison with an earlier image. Raw and cleaned texts give the same."""
    return _COMPARISON.search(text) is not None

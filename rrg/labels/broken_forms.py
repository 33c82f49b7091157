"""Broken forms of sentences: what no reader takes for a whole sentence ("the heart is cardiomegaly .").

The patterns are written for cleaned words. They find typical faults of generated and of typed reports, not every fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rrg.labels.findings import Status, label_concepts

_NOUN = (
    r"(?:cardiomegaly|spondylosis|scoliosis|atelectasis|pneumothora(?:x|ces)|effusions?|emphysema|edema|consolidations?"
    r"|pneumonia|granulomas?|osteopenia|fractures?|opacit(?:y|ies))"
)
BROKEN_FORMS = {
    "finding as a predicate": re.compile(
        rf"\b(?:heart|silhouette|lungs?|mediastinum|aorta|spine|volumes?) (?:is|are) (?:\w+ly )?{_NOUN}\b"
    ),
    "missing noun": re.compile(
        r"^(?:the )?(?:cardiomediastinal|mediastinal|cardiac|pulmonary|osseous|bony|pleural|hilar) (?:is|are|appears)\b"
        r"|\b(?:normal|clear|unremarkable) (?:normal|clear|unremarkable)\b|\bfocal (?:normal|clear|unremarkable)\b"
        r"|^there (?:is|are)(?: an?| the)?"
        r"(?: (?:small|large|mild|moderate|left|right|calcified|hyperexpanded|low))* \.$"
    ),
    "missing verb": re.compile(
        r"^there (?!(?:is|are|was|were|has|have|may|might|can|could|does|do|appears?|remains?|s)\b)"
        r"|\b(?:demonstrates?|shows?|reveals?) there (?:is|are)\b"
    ),
    "missing end": re.compile(
        r"\b(?:the|an?|of|with|without|in|at|and|or|is|are|no|for|to|from|by|which|that|may|focal|to suggest) \.$"
        r"|\bin the (?:left|right|bilateral|upper|lower) \.$"
        r"|^(?!.*\b(?:is|are|appears?|remains?)(?: \w+ly)? \w+ \.$).*\b(?:large|small|mild) \.$"
    ),
    "noun alone": re.compile(rf"^the {_NOUN} \.$"),
    "repeated words": re.compile(
        r"\b(\w+(?: \w+){3,})\b.*\b\1\b|\b(right|left) (?:greater|larger) than (?:the )?\2\b|\b((?!xx)\w+) \3\b"
        r"|\b(?:is|are) (?:as )?(?:is|are)\b"
    ),
}
"""Kind of a broken sentence -> its pattern, for cleaned sentences ("the heart is cardiomegaly .")."""
LONE_WORD = "lone word"
"""Kind of a sentence of one word that asserts nothing: "normal."."""


def broken_forms(sentence: Sequence[str]) -> Iterator[str]:
    """The kinds of broken forms in a cleaned sentence."""
    text = f"{' '.join(sentence)} ."
    yield from (kind for kind, pattern in BROKEN_FORMS.items() if pattern.search(text))
    if len(sentence) == 1 and all(concept.status is Status.BLANK for concept in label_concepts(text)):
        yield LONE_WORD

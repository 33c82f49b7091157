"""Contradictions inside one report: a finding stated and negated, sides that conflict, normal beside abnormal.

The rules prefer a missed contradiction to a false alarm. A report may state a finding and negate a part of it ("old
rib fracture, no acute fracture"; "left effusion, no right effusion"; "scarring, no infiltrate"), so a negation counts
only if it covers the stated finding: the same word or a class whose words mean the same, no narrower word such as
"large" or "acute", and a side and region that include those of the statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from rrg.labels.findings import FINDINGS, Status
from rrg.labels.locations import LEVELS, Mention, Side, located_mentions
from rrg.labels.sentences import Span, sentence_spans


@dataclass(frozen=True)
class Conflict:
    """Two passages of a text that cannot both be true, or one passage that names what does not exist."""

    kind: Literal["negated", "normal", "side"]
    """negated: a finding is stated and negated; normal: a normal heart or clear lungs beside a finding; side."""
    finding: str
    """One of the 14 findings; empty where the conflict concerns no finding."""
    first: Span
    """Character range of the passage that comes first in the text."""
    second: Span
    """Character range of the other passage; equal to `first` if one passage is wrong by itself."""
    message: str
    """One sentence for the reader."""


_ONE_MEANING = frozenset({"Cardiomegaly", "Pneumothorax", "Pleural Effusion", "Consolidation", "Atelectasis"})
"""Classes whose phrases all name the same thing. In the others, "no mass" does not negate "nodule"."""
# Words before a negated finding that narrow the negation. Those of the first kind hold for a whole list ("no acute
# fracture or pneumothorax"), those of the second for the next finding alone. Passages that a de-identification took out
# ("no XXXX infiltrate") may have held such a word.
_NARROWS_LIST = re.compile(
    r"\b(?:large|larger|sizable|big|massive|acute|active|new|recent|interval|other|further|additional|suspicious"
    r"|significant|substantial|gross|overt|frank|definite|definitive|enlarging|increas\w+|worsening|measurable|dominant"
    r"|typical|classic|obvious|evident|convincing|residual|persistent|superimposed|progressive|developing|changes?|x{2,}"
    r"|moderate|severe|marked|elsewhere|otherwise)\b|_{2,}",
    re.IGNORECASE,
)
_NARROWS_NEXT = re.compile(
    r"\b(?:focal|lobar|segmental|confluent|dense|displaced|tension|discrete|calcified|free|layering|loculated|radiopaque"
    r"|air[ -]?space|alveolar|interstitial|nodular|patchy|pulmonary|parenchymal|infiltrative|subpulmonic|apical)\b",
    re.IGNORECASE,
)
_NARROWED_AFTER = re.compile(
    r" *(?:of (?:significant|large|any)|to suggest|suggest\w*|large enough|is large|in size)", re.IGNORECASE
)
_LIST_END = re.compile(r"[,;:/]|\b(?:and|or|nor)\b", re.IGNORECASE)
_BONE = re.compile(
    r"\b(?:shoulder|ribs?|clavic\w+|humer\w+|spin\w+|vertebra\w*|stern\w+|scapul\w+|hip|wrist|elbow|compression|lumbar"
    r"|thoracic)\b",
    re.IGNORECASE,
)
# Statements that are weaker than the labeler takes them, since a word before them is missing: "XXXX reflects fluid".
_MAYBE = re.compile(r"(?:\bx{2,}|_{2,}) (?:reflect|represent|relat|due|from|consistent)\w*", re.IGNORECASE)
_NORMAL = re.compile(r"\b(?:normal|unremarkable|limits|clear|sharp|intact|preserved|unenlarged)\b", re.IGNORECASE)
_LUNG_FINDINGS = frozenset({"Lung Opacity", "Consolidation", "Lung Lesion"})
_CLEAR = re.compile(r"\b(?:clear\b|clear .*lungs)$", re.IGNORECASE)
# Not all of both lungs is called clear: "otherwise clear", "clear of effusion", "clear except for the left base".
_PARTLY_CLEAR = re.compile(
    r"\b(?:x{2,}|otherwise|remain(?:der|ing)|rest|elsewhere|except|aside|apart|other than|but|however|although|though"
    r"|with|clear (?:of|from)|upper|mid|middle|lower|bases?|apices|grossly|essentially|relatively|predominantly|mostly"
    r"|well|largely|generally)\b",
    re.IGNORECASE,
)
# Opacities beside which reports call lungs clear: old, tiny or expected.
_MINOR = re.compile(
    r"\b(?:scar\w*|granuloma\w*|calcifi\w+|interstiti\w+|reticula\w+|bronch\w+|linear|streak\w*|minimal(?:ly)?|trace|tiny"
    r"|subtle|mild(?:ly)?|chronic|old|prior|previous|stable|unchanged|resolved|improved|artifact\w*|nipple|overlap\w*|overlying"
    r"|soft tissue|epicardial|pericardial|fat|hilar|mediastin\w+|density|densities|rib|ribs|bone|bony|vertebra\w*"
    r"|breast|skin|shadow\w*)\b",
    re.IGNORECASE,
)
# A second statement about the same thing: "the effusion is on the left".
_IS_ON = re.compile(
    r"(?: (?:again|also|now|still|is|are|was|appears?|lies|seen|located|present|noted|mostly|mainly))+"
    r" (?:on|in|at|along) (?:the |its )?$",
    re.IGNORECASE,
)
_SAME_ONE = re.compile(
    r"\b(?:the|this|that|these|those|said) (?:(?:aforementioned|described|known|pleural|small|large) )*$", re.IGNORECASE
)
_NO_SUCH_PLACE = re.compile(r"\b(?:(?P<lobe>left middle lobe)|right lingula)\b", re.IGNORECASE)


def conflicts(text: str) -> tuple[Conflict, ...]:
    """Find the contradictions inside a text, in the order of their first passage."""
    mentions = [mention for mention in located_mentions(text) if mention.name in FINDINGS]
    found = [*_negated(text, mentions), *_clear_lungs(text, mentions), *_moved(text, mentions), *_places(text)]
    return tuple(sorted(found, key=lambda conflict: (conflict.first, conflict.second, conflict.finding)))


def _negated(text: str, mentions: Sequence[Mention]) -> Iterator[Conflict]:
    """A finding that one sentence states and another negates; one conflict for each finding."""
    for name in FINDINGS:
        stated = [m for m in mentions if m.name == name and m.status is Status.PRESENT]
        negated = [m for m in mentions if m.name == name and m.status is Status.ABSENT]
        pair = next(
            (
                pair
                for pair in product(stated, negated)
                if pair[0].sentence != pair[1].sentence and _covers(text, *pair)
            ),
            None,
        )
        if pair is None:
            continue
        statement, negation = pair
        side = statement.side if statement.side in (Side.LEFT, Side.RIGHT) else ""
        thing = " ".join(filter(None, (side, name.lower())))
        if name == "Cardiomegaly" and _is_normal_statement(text, negation):
            yield _conflict("normal", name, pair, "The text calls the heart both normal and enlarged.")
        elif name == "Enlarged Cardiomediastinum" and _is_normal_statement(text, negation):
            yield _conflict("normal", name, pair, "The text calls the mediastinum both normal and enlarged.")
        else:
            yield _conflict("negated", name, pair, f"The text both states and negates {_with_article(thing)}.")


def _covers(text: str, statement: Mention, negation: Mention) -> bool:
    """Whether a negation includes what a statement says."""
    if _MAYBE.search(_sentence(text, statement)):
        return False
    if _is_normal_statement(text, negation):
        if negation.name == "Enlarged Cardiomediastinum":
            return not _MINOR.search(_sentence(text, statement))
        return negation.name == "Cardiomegaly"  # clear lungs have rules of their own; intact bones exclude little
    words = [text[m.start : m.end] for m in (statement, negation)]
    if statement.name not in _ONE_MEANING and _stem(words[0]) != _stem(words[1]):
        return False
    if statement.name == "Fracture" and any(_BONE.search(_sentence(text, m)) for m in (statement, negation)):
        return False
    start, end = sentence_spans(text)[negation.sentence]
    before = text[start : negation.start]
    if (
        _NARROWS_LIST.search(before)
        or _NARROWS_NEXT.search(_LIST_END.split(before)[-1] + text[negation.start : negation.end])
        or _NARROWED_AFTER.match(text, negation.end, end)
    ):
        return False
    if negation.side in (Side.LEFT, Side.RIGHT) and negation.side is not statement.side:
        return False
    levels = [{LEVELS[region] for region in m.regions} for m in (statement, negation)]
    return not levels[1] or (bool(levels[0]) and levels[0] <= levels[1])


def _clear_lungs(text: str, mentions: Sequence[Mention]) -> Iterator[Conflict]:
    """Lungs that are called clear beside an opacity, a consolidation or a nodule; one conflict for each finding."""
    clear = next((m for m in mentions if m.name == "Consolidation" and _calls_lungs_clear(text, m)), None)
    if clear is None:
        return
    seen: set[str] = set()
    for mention in mentions:
        if (
            mention.name in _LUNG_FINDINGS - seen
            and mention.status is Status.PRESENT
            and mention.sentence != clear.sentence
            and not _MINOR.search(_sentence(text, mention))
        ):
            seen.add(mention.name)
            word = text[mention.start : mention.end].lower()
            yield _conflict(
                "normal", mention.name, (clear, mention), f"The text calls the lungs clear and also describes “{word}”."
            )


def _calls_lungs_clear(text: str, mention: Mention) -> bool:
    return (
        mention.status is Status.ABSENT
        and _CLEAR.search(text[mention.start : mention.end]) is not None
        and not _PARTLY_CLEAR.search(_sentence(text, mention))
    )


def _moved(text: str, mentions: Sequence[Mention]) -> Iterator[Conflict]:
    """A finding on one side that a later sentence puts on the other: "the effusion is on the left"."""
    for later in mentions:
        if later.side not in (Side.LEFT, Side.RIGHT) or later.status is not Status.PRESENT or not later.side_spans:
            continue
        is_on = _IS_ON.fullmatch(text[later.end : later.side_spans[0][0]])
        if is_on is None or not _SAME_ONE.search(text[: later.start]):
            continue
        earlier = [
            m for m in mentions if m.name == later.name and m.status is Status.PRESENT and m.sentence < later.sentence
        ]
        if {m.side for m in earlier} == {Side.LEFT if later.side is Side.RIGHT else Side.RIGHT}:
            message = f"The text puts the {later.name.lower()} on the {earlier[-1].side} and then on the {later.side}."
            yield _conflict("side", later.name, (earlier[-1], later), message)


def _places(text: str) -> Iterator[Conflict]:
    """Names of lobes that do not exist."""
    for match in _NO_SUCH_PLACE.finditer(text):
        message = (
            "There is no left middle lobe. The middle lobe is in the right lung, the lingula in the left."
            if match["lobe"]
            else "There is no right lingula. The lingula is in the left lung, the middle lobe in the right."
        )
        yield Conflict("side", "", match.span(), match.span(), message)


def _conflict(
    kind: Literal["negated", "normal", "side"], finding: str, pair: tuple[Mention, Mention], message: str
) -> Conflict:
    first, second = sorted(mention.span for mention in pair)
    return Conflict(kind, finding, first, second, message)


def _sentence(text: str, mention: Mention) -> str:
    start, end = sentence_spans(text)[mention.sentence]
    return text[start:end]


def _is_normal_statement(text: str, mention: Mention) -> bool:
    """Whether the mention is absent by a statement such as "heart size is normal", and not by a negation."""
    return _NORMAL.search(text, *mention.span) is not None


def _stem(words: str) -> str:
    """The last word without its ending: opacity, opacities and opacification are one; nodule and mass are two."""
    return words.split()[-1][:6]


def _with_article(thing: str) -> str:
    if thing.split()[-1] in {"cardiomegaly", "edema", "consolidation", "pneumonia", "atelectasis", "devices"}:
        return thing
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"

"""Side, region and severity of each finding that a text mentions, by rules on the words around the mention.

A word such as "left" belongs to a mention that it precedes ("left pleural effusion", "in the left base there is an
opacity") or that it follows after a preposition ("opacity in the left base"). A comma, "and" or "but" between them
separates them, except in lists: "opacities in the left and right base", "left effusion and atelectasis". A mention
without such a word has no side, although its sentence may name one. The rules prefer no side to a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from rrg.labels.findings import Status, label_concepts
from rrg.labels.sentences import Span, sentence_spans


class Side(StrEnum):
    """Side of the patient; none if the text gives no side."""

    LEFT = "left"
    RIGHT = "right"
    BOTH = "both"
    NONE = "none"


MIDLINE = frozenset({"Cardiomegaly", "Enlarged Cardiomediastinum", "Hiatal Hernia", "Tortuous Aorta", "Sternotomy"})
"""Findings that have no side. The "left" of "left ventricular enlargement" is part of a name."""

LEVELS = {
    "upper lobe": "upper",
    "upper zone": "upper",
    "apex": "upper",
    "middle lobe": "middle",
    "middle zone": "middle",
    "lingula": "middle",
    "lower lobe": "lower",
    "lower zone": "lower",
    "base": "lower",
}
"""Third of the lung in which each region lies. A text may call the same place lower lobe, lower zone or base."""


@dataclass(frozen=True)
class Mention:
    """A finding that a sentence mentions, with the place and the degree that the words around it give."""

    name: str
    """One of `rrg.labels.findings.CONCEPTS`."""
    status: Status
    start: int
    """Index of the first character of the mention in the text."""
    end: int
    """Index after the last character."""
    sentence: int
    """Index into `sentence_spans(text)`."""
    side: Side
    regions: tuple[str, ...]
    """Keys of `LEVELS`, in their order; empty if the text names none."""
    severity: str
    """mild, moderate or severe, also for the sizes small, moderate and large; empty if the text gives none."""
    side_spans: tuple[Span, ...] = ()
    """Where the text names the side."""
    region_spans: tuple[Span, ...] = ()
    """Where the text names the regions."""

    @property
    def span(self) -> Span:
        return self.start, self.end


_OTHER = r"(?:greater|more|less|worse|larger|smaller|bigger) than"
_SIDE = re.compile(
    rf"\b(?:(?P<both>bilateral(?:ly)?|both|bi(?=basal|basilar|apical)"
    rf"|(?P<first>left|right)(?:[ -]sided?)? ?(?:,|/|and|or|{_OTHER})(?: the)? ?(?!(?P=first))(?:left|right)\b)"
    r"|(?P<one>left|right)(?:[ -]sided?)?\b)"
    r"(?! (?:heart|atri\w+|ventric\w+|cardiac|main ?stem|upper quadrant|greater|more|less|worse|larger)\b)",
    re.IGNORECASE,
)
_LEVEL = r"(?:upper|mid|middle|lower)"
_REGION = re.compile(
    rf"\b(?:(?P<levels>{_LEVEL}(?: ?(?:,|/|-|and|or|to) ?{_LEVEL})*)[ -]?"
    r"(?:(?P<lobe>lobes?|lobar)|lungs?(?: zones?| fields?)?|zones?|fields?)"
    r"|(?P<lingula>lingula\w*)|(?P<apex>(?:bi)?apical|apex|apices)"
    r"|(?P<base>(?:lung )?bases?|(?:bi)?basal|(?:bi)?basilar))\b(?! of (?:the )?(?:neck|heart|skull))",
    re.IGNORECASE,
)
_SEVERITY = re.compile(
    r"\b(?:(?P<mild>minimal(?:ly)?|trace|tiny|small|mild(?:ly)?|slight(?:ly)?|subtle|minor)"
    r"|(?P<moderate>moderate(?:ly)?|moderate[- ]sized)"
    r"|(?P<severe>severe(?:ly)?|large|marked(?:ly)?|massive(?:ly)?|extensive|huge|gross(?:ly)?))\b",
    re.IGNORECASE,
)
_DEGREES = ("severe", "moderate", "mild")

_SEPARATOR = re.compile(r"[,;:]|\b(?:and|or|but|with|without|while|which|no|versus|vs)\b", re.IGNORECASE)
_LINK = re.compile(r"\b(?:in|on|at|of|within|over|overlying|along|involving|near|throughout|to)\b", re.IGNORECASE)
_PLACE = r"(?:the|lung|pleural|hilum|hilar|perihilar|hemithorax|costophrenic|angles?|sulcus|field|side|aspect|chest)"
# Between two sides or regions of a list: words of places alone.
_LISTED = re.compile(
    rf"(?: ?(?:{_LEVEL}|lobes?|zones?|bases?|basilar|basal|apex|apical|apices|lingula\w*|{_PLACE}))*"
    r" ?(?:,|/|,? and|,? or)(?: (?:in|at|on|the|left|right))* ?",
    re.IGNORECASE,
)
# Between two findings of a list that share the words before them.
_SHARED = re.compile(
    r" ?(?:/|(?:and|or|and or|with)(?: (?:associated|adjacent|underlying|overlying|pleural|focal|patchy|mild|small|an?)"
    r"){0,2}) ?",
    re.IGNORECASE,
)
_SHARING = frozenset(
    {"Lung Opacity", "Lung Lesion", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion"}
    | {"Pleural Other", "Scarring", "Nodule", "Mass"}
)
_FARTHEST = 9
"""Largest number of words between a mention and a word that belongs to it."""


@dataclass
class _Draft:
    """A mention in a sentence, to which the words of places and degrees are added."""

    name: str
    status: Status
    span: Span
    sides: list[re.Match[str]] = field(default_factory=list)
    regions: list[re.Match[str]] = field(default_factory=list)
    degrees: list[re.Match[str]] = field(default_factory=list)


def located_mentions(text: str) -> tuple[Mention, ...]:
    """Find the mentions of all concepts in a text, in its order, with side, regions and severity.

    If a sentence mentions a concept several times, those with the strongest status are given, as by `label_concepts`.
    """
    found: list[Mention] = []
    for index, (start, end) in enumerate(sentence_spans(text)):
        sentence = text[start:end]
        drafts = [
            _Draft(concept.name, concept.status, span) for concept in label_concepts(sentence) for span in concept.spans
        ]
        drafts.sort(key=lambda draft: draft.span)
        _assign(sentence, drafts, _SIDE, "sides")
        _assign(sentence, drafts, _REGION, "regions")
        _assign(sentence, drafts, _SEVERITY, "degrees", only_before=True)
        found += [_mention(draft, index, start) for draft in drafts]
    return tuple(found)


def _assign(
    sentence: str, drafts: Sequence[_Draft], pattern: re.Pattern[str], kind: str, only_before: bool = False
) -> None:
    """Give each match of `pattern` to the mentions that it belongs to, in their list `kind`."""
    words = list(pattern.finditer(sentence))
    before: dict[int, list[_Draft]] = {}
    after: dict[int, list[_Draft]] = {}
    for i, word in enumerate(words):
        inside = [d for d in drafts if d.span[0] <= word.start() and word.end() <= d.span[1]]
        linked = [] if only_before or inside else _linked(sentence, drafts, word)
        if inside:
            before[i] = inside
        elif linked:
            after[i] = linked
        else:
            before[i] = _preceded(sentence, drafts, word)
    for i in reversed(range(len(words) - 1)):  # "left and right upper lobe opacities"
        if before.get(i) == [] and before.get(i + 1) and _between(_LISTED, sentence, words[i], words[i + 1]):
            before[i] = before[i + 1]
    for i in range(1, len(words)):  # "opacities in the left base and the right apex"
        if before.get(i) == [] and after.get(i - 1) and _between(_LISTED, sentence, words[i - 1], words[i]):
            after[i] = after[i - 1]
    for i, word in enumerate(words):
        for draft in before.get(i) or after.get(i) or ():
            getattr(draft, kind).append(word)
    if not only_before:
        _share(sentence, drafts, kind)


def _between(pattern: re.Pattern[str], sentence: str, first: re.Match[str], second: re.Match[str]) -> bool:
    return pattern.fullmatch(sentence, first.end(), second.start()) is not None


def _linked(sentence: str, drafts: Sequence[_Draft], word: re.Match[str]) -> list[_Draft]:
    """The mentions before a word that a preposition links to it; those of the same words are all linked."""
    earlier = [d for d in drafts if d.span[1] <= word.start()]
    if not earlier:
        return []
    end = max(d.span[1] for d in earlier)
    between = sentence[end : word.start()]
    if len(between.split()) > _FARTHEST:
        return []
    joined = _LINK.search(between) and not _SEPARATOR.search(between)
    adjacent = between.strip(" ,") == "" and (word.re is _REGION or word["both"] is not None)
    return [d for d in earlier if d.span[1] == end] if joined or adjacent else []


def _preceded(sentence: str, drafts: Sequence[_Draft], word: re.Match[str]) -> list[_Draft]:
    """The nearest mentions after a word without a separator between them."""
    later = [d for d in drafts if d.span[0] >= word.end()]
    if not later:
        return []
    start = min(d.span[0] for d in later)
    between = sentence[word.end() : start]
    near = len(between.split()) <= (2 if word.re is _SEVERITY else _FARTHEST)
    return [d for d in later if d.span[0] == start] if near and not _SEPARATOR.search(between) else []


def _share(sentence: str, drafts: Sequence[_Draft], kind: str) -> None:
    """Give a mention without a place that of its neighbour in a list: "left effusion and atelectasis"."""
    for first, second in pairwise(drafts):
        if (
            first.status is not second.status
            or not {first.name, second.name} <= _SHARING
            or not _SHARED.fullmatch(sentence, first.span[1], second.span[0])
        ):
            continue
        before, after = getattr(first, kind), getattr(second, kind)
        if not after and all(word.end() <= first.span[1] for word in before):
            after.extend(before)
        elif not before and all(word.start() >= second.span[1] for word in after):
            before.extend(after)


def _mention(draft: _Draft, sentence: int, offset: int) -> Mention:
    def spans(words: list[re.Match[str]]) -> tuple[Span, ...]:
        return tuple(sorted({(word.start() + offset, word.end() + offset) for word in words}))

    named = {side for word in draft.sides for side in _sides(word)}
    side_words = draft.sides
    regions = {region for word in draft.regions for region in _regions(word)}
    if not named and draft.regions:
        # The lingula is on the left, the middle lobe on the right.
        implied = {"lingula": "left", "middle lobe": "right"}
        named = {implied[region] for region in regions if region in implied}
        side_words = draft.regions if named else []
    if draft.name in MIDLINE:
        named, side_words = set(), []
    degrees = {degree for word in draft.degrees for degree in _DEGREES if word[degree]}
    return Mention(
        name=draft.name,
        status=draft.status,
        start=draft.span[0] + offset,
        end=draft.span[1] + offset,
        sentence=sentence,
        side=Side.NONE if not named else Side(named.pop()) if len(named) == 1 else Side.BOTH,
        regions=tuple(region for region in LEVELS if region in regions),
        severity=next((degree for degree in _DEGREES if degree in degrees), ""),
        side_spans=spans(side_words),
        region_spans=spans(draft.regions),
    )


def _sides(word: re.Match[str]) -> tuple[str, ...]:
    return ("left", "right") if word["both"] else (word["one"].lower(),)


def _regions(word: re.Match[str]) -> list[str]:
    if not word["levels"]:
        return [name for name in ("lingula", "apex", "base") if word[name]]
    levels = ["middle" if level.startswith("mid") else level for level in re.findall(_LEVEL, word["levels"].lower())]
    return [f"{level} {'lobe' if word['lobe'] else 'zone'}" for level in levels]

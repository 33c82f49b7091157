"""Scene graphs: what a report says of each anatomical region, as tensors and from text by rules.

Where Chest ImaGenome's graphs are at hand, `rrg.data.sources.chest_imagenome` reads them. For everyone else, the rules
here read the report: sentence by sentence, each concept that `rrg.labels.findings` finds is put into the regions that
the words around it name, else into those where it usually is. The boxes are those of the atlas. What is learned from
these
graphs is not comparable with the paper.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import rrg.labels.scene_graph_rules as rules
from rrg.labels.atlas import ATLAS, REGIONS
from rrg.labels.findings import Finding, Status, label_concepts


@dataclass(frozen=True, eq=False)
class SceneGraph:
    """The regions of one frontal radiograph and what is said of them."""

    boxes: np.ndarray
    """float32 [29, 4] x1, y1, x2, y2 as fractions of the image; no area where there is no box."""
    regions: np.ndarray
    """bool [29]: the report describes the region."""
    abnormal: np.ndarray
    """bool [29]: something abnormal is said of it."""
    attributes: np.ndarray
    """bool [29, A] with the most attributes A of a region: what is said of it; False where a region has fewer."""

    def tensors(self) -> dict[str, Tensor]:
        """What a batch carries."""
        return {
            "boxes": torch.from_numpy(self.boxes),
            "regions": torch.from_numpy(self.regions),
            "abnormal": torch.from_numpy(self.abnormal),
            "attributes": torch.from_numpy(self.attributes),
        }


@dataclass(frozen=True)
class Attribute:
    """What a report says of one region."""

    region: str
    concept: str
    present: bool


_SENTENCE = re.compile(r"(?:[^.!?\n]|[.](?=\d)|\n(?!\s*\n))+")
# Where two phrases begin at one word the longer group stands first; a word inside a longer phrase is not read again.
_REGION = re.compile(
    r"\b(?:" + "|".join(f"(?P<r{i}>{phrase})" for i, phrase in enumerate(rules.REGION_PHRASES)) + r")\b"
)
_PLACES = tuple(rules.REGION_PHRASES.values())
_SIDE = re.compile(
    r"\b(?:(?P<both>bilateral\w*|both|bi(?=basal|basilar|apical)|(?P<one>left|right)"
    r"(?: side)? ?(?:,|and|or|(?:greater|more|less|worse|larger|smaller) than)(?: the)? (?!(?P=one))(?:left|right))"
    r"|(?P<left>left)|(?P<right>right))"
)
_BEFORE, _AFTER = 45, 30
"""Characters within which a side belongs to a phrase, before and after it."""
_BREAK = re.compile(r"[,;]|\b(?:and|but|with|or)\b")


@dataclass(frozen=True)
class _Phrase:
    start: int
    end: int
    places: tuple[str, ...]


def _side(sentence: str, start: int, end: int) -> str:
    """left, right or both: the side next to sentence[start:end], which may hold one itself."""
    sides = list(_SIDE.finditer(sentence))
    within = [match for match in sides if start <= match.start() < end]
    before = [
        match
        for match in sides
        if match.end() <= start and start - match.end() <= _BEFORE and not _BREAK.search(sentence, match.end(), start)
    ]
    after = [
        match
        for match in sides
        if match.start() >= end and match.start() - end <= _AFTER and not _BREAK.search(sentence, end, match.start())
    ]
    found = within[0] if within else before[-1] if before else after[0] if after else None
    return "both" if found is None or found["both"] else found["left"] or found["right"]


def _on(side: str, places: tuple[str, ...]) -> tuple[str, ...]:
    """The places on a side, and those that have none."""
    other = {"left": "right ", "right": "left "}.get(side)
    chosen = tuple(place for place in places if other is None or not place.startswith(other))
    return chosen or places


def _phrases(sentence: str) -> list[_Phrase]:
    """The regions that a sentence in lower case names."""
    found = []
    for match in _REGION.finditer(sentence):
        places = _PLACES[int((match.lastgroup or "r0")[1:])]
        found.append(_Phrase(*match.span(), _on(_side(sentence, *match.span()), places) if len(places) > 1 else places))
    return found


def _distance(phrase: _Phrase, span: tuple[int, int]) -> int:
    return max(phrase.start - span[1], span[0] - phrase.end, 0)


def _owners(phrase: _Phrase, mentions: list[tuple[Finding, tuple[int, int]]]) -> list[tuple[Finding, tuple[int, int]]]:
    """The mentions that a phrase gives the place of: the nearest of those that can be there."""
    able = [
        (finding, span)
        for finding, span in mentions
        if any(finding.name in rules.REGION_CONCEPTS[place] for place in phrase.places)
    ]
    nearest = min((_distance(phrase, span) for _, span in able), default=0)
    return [(finding, span) for finding, span in able if _distance(phrase, span) == nearest]


def _read_sentence(sentence: str) -> tuple[set[str], list[Attribute]]:
    phrases = _phrases(sentence)
    mentions = [(finding, span) for finding in label_concepts(sentence) for span in finding.spans]
    placed: dict[tuple[str, tuple[int, int]], list[str]] = {}
    for phrase in phrases:
        for finding, span in _owners(phrase, mentions):
            placed.setdefault((finding.name, span), []).extend(phrase.places)
    attributes = []
    for finding, span in mentions:
        places = placed.get((finding.name, span)) or _on(_side(sentence, *span), rules.CONCEPT_REGIONS[finding.name][0])
        attributes += [
            Attribute(place, finding.name, finding.status is not Status.ABSENT)
            for place in places
            if finding.name in rules.REGION_CONCEPTS[place]
        ]
    return {place for phrase in phrases for place in phrase.places}, attributes


def read_attributes(report: str) -> tuple[frozenset[str], tuple[Attribute, ...]]:
    """The regions that a report describes, and what it says of them: a concept is present or absent in a region.

    Where sentences contradict each other, present counts.
    """
    described: set[str] = set()
    said: dict[tuple[str, str], bool] = {}
    for sentence in _SENTENCE.findall(report.lower()):
        regions, attributes = _read_sentence(sentence)
        described |= regions
        for attribute in attributes:
            key = (attribute.region, attribute.concept)
            said[key] = said.get(key, False) or attribute.present
    described |= {region for region, _ in said}
    return frozenset(described), tuple(Attribute(*key, present) for key, present in said.items())


def scene_graph_of_report(report: str) -> SceneGraph:
    """What the rules read in a report, with the boxes of the atlas."""
    described, said = read_attributes(report)
    attributes = np.zeros((len(REGIONS), max(rules.ATTRIBUTE_SIZES)), dtype=bool)
    abnormal = np.zeros(len(REGIONS), dtype=bool)
    for attribute in said:
        region = REGIONS.index(attribute.region)
        concept = rules.REGION_CONCEPTS[attribute.region].index(attribute.concept)
        attributes[region, len(rules.STATES) * concept + (not attribute.present)] = True
        abnormal[region] |= attribute.present and attribute.concept not in rules.NOT_ABNORMAL
    regions = np.array([region in described for region in REGIONS])
    return SceneGraph(np.array(ATLAS, dtype=np.float32), regions, abnormal, attributes)

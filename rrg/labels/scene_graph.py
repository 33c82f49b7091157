"""Scene graphs: attributes of each anatomical region, extracted from a report by rules.

In each sentence, every concept that `rrg.labels.findings` labels is assigned to the regions named next to it, or else
to the regions where it usually occurs. The boxes are those of the atlas. The scene graphs of Chest ImaGenome, on which
SGRRG was trained, are read by another module of the package; results on the graphs extracted here are not comparable
with the paper.
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
    """Regions of one frontal radiograph with their attributes in the report."""

    boxes: np.ndarray
    """float32 [29, 4], x1, y1, x2, y2 in fractions of the image; zero area for a missing box."""
    regions: np.ndarray
    """bool [29], whether the report mentions the region."""
    abnormal: np.ndarray
    """bool [29], whether the report describes an abnormality in the region."""
    attributes: np.ndarray
    """bool [29, A], attributes of each region; A is the largest number of attributes of a region, padded with False."""

    def tensors(self) -> dict[str, Tensor]:
        """The arrays as tensors, by field name."""
        return {
            "boxes": torch.from_numpy(self.boxes),
            "regions": torch.from_numpy(self.regions),
            "abnormal": torch.from_numpy(self.abnormal),
            "attributes": torch.from_numpy(self.attributes),
        }


@dataclass(frozen=True)
class Attribute:
    """Status of one concept in one region."""

    region: str
    concept: str
    present: bool


_SENTENCE = re.compile(r"(?:[^.!?\n]|[.](?=\d)|\n(?!\s*\n))+")
# If two phrases start at the same word, the first group matches. A word inside a longer phrase is not matched again.
_REGION = re.compile(
    r"\b(?:" + "|".join(f"(?P<r{i}>{phrase})" for i, phrase in enumerate(rules.REGION_PHRASES)) + r")\b"
)
_PHRASE_REGIONS = tuple(rules.REGION_PHRASES.values())
_SIDE = re.compile(
    r"\b(?:(?P<both>bilateral\w*|both|bi(?=basal|basilar|apical)|(?P<one>left|right)"
    r"(?: side)? ?(?:,|and|or|(?:greater|more|less|worse|larger|smaller) than)(?: the)? (?!(?P=one))(?:left|right))"
    r"|(?P<left>left)|(?P<right>right))"
)
_BEFORE, _AFTER = 45, 30
"""Largest distance in characters of a side before and after the phrase that it belongs to."""
_SEPARATOR = re.compile(r"[,;]|\b(?:and|but|with|or)\b")


@dataclass(frozen=True)
class _Phrase:
    """Mention of regions in a sentence."""

    start: int
    end: int
    regions: tuple[str, ...]


def _side(sentence: str, start: int, end: int) -> str:
    """Side named inside or next to sentence[start:end]: left, right or both."""
    sides = list(_SIDE.finditer(sentence))
    within = [match for match in sides if start <= match.start() < end]
    before = [
        match
        for match in sides
        if match.end() <= start
        and start - match.end() <= _BEFORE
        and not _SEPARATOR.search(sentence, match.end(), start)
    ]
    after = [
        match
        for match in sides
        if match.start() >= end
        and match.start() - end <= _AFTER
        and not _SEPARATOR.search(sentence, end, match.start())
    ]
    found = within[0] if within else before[-1] if before else after[0] if after else None
    return "both" if found is None or found["both"] else found["left"] or found["right"]


def _on(side: str, regions: tuple[str, ...]) -> tuple[str, ...]:
    """Regions that are not on the other side; all regions if none remains."""
    other = {"left": "right ", "right": "left "}.get(side)
    chosen = tuple(region for region in regions if other is None or not region.startswith(other))
    return chosen or regions


def _phrases(sentence: str) -> list[_Phrase]:
    """Mentions of regions in a sentence in lower case."""
    found = []
    for match in _REGION.finditer(sentence):
        regions = _PHRASE_REGIONS[int((match.lastgroup or "r0")[1:])]
        found.append(
            _Phrase(*match.span(), _on(_side(sentence, *match.span()), regions) if len(regions) > 1 else regions)
        )
    return found


def _distance(phrase: _Phrase, span: tuple[int, int]) -> int:
    return max(phrase.start - span[1], span[0] - phrase.end, 0)


def _owners(phrase: _Phrase, mentions: list[tuple[Finding, tuple[int, int]]]) -> list[tuple[Finding, tuple[int, int]]]:
    """Mentions located by a phrase: the nearest of those that can occur in its regions."""
    able = [
        (finding, span)
        for finding, span in mentions
        if any(finding.name in rules.REGION_CONCEPTS[region] for region in phrase.regions)
    ]
    nearest = min((_distance(phrase, span) for _, span in able), default=0)
    return [(finding, span) for finding, span in able if _distance(phrase, span) == nearest]


def _read_sentence(sentence: str) -> tuple[set[str], list[Attribute]]:
    """Regions and attributes of a sentence in lower case."""
    phrases = _phrases(sentence)
    mentions = [(finding, span) for finding in label_concepts(sentence) for span in finding.spans]
    placed: dict[tuple[str, tuple[int, int]], list[str]] = {}
    for phrase in phrases:
        for finding, span in _owners(phrase, mentions):
            placed.setdefault((finding.name, span), []).extend(phrase.regions)
    attributes = []
    for finding, span in mentions:
        regions = placed.get((finding.name, span)) or _on(
            _side(sentence, *span), rules.CONCEPT_REGIONS[finding.name][0]
        )
        attributes += [
            Attribute(region, finding.name, finding.status is not Status.ABSENT)
            for region in regions
            if finding.name in rules.REGION_CONCEPTS[region]
        ]
    return {region for phrase in phrases for region in phrase.regions}, attributes


def read_attributes(report: str) -> tuple[frozenset[str], tuple[Attribute, ...]]:
    """Extract the regions that a report mentions, and their attributes.

    If sentences contradict each other, present takes precedence over absent.
    """
    described: set[str] = set()
    present: dict[tuple[str, str], bool] = {}
    for sentence in _SENTENCE.findall(report.lower()):
        regions, attributes = _read_sentence(sentence)
        described |= regions
        for attribute in attributes:
            key = (attribute.region, attribute.concept)
            present[key] = present.get(key, False) or attribute.present
    described |= {region for region, _ in present}
    return frozenset(described), tuple(Attribute(*key, value) for key, value in present.items())


def scene_graph_of_report(report: str) -> SceneGraph:
    """Extract the scene graph of a report, with the boxes of the atlas."""
    described, found = read_attributes(report)
    attributes = np.zeros((len(REGIONS), max(rules.ATTRIBUTE_SIZES)), dtype=bool)
    abnormal = np.zeros(len(REGIONS), dtype=bool)
    for attribute in found:
        region = REGIONS.index(attribute.region)
        concept = rules.REGION_CONCEPTS[attribute.region].index(attribute.concept)
        attributes[region, len(rules.STATES) * concept + (not attribute.present)] = True
        abnormal[region] |= attribute.present and attribute.concept not in rules.DEVICE_CONCEPTS
    regions = np.array([region in described for region in REGIONS])
    return SceneGraph(np.array(ATLAS, dtype=np.float32), regions, abnormal, attributes)

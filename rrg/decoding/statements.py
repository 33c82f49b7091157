"""Plain statements of findings: "there is a small left pleural effusion ."

MBR decoding puts one in the place of a broken sentence (`rrg.decoding.sentence_bank`). It states the concepts that the
broken sentence asserts, with its side, region, size and doubt as far as a licensed statement can say them, and nothing
else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np

from rrg.decoding.ngrams import Words
from rrg.decoding.sentences import Candidate, concept_labels

_SIZES = ("tiny", "small", "moderate", "large")
_DEGREES = ("minimal", "mild", "moderate", "severe")
_SAME = {
    "trace": "tiny",
    "slight": "mild",
    "mildly": "mild",
    "moderately": "moderate",
    "severely": "severe",
    "marked": "severe",
    "minimally": "minimal",
    "left-sided": "left",
    "right-sided": "right",
    "base": "basilar",
    "bases": "basilar",
    "basal": "basilar",
    "bibasilar": "basilar",
    "apex": "apical",
    "apices": "apical",
    "biapical": "apical",
    "healed": "old",
    "remote": "old",
    "chronic": "old",
}
"""Words that a statement says with another one."""
_DOUBTFUL = frozenset(
    (
        "possible",
        "possibly",
        "probable",
        "probably",
        "may",
        "could",
        "suspicious",
        "suspected",
        "question",
        "versusquestionable",
        "cannot",
        "borderline",
        "likely",
        "concerning",
    )
)
_BOTH = frozenset(("bilateral", "bilaterally", "bibasilar", "biapical", "both"))
_MANY = frozenset(("multiple", "several", "scattered", "numerous", "few"))


@dataclass(frozen=True)
class Noun:
    """What a statement names, and which qualifiers it takes."""

    singular: str
    """With "a" if it is counted. With "{side}" it is said of one side only."""
    plural: str = ""
    sizes: tuple[str, ...] = ()
    has_side: bool = False
    regions: tuple[str, ...] = ()
    is_old: bool = False
    """Whether "old" can be said of it."""


_REGIONS = ("upper", "middle", "lower", "basilar", "apical")
_QUALIFIERS = frozenset((*_SIZES, *_DEGREES, *_REGIONS, "left", "right", "old"))
_MOST = 3
"""Nouns that take the place of one sentence."""
NOUNS = (
    Noun("enlargement of the cardiomediastinal silhouette", sizes=_DEGREES),
    Noun("cardiomegaly", sizes=_DEGREES),
    Noun("opacity", "opacities", has_side=True, regions=_REGIONS),
    Noun("opacity in the {side} lung", regions=_REGIONS),
    Noun("airspace disease", has_side=True, regions=_REGIONS),
    Noun("a lung nodule", "lung nodules", _SIZES, has_side=True),
    Noun("a nodule in the {side} lung", sizes=_SIZES),
    Noun("a nodule", "nodules", _SIZES),
    Noun("a lung mass", "lung masses", _SIZES, has_side=True),
    Noun("a mass", "masses", _SIZES),
    Noun("pulmonary edema", sizes=_DEGREES),
    Noun("consolidation", has_side=True, regions=_REGIONS),
    Noun("focal airspace consolidation"),
    Noun("pneumonia", has_side=True, regions=_REGIONS),
    Noun("atelectasis", sizes=_DEGREES, has_side=True, regions=_REGIONS),
    Noun("atelectasis in the {side} base", sizes=_DEGREES),
    Noun("focal atelectasis"),
    Noun("a pneumothorax", "pneumothoraces", _SIZES, has_side=True, regions=("apical",)),
    Noun("pneumothorax", sizes=_SIZES, has_side=True),
    Noun("a pleural effusion", "pleural effusions", _SIZES, has_side=True),
    Noun("pleural effusion", sizes=_SIZES, has_side=True),
    Noun("pleural thickening", sizes=_DEGREES, has_side=True, regions=("apical",)),
    Noun("pleural scarring", sizes=_DEGREES, has_side=True, regions=("apical",)),
    Noun("a rib fracture", "rib fractures", has_side=True, is_old=True),
    Noun("", "rib fractures", has_side=True, is_old=True),
    Noun("a central venous catheter", has_side=True),
    Noun("central venous catheter", has_side=True),
    Noun("a pacemaker", has_side=True),
    Noun("a catheter", has_side=True),
    Noun("", "degenerative changes of the spine", _DEGREES),
    Noun("scoliosis", sizes=_DEGREES),
    Noun("wedging of a vertebral body", sizes=_DEGREES),
    Noun("", "degenerative changes of the shoulder", _DEGREES),
    Noun("deformity of a rib"),
    Noun("osteopenia", sizes=_DEGREES),
    Noun("a calcified granuloma", "calcified granulomas", ("small",), has_side=True),
    Noun("a calcified granuloma in the {side} lung", sizes=("small",)),
    Noun("a calcified lymph node", "calcified lymph nodes"),
    Noun("lymphadenopathy"),
    Noun("hilar prominence", sizes=_DEGREES, has_side=True),
    Noun("emphysema", sizes=_DEGREES),
    Noun("hyperinflation", sizes=_DEGREES),
    Noun("", "low lung volumes"),
    Noun("bronchovascular crowding"),
    Noun("pulmonary vascular congestion", sizes=_DEGREES),
    Noun("interstitial prominence", sizes=_DEGREES),
    Noun("", "interstitial opacities", has_side=True),
    Noun("bronchial thickening", sizes=_DEGREES),
    Noun("scarring", sizes=_DEGREES, has_side=True, regions=_REGIONS),
    Noun("scarring in the {side} base", sizes=_DEGREES),
    Noun("blunting of the {side} costophrenic sulcus", sizes=_DEGREES),
    Noun("elevation of the {side} hemidiaphragm", sizes=_DEGREES),
    Noun("a hiatal hernia", sizes=_SIZES),
    Noun("a tortuous aorta"),
    Noun("calcification of the aorta"),
    Noun("", "changes of sternotomy"),
    Noun("", "surgical clips"),
)
_FRAMES = (
    "there {verb} {article} {noun} .",
    "{article} {noun} {verb} present .",
    "{article} {noun} {verb} noted .",
    "there is evidence of {noun} .",
    "{noun} .",
)
_SLOTS = frozenset(("{verb}", "{article}", "{noun}", "{side}"))
_QUALIFIERS_SAID = "possible old left right bilateral upper middle lower lobe basilar bibasilar apical biapical"
WORDS = frozenset(
    word
    for texts in (_FRAMES, (f"{noun.singular} {noun.plural}" for noun in NOUNS), _SIZES, _DEGREES)
    for text in (*texts, "is are a an", _QUALIFIERS_SAID)
    for word in text.split()
)
WORDS -= _SLOTS
"""Words of which statements consist."""


class Statements:
    """The statements that are licensed."""

    def __init__(self, is_licensed: Callable[[Words], bool]):
        """`is_licensed`: whether a sentence may be said."""
        self._is_licensed = is_licensed
        self._said = cache(self._state)

    def instead_of(self, sentence: Words) -> Candidate:
        """Statements that together assert the concepts of a sentence, and negate none.

        None at all for a sentence that asserts none, and where no licensed statements say the same.
        """
        asserted = _asserted(sentence)
        return self._said(asserted, _qualifiers(sentence)) if asserted else ()

    def _state(self, asserted: frozenset[int], said: frozenset[str]) -> Candidate:
        """Statements of exactly these concepts, with qualifiers among the words that are said."""
        concepts = _concepts_of_nouns()
        possible = [noun for noun in NOUNS if concepts[noun] and concepts[noun] <= asserted]
        for count in range(1, min(_MOST, len(asserted)) + 1):
            for nouns in combinations(possible, count):
                if frozenset[int]().union(*(concepts[noun] for noun in nouns)) != asserted:
                    continue
                # Which of several is small or on the left is not known.
                found = [self._statement(noun, said if count == 1 else said & {"possible"}) for noun in nouns]
                if all(found):
                    return tuple(statement for statement in found if statement)
        return ()

    def _statement(self, noun: Noun, said: frozenset[str]) -> Words | None:
        """The licensed statement of a noun that leaves out the fewest of its qualifiers."""
        return next(filter(self._is_licensed, statements(noun, said)), None)


def statements(noun: Noun, said: frozenset[str]) -> Iterator[Words]:
    """Statements of a noun, those with the most of its qualifiers among the words that are said first."""
    is_both = noun.has_side and "bilateral" in said
    side = next((word for word in ("bilateral", "left", "right") if word in said), None)
    region = next((word for word in noun.regions if word in said), None)
    if "{side}" in noun.singular:
        if side is None or side == "bilateral":
            return
        noun = replace(noun, singular=noun.singular.format(side=side))
    if is_both and region in ("basilar", "apical"):
        side, region = None, f"bi{region}"
    if region == "middle" and side != "right":  # only the right lung has one
        region = None
    qualifiers = [
        "possible" if "possible" in said else None,
        "old" if noun.is_old and "old" in said else None,
        next((word for word in noun.sizes if word in said), None),
        side if noun.has_side else None,
        f"{region} lobe" if region in ("upper", "middle", "lower") else region,
    ]
    known = [word for word in qualifiers if word is not None]
    is_plural = not noun.singular or bool(noun.plural and (is_both or "several" in said))
    for count in range(len(known), -1, -1):
        for chosen in combinations(known, count):
            yield from _phrased(noun, chosen, is_plural)


def _phrased(noun: Noun, qualifiers: tuple[str, ...], is_plural: bool) -> Iterator[Words]:
    """The statements of a noun with these qualifiers."""
    name = " ".join((*qualifiers, noun.plural if is_plural else noun.singular.removeprefix("a ")))
    article = ""
    if not is_plural and noun.singular.startswith("a "):
        article = "an" if name.startswith(("a", "e", "i", "o", "u")) else "a"
    for frame in _FRAMES:
        yield tuple(frame.format(verb="are" if is_plural else "is", article=article, noun=name).split())


@cache
def _concepts_of_nouns() -> dict[Noun, frozenset[int]]:
    """The concepts that each noun asserts in a statement without qualifiers."""
    return {noun: _asserted(next(statements(noun, frozenset(("left",))))) for noun in NOUNS}


def _qualifiers(sentence: Words) -> frozenset[str]:
    """The qualifiers that a sentence says, in the words of statements."""
    words = set(sentence)
    said = {_SAME.get(word, word) for word in words} & _QUALIFIERS
    if words & _BOTH or {"left", "right"} <= said:
        said = said - {"left", "right"} | {"bilateral"}
    if words & _DOUBTFUL:
        said.add("possible")
    if words & _MANY:
        said.add("several")
    return frozenset(said)


def _asserted(sentence: Words) -> frozenset[int]:
    """Indices of the concepts that a sentence asserts."""
    return frozenset(np.flatnonzero(concept_labels(sentence) > 0).tolist())

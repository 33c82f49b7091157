"""Write the findings text of a phantom from templates, in varied wording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rrg.data.phantom.abnormalities import Abnormality, Kind

_PLACES = {
    "upper": ("{side} upper lobe", "{side} upper lung zone", "{side} upper lung"),
    "mid": ("{side} midlung", "{side} mid lung zone", "{side} mid lung"),
    "lower": ("{side} lower lobe", "{side} lung base", "{side} lower lung zone"),
}
_ABNORMAL: dict[Kind, tuple[str, ...]] = {
    "effusion": (
        "There is a {size} {side} pleural effusion.",
        "{Size} {side} pleural effusion is present.",
        "{Size} {side}-sided pleural effusion with blunting of the {side} costophrenic angle.",
    ),
    "cardiomegaly": (
        "The heart is {grade} enlarged.",
        "There is {grade_adjective} cardiomegaly.",
        "The cardiac silhouette is {grade} enlarged.",
        "{Grade_adjective} enlargement of the cardiac silhouette.",
    ),
    "nodule": (
        "There is a {mm} mm nodule in the {place}.",
        "A rounded nodule measuring {mm} mm is seen in the {place}.",
        "{mm} mm nodule projecting over the {place}.",
    ),
    "opacity": (
        "There is a patchy opacity in the {place}.",
        "Patchy airspace opacity is seen in the {place}.",
        "Hazy opacity projects over the {place}.",
    ),
    "consolidation": (
        "There is focal consolidation in the {place}.",
        "Dense consolidation with air bronchograms is seen in the {place}.",
        "Focal consolidation involves the {place}.",
    ),
    "pneumothorax": (
        "There is a {size} {side} apical pneumothorax.",
        "{Size} {side}-sided pneumothorax is present.",
        "A {size} {side} pneumothorax is seen.",
    ),
    "pacemaker": (
        "A {side} chest wall pacemaker is present with leads in the right atrium and right ventricle.",
        "{Side}-sided dual lead pacemaker is in place.",
        "There is a {side} chest pacemaker with intact leads.",
    ),
    "catheter": (
        "A {side} internal jugular central venous catheter terminates in the superior vena cava.",
        "{Side} central venous catheter tip projects over the superior vena cava.",
        "{Side} central line is present with the tip in the SVC.",
    ),
}
_BOTH_EFFUSIONS = (
    "There are {size} bilateral pleural effusions.",
    "{Size} right and {other} left pleural effusions are present.",
)
_HEART = (
    "The heart is normal in size.",
    "Heart size is within normal limits.",
    "The cardiac silhouette is normal in size.",
    "Heart size is normal.",
)
_LUNGS = (
    "The lungs are clear.",
    "No focal airspace disease is seen.",
    "The lungs are clear without focal consolidation.",
    "There is no focal airspace consolidation.",
)
_NO_EFFUSION = ("There is no pleural effusion.", "No pleural effusion is seen.")
_NO_PNEUMOTHORAX = ("No pneumothorax is seen.", "There is no pneumothorax.", "There is no evidence of pneumothorax.")
_NEITHER = (
    "There is no pleural effusion or pneumothorax.",
    "No pneumothorax or pleural effusion is seen.",
    "There is no pneumothorax or pleural effusion.",
)
_BONES = (
    "The osseous structures are intact.",
    "No acute bony abnormality is seen.",
    "The visualized bony structures are unremarkable.",
)
_MEDIASTINUM = ("The mediastinal contours are normal.", "The mediastinum is unremarkable.")


class Chooser(Protocol):
    """Source of random choices of wording, such as `numpy.random.Generator`."""

    def integers(self, high: int, /) -> Any: ...
    def random(self) -> float: ...


class OneWording:
    """Chooses the first wording and every optional sentence, so that equal findings give equal text."""

    def integers(self, high: int, /) -> int:
        return 0

    def random(self) -> float:
        return 0.0


def write_report(abnormalities: Sequence[Abnormality], rng: Chooser) -> str:
    """Write the findings text: the abnormalities and normal statements for the other organs, in the usual order."""
    by_kind: dict[Kind, list[Abnormality]] = {}
    for abnormality in abnormalities:
        by_kind.setdefault(abnormality.kind, []).append(abnormality)

    def choose(sentences: Sequence[str]) -> str:
        return sentences[int(rng.integers(len(sentences)))]

    def abnormal(kind: Kind) -> list[str]:
        return [_describe(choose(_ABNORMAL[kind]), each, rng) for each in by_kind.get(kind, ())]

    heart = abnormal("cardiomegaly") or [choose(_HEART)]
    if rng.random() < 0.5:
        heart.append(choose(_MEDIASTINUM))
    lungs = abnormal("nodule") + abnormal("opacity") + abnormal("consolidation") or [choose(_LUNGS)]
    effusions = by_kind.get("effusion", [])
    pleura = abnormal("pneumothorax")
    if len(effusions) == 2:
        right, left = sorted(effusions, key=lambda each: each.side == "left")
        sentence = choose(_BOTH_EFFUSIONS if _size(right) != _size(left) else _BOTH_EFFUSIONS[:1])
        pleura.append(_describe(sentence, right, rng, other=_size(left)))
    elif effusions:
        pleura += abnormal("effusion")
    elif pleura:
        pleura.append(choose(_NO_EFFUSION))
    if "pneumothorax" not in by_kind:
        pleura.append(choose(_NO_PNEUMOTHORAX if effusions else _NEITHER))
    devices = abnormal("pacemaker") + abnormal("catheter")
    bones = [choose(_BONES)] if rng.random() < 0.6 else []
    order = (devices, heart, lungs, pleura, bones) if rng.random() < 0.5 else (heart, lungs, pleura, devices, bones)
    return " ".join(sentence for part in order for sentence in part)


def _describe(sentence: str, abnormality: Abnormality, rng: Chooser, other: str = "") -> str:
    side, size = abnormality.side or "", _size(abnormality)
    places = _PLACES[abnormality.zone or "mid"]
    grade, adjective = [("mildly", "mild"), ("moderately", "moderate"), ("markedly", "marked")][_third(abnormality)]
    return sentence.format(
        side=side,
        Side=side.capitalize(),
        size=size,
        Size=size.capitalize(),
        other=other,
        place=places[int(rng.integers(len(places)))].format(side=side),
        mm=round(800 * abnormality.radius),  # diameter; the image is 400 mm wide
        grade=grade,
        grade_adjective=adjective,
        Grade_adjective=adjective.capitalize(),
    )


def _third(abnormality: Abnormality) -> int:
    return min(2, int(3 * abnormality.degree))


def _size(abnormality: Abnormality) -> str:
    return ("small", "moderate", "large")[_third(abnormality)]

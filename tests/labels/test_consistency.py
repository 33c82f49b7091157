"""Contradictions inside a text: known ones, texts that only look like one, and the reports of a collection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrg.labels.consistency import conflicts
from rrg.labels.findings import Status
from rrg.labels.locations import located_mentions

CONTRADICTIONS: list[tuple[str, str, str]] = [  # text, kind, what the message must say
    ("Small left effusion. No left effusion.", "negated", "left pleural effusion"),
    ("There is no pneumothorax. Large right pneumothorax.", "negated", "right pneumothorax"),
    ("Right basilar atelectasis. No atelectasis.", "negated", "atelectasis"),
    ("There is a 1 cm nodule. No nodules.", "negated", "lung lesion"),
    ("Left lower lobe opacity. The lungs show no opacity.", "negated", "lung opacity"),
    ("Bilateral effusions. No left effusion.", "", ""),  # half of it is negated: no rule claims it
    ("The heart is normal in size. Moderate cardiomegaly.", "normal", "heart both normal and enlarged"),
    ("Cardiomegaly. Cardiac silhouette within normal limits.", "normal", "heart both normal and enlarged"),
    ("The lungs are clear. Right upper lobe consolidation.", "normal", "lungs clear"),
    ("Lungs are clear bilaterally. There is a 2 cm nodule in the left lung.", "normal", "nodule"),
    ("Clear lungs. Dense left lower lobe opacity.", "normal", "opacity"),
    ("The lungs are clear with no effusion. Left consolidation.", "", ""),  # not all of the lungs, perhaps
    ("No acute disease, the lungs are clear. Left lung consolidation.", "normal", "consolidation"),
    ("No acute disease, the heart is normal. Cardiomegaly.", "normal", "heart both normal and enlarged"),
    ("There is a right effusion. The effusion is on the left.", "side", "on the right and then on the left"),
    ("Left pneumothorax. This pneumothorax is seen on the right.", "side", "on the left and then on the right"),
    ("Left middle lobe consolidation.", "side", "no left middle lobe"),
    ("Opacity in the right lingula.", "side", "no right lingula"),
]

CONSISTENT = [
    "",
    "Small left effusion. No right effusion.",
    "Small left effusion. Small right effusion.",
    "There is a right effusion. The effusion on the left is larger.",
    "There is a right effusion. A small effusion is also seen on the left.",
    "Bilateral effusions. The effusion is on the left.",
    "No left effusion. There is an effusion.",
    "Small effusion. No large effusion.",
    "Old rib fracture. No acute fracture.",
    "Old rib fracture. Right shoulder: no fracture.",
    "Calcified nodule. No masses.",
    "Calcified nodule. No suspicious nodules.",
    "A 1 cm nodule. No other nodules.",
    "Basilar scarring. No focal infiltrate.",
    "Scarring in the left apex. The lungs are clear.",
    "The lungs are clear of focal airspace disease. Basilar atelectasis.",
    "The lungs are otherwise clear. Right lower lobe opacity.",
    "The right lung is clear. Left lower lobe opacity.",
    "Patchy right infiltrate. No XXXX infiltrates.",
    "Left upper lobe opacity. No opacity in the lower lobes.",
    "Borderline heart size. The heart is normal.",
    "Possible effusion. No effusion.",
    "The heart is enlarged. The mediastinum is normal.",
    "Right middle lobe opacity. Left lingula opacity.",
    "Pneumothorax has resolved. No pneumothorax.",
]


@pytest.mark.parametrize(("text", "kind", "said"), CONTRADICTIONS)
def test_a_contradiction_is_found_and_named(text: str, kind: str, said: str) -> None:
    found = conflicts(text)
    assert {conflict.kind for conflict in found} == ({kind} if kind else set())
    assert all(said in conflict.message for conflict in found)


@pytest.mark.parametrize("text", CONSISTENT)
def test_a_consistent_text_raises_no_alarm(text: str) -> None:
    assert conflicts(text) == ()


def test_the_spans_are_those_of_both_passages() -> None:
    text = "No pneumothorax. Heart normal. Right pneumothorax."
    (conflict,) = conflicts(text)
    assert (conflict.first, conflict.second) == ((3, 15), (37, 49))
    assert conflict.finding == "Pneumothorax"


WORDS = st.sampled_from(
    [
        "no",
        "left",
        "right",
        "the effusion",
        "is on the",
        "opacity",
        "lungs are clear",
        ".",
        "heart",
        "normal",
        "enlarged",
        "middle lobe",
        "lingula",
    ]
)


@given(st.text() | st.lists(WORDS, max_size=30).map(" ".join))
def test_any_text_has_spans_in_order_and_one_sentence_a_conflict(text: str) -> None:
    found = conflicts(text)
    assert list(found) == sorted(found, key=lambda conflict: conflict.first)
    for conflict in found:
        assert 0 <= conflict.first[0] <= conflict.second[0] < conflict.second[1] <= len(text)
        assert conflict.message.endswith(".")


def _reports(shared_data: Path) -> list[str]:
    annotation = json.loads((shared_data / "iu_xray" / "annotation.json").read_text())
    return [study["report"] for split in ("train", "val") for study in annotation[split]]


def test_reports_of_radiologists_hardly_ever_contradict_themselves(shared_data: Path) -> None:
    reports = _reports(shared_data)
    assert sum(bool(conflicts(report)) for report in reports) <= 8, "each was read and is a contradiction"


@pytest.mark.parametrize(
    ("finding", "negation"),
    [
        ("Cardiomegaly", "The heart is normal in size."),
        ("Pleural Effusion", "There is no pleural effusion or pneumothorax."),
        ("Pneumothorax", "There is no pleural effusion or pneumothorax."),
        ("Atelectasis", "No atelectasis."),
        ("Consolidation", "There is no consolidation."),
    ],
)
def test_a_contradiction_put_into_a_report_is_found(shared_data: Path, finding: str, negation: str) -> None:
    stating = [
        report
        for report in _reports(shared_data)
        if any(m.name == finding and m.status is Status.PRESENT for m in located_mentions(report))
    ]
    assert len(stating) > 5
    found = [any(c.finding == finding for c in conflicts(f"{report} {negation}")) for report in stating]
    assert sum(found) / len(found) > 0.9, "the others say XXXX before the finding, which may have been 'possibly'"

"""Side, region and severity of the findings in sentences with known answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrg.labels.findings import FINDINGS, label_concepts
from rrg.labels.locations import Side, located_mentions
from rrg.labels.sentences import sentence_spans

L, R, B, N = Side.LEFT, Side.RIGHT, Side.BOTH, Side.NONE

SIDES: list[tuple[str, dict[str, Side]]] = [
    ("Small left pleural effusion.", {"Pleural Effusion": L}),
    ("Right-sided pneumothorax.", {"Pneumothorax": R}),
    ("RIGHT PLEURAL EFFUSION", {"Pleural Effusion": R}),
    ("There is an effusion on the left.", {"Pleural Effusion": L}),
    ("Opacity in the right lower lobe.", {"Lung Opacity": R}),
    ("In the right lung base there is a patchy opacity.", {"Lung Opacity": R}),
    ("Collapse of the left lower lobe.", {"Atelectasis": L}),
    ("A pleural effusion.", {"Pleural Effusion": N}),
    # several findings
    ("Left effusion and right atelectasis.", {"Pleural Effusion": L, "Atelectasis": R}),
    ("Atelectasis at the left base and small effusion on the right.", {"Atelectasis": L, "Pleural Effusion": R}),
    ("Right lower lobe consolidation, no effusion on the left.", {"Consolidation": R, "Pleural Effusion": L}),
    ("No pneumothorax or left effusion.", {"Pneumothorax": N, "Pleural Effusion": L}),
    ("Right basilar atelectasis and effusion.", {"Atelectasis": R, "Pleural Effusion": R}),
    ("Consolidation and effusion at the left base.", {"Consolidation": L, "Pleural Effusion": L}),
    ("Left effusion. Cardiomegaly.", {"Pleural Effusion": L, "Cardiomegaly": N}),
    ("Left effusion, no pneumothorax.", {"Pleural Effusion": L, "Pneumothorax": N}),
    ("Left effusion with pulmonary edema.", {"Pleural Effusion": L, "Edema": N}),
    ("The left lung is clear, small effusion.", {"Pleural Effusion": N}),
    # both sides
    ("Bilateral effusions.", {"Pleural Effusion": B}),
    ("Bibasilar atelectasis.", {"Atelectasis": B}),
    ("Effusions, left greater than right.", {"Pleural Effusion": B}),
    ("No effusion in the right or left hemithorax.", {"Pleural Effusion": B}),
    ("Opacity in the left lower lobe and the right upper lobe.", {"Lung Opacity": B}),
    ("Left lower lobe and right upper lobe opacities.", {"Lung Opacity": B}),
    # the region implies the side
    ("Patchy opacity in the lingula.", {"Lung Opacity": L}),
    ("Middle lobe pneumonia.", {"Pneumonia": R}),
    # names that contain a side
    ("Left ventricular enlargement.", {"Cardiomegaly": N}),
    ("The heart is enlarged on the left.", {"Cardiomegaly": N}),
    ("Right IJ catheter with tip in the left atrium.", {"Support Devices": R}),
    ("Opacity along the right heart border.", {"Lung Opacity": N}),
]

REGIONS: list[tuple[str, tuple[str, ...]]] = [
    ("Right upper lobe opacity.", ("upper lobe",)),
    ("Right upper and middle lobe opacities.", ("upper lobe", "middle lobe")),
    ("Opacity in the left mid lung zone.", ("middle zone",)),
    ("Opacity in the lingula and the left base.", ("lingula", "base")),
    ("Bilateral apical opacities.", ("apex",)),
    ("Opacity in the left lower lobe and the right upper lobe.", ("upper lobe", "lower lobe")),
    ("Opacity in the lung. The left upper lobe is not seen.", ()),
]

DEGREES: list[tuple[str, str]] = [
    ("Small left effusion.", "mild"),
    ("The heart is moderately enlarged.", "moderate"),
    ("Large pneumothorax.", "severe"),
    ("Mild to moderate cardiomegaly.", "moderate"),
    ("Large left effusion, small pneumothorax.", "severe"),
    ("Effusion.", ""),
]


@pytest.mark.parametrize(("text", "sides"), SIDES)
def test_side_of_each_finding(text: str, sides: dict[str, Side]) -> None:
    assert {m.name: m.side for m in located_mentions(text) if m.name in FINDINGS} == sides


@pytest.mark.parametrize(("text", "regions"), REGIONS)
def test_regions_of_an_opacity(text: str, regions: tuple[str, ...]) -> None:
    (mention,) = [m for m in located_mentions(text) if m.name == "Lung Opacity"]
    assert mention.regions == regions


@pytest.mark.parametrize(("text", "degree"), DEGREES)
def test_degree_of_the_first_finding(text: str, degree: str) -> None:
    assert located_mentions(text)[0].severity == degree


def test_spans_are_those_of_the_text() -> None:
    text = "The heart is normal. There is a small opacity in the left lower lobe."
    mention = next(m for m in located_mentions(text) if m.name == "Lung Opacity")
    assert mention.sentence == 1
    assert text[slice(*mention.span)] == "opacity"
    assert [text[slice(*span)] for span in mention.side_spans] == ["left"]
    assert [text[slice(*span)] for span in mention.region_spans] == ["lower lobe"]


WORDS = st.sampled_from(
    [
        "no",
        "left",
        "right",
        "bilateral",
        "small",
        "large",
        "effusion",
        "opacity",
        ",",
        "and",
        "in the",
        "base",
        ".",
        "upper lobe",
        "heart enlarged",
    ]
)


@given(st.text() | st.lists(WORDS).map(" ".join))
def test_any_text_gives_the_mentions_that_the_labeler_finds_in_its_sentences(text: str) -> None:
    mentions = located_mentions(text)
    expected = [
        (finding.name, (start + a, start + b))
        for start, end in sentence_spans(text)
        for finding in label_concepts(text[start:end])
        for a, b in finding.spans
    ]
    assert sorted((m.name, m.span) for m in mentions) == sorted(expected)
    for mention in mentions:
        assert (mention.side is Side.NONE) == (not mention.side_spans)
        assert all(0 <= start < end <= len(text) for start, end in (*mention.side_spans, *mention.region_spans))

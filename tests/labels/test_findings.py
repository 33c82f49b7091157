"""The rule labeler: sentences with known labels, properties of any text, and agreement with manual labels."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rrg.labels.findings import (
    CONCEPTS,
    FINDINGS,
    Finding,
    Status,
    asserted_concepts,
    label_concepts,
    label_report,
    label_vector,
)

FIXTURES = Path(__file__).parents[1] / "fixtures/labels"
EC, CM, LO, LL, ED, CO, PN, AT, PX, PE, PO, FX, SD, NF = FINDINGS
P, U, A = Status.PRESENT, Status.UNCERTAIN, Status.ABSENT


def statuses(text: str) -> dict[str, Status]:
    """Status of the classes that are not blank, without "No Finding"."""
    return {f.name: f.status for f in label_report(text)[:13] if f.status is not Status.BLANK}


def concepts(text: str) -> dict[str, Status]:
    return {f.name: f.status for f in label_concepts(text)[13:] if f.status is not Status.BLANK}


SENTENCES: list[tuple[str, dict[str, Status]]] = [
    # each class, present
    ("There is widening of the mediastinum.", {EC: P}),
    ("The cardiomediastinal silhouette is enlarged.", {EC: P}),
    ("Moderate cardiomegaly.", {CM: P}),
    ("The heart appears mildly enlarged.", {CM: P}),
    ("Patchy airspace disease at the left base.", {LO: P}),
    ("Air-space disease in the lingula.", {LO: P}),
    ("Chronic interstitial markings.", {LO: P}),
    ("A 1.5 cm nodule projects over the right lung.", {LL: P}),
    ("Large cavitary lesion at the left apex.", {LL: P}),
    ("Findings of congestive heart failure with interstitial edema.", {ED: P}),
    ("Left lower lobe consolidation.", {CO: P}),
    ("Right middle lobe pneumonia.", {PN: P}),
    ("Bibasilar subsegmental atelectasis.", {AT: P}),
    ("Collapse of the left lower lobe.", {AT: P}),
    ("Small right apical pneumothorax.", {PX: P}),
    ("Bilateral pleural effusions.", {PE: P}),
    ("Large right hydropneumothorax.", {PX: P, PE: P}),
    ("Biapical pleural thickening.", {PO: P}),
    ("Healed fractures of the left ribs.", {FX: P}),
    ("Right internal jugular catheter and endotracheal tube.", {SD: P}),
    ("Dual lead pacemaker in the left chest wall.", {SD: P}),
    # similar phrases that belong to no class
    ("Pericardial effusion.", {}),
    ("No mass effect.", {}),
    ("Thyroid nodule.", {}),
    ("Soft tissue edema of the ankle.", {}),
    ("Compression deformity of T12.", {}),
    ("Fractured sternal wires.", {}),
    # negation before the finding
    ("No pneumothorax.", {PX: A}),
    ("No pleural effusion or pneumothorax.", {PE: A, PX: A}),
    ("No pneumonia, effusions, edema, pneumothorax, adenopathy, nodules or masses.",
     {PN: A, PE: A, ED: A, PX: A, LL: A}),
    ("Neither effusion nor pneumothorax.", {PE: A, PX: A}),
    ("Lungs are free of focal airspace disease.", {LO: A}),
    ("Negative for fracture.", {FX: A}),
    ("There is no evidence of pneumonia or CHF.", {PN: A, ED: A}),
    ("No definite pneumothorax.", {PX: A}),
    ("The examination does not demonstrate a pneumothorax.", {PX: A}),
    ("Interval resolution of the left effusion.", {PE: A}),
    ("Interval removal of the PICC.", {SD: A}),
    ("Unlikely to represent pneumonia.", {PN: A}),
    # negation after it
    ("Pneumothorax is not seen.", {PX: A}),
    ("Consolidation, effusion, and pneumothorax are not identified.", {CO: A, PE: A, PX: A}),
    ("The effusion has resolved.", {PE: A}),
    ("The previously described mass is no longer visible.", {LL: A}),
    ("The endotracheal tube has been removed.", {SD: A}),
    ("Pneumonia is unlikely.", {PN: A}),
    ("Pneumothorax: None.", {PX: A}),
    # pseudo-negations
    ("No change in the small left effusion.", {PE: P}),
    ("No significant interval change in moderate cardiomegaly.", {CM: P}),
    ("Left lower lobe opacities without significant change.", {LO: P}),
    ("There is a nodule, not seen on prior exams.", {LL: P}),
    # scope of a cue
    ("No pneumothorax but there is a small effusion.", {PX: A, PE: P}),
    ("No pneumothorax; small effusion.", {PX: A, PE: P}),
    ("No effusion, mild cardiomegaly.", {PE: A, CM: P}),
    ("No effusion and stable cardiomegaly.", {PE: A, CM: P}),
    ("No consolidation. Small effusion.", {CO: A, PE: P}),
    ("Small effusion without pneumothorax.", {PE: P, PX: A}),
    ("There is cardiomegaly, however no edema.", {CM: P, ED: A}),
    ("No pneumothorax following removal of the chest tube.", {PX: A, SD: A}),
    ("No pneumothorax with a large effusion.", {PX: A, PE: P}),
    ("Possible small effusion, stable cardiomegaly.", {PE: U, CM: P}),
    ("FINDINGS:\nNo effusion or\npneumothorax.", {PE: A, PX: A}),
    ("No effusion\n\nCardiomegaly", {PE: A, CM: P}),
    ("- No effusion\n- Cardiomegaly", {PE: A, CM: P}),
    # uncertainty
    ("Possible left effusion.", {PE: U}),
    ("Left basilar opacity may represent atelectasis.", {LO: P, AT: U}),
    ("Findings are suspicious for pneumonia.", {PN: U}),
    ("Airspace disease suggestive of pneumonia.", {LO: P, PN: U}),
    ("Atelectasis versus pneumonia.", {AT: U, PN: U}),
    ("Edema vs. infection.", {ED: U, PN: U}),
    ("Cardiomegaly and small effusion versus pleural thickening.", {CM: P, PE: U, PO: U}),
    ("Cannot exclude pneumonia.", {PN: U}),
    ("Pneumonia cannot be excluded.", {PN: U}),
    ("Pneumonia is not excluded.", {PN: U}),
    ("Small effusions are suspected.", {PE: U}),
    ("The nodule is not well seen on today's study.", {LL: U}),
    ("?pneumonia", {PN: U}),
    ("The heart size is at the upper limits of normal.", {CM: U}),
    ("Borderline cardiomegaly.", {CM: U}),
    ("No opacity to suggest pneumonia.", {LO: A, PN: A}),
    # not assessed in this image
    ("If there is concern for pneumonia, CT is recommended.", {}),
    ("Please note that nondisplaced fractures may not be demonstrated.", {}),
    ("History of pneumonia.", {}),
    # normal statements
    ("Heart size is normal.", {CM: A}),
    ("Normal heart size and mediastinal contours.", {CM: A, EC: A}),
    ("Heart size, mediastinal contour, and pulmonary vascularity are within normal limits.", {CM: A, EC: A}),
    ("The heart is not significantly enlarged.", {CM: A}),
    ("The heart is enlarged, the lungs are clear.", {CM: P, LO: A, CO: A}),
    ("The mediastinum is normal and the heart is enlarged.", {EC: A, CM: P}),
    ("Clear lungs.", {LO: A, CO: A}),
    ("Both costophrenic angles are sharp.", {PE: A}),
    ("The osseous structures are intact.", {FX: A}),
    # laterality: a statement about one side does not label the other
    ("The left lung is clear.", {}),
    ("The left lung is clear. Right lower lobe consolidation.", {CO: P}),
    ("No left effusion. Moderate right effusion.", {PE: P}),
    # de-identification tokens and unknown words
    ("XXXX opacity in the right base.", {LO: P}),
    ("No XXXX effusion or ___ pneumothorax.", {PE: A, PX: A}),
    ("The XXXX are normal.", {}),
    ("Small pleural XXXX effusion.", {PE: P}),
    ("no <unk> effusion .", {PE: A}),
    ("Compared with [**2101-3-4**] there is a new consolidation.", {CO: P}),
    # cleaned text
    ("the heart is normal in size . no effusion . right lower lobe opacity .", {CM: A, PE: A, LO: P}),
    ("no pneumothorax or consolidation is identified . the heart is mildly enlarged .", {PX: A, CO: A, CM: P}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[text for text, _ in SENTENCES])
def test_labels_of_a_sentence(text: str, expected: dict[str, Status]) -> None:
    assert statuses(text) == expected


def _rows(name: str) -> list[tuple[str, dict[str, Status]]]:
    """(sentence, expected labels) of a table; "B" is blank."""
    letters = {"P": P, "U": U, "A": A, "B": Status.BLANK}
    rows = [json.loads(line) for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines()]
    return [(row["text"], {finding: letters[letter] for finding, letter in row["want"].items()}) for row in rows]


REPORTED = _rows("reported_sentences.jsonl")
KINDS = _rows("sentences.jsonl")
"""Several sentences of each kind, labelled by hand as a radiologist reads them."""


@pytest.mark.parametrize(("text", "expected"), REPORTED, ids=[text for text, _ in REPORTED])
def test_labels_of_reported_sentences(text: str, expected: dict[str, Status]) -> None:
    labels = {finding.name: finding.status for finding in label_report(text)}
    assert {name: labels[name] for name in expected} == expected


@pytest.mark.parametrize(("text", "expected"), KINDS, ids=[text for text, _ in KINDS])
def test_labels_of_each_kind_of_sentence(text: str, expected: dict[str, Status]) -> None:
    assert statuses(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Degenerative changes of the thoracic spine.", {"Degenerative Spine Change": P}),
        ("Calcified granuloma in the left lung.", {"Granulomatous Disease": P}),
        ("Calcified hilar lymph nodes.", {"Calcified Lymph Nodes": P}),
        ("The lungs are hyperexpanded, suggestive of emphysema.", {"Hyperinflation": P, "Emphysema": U}),
        ("Subcutaneous emphysema.", {}),
        ("No hiatal hernia.", {"Hiatal Hernia": A}),
        ("The aorta is tortuous and calcified.", {"Tortuous Aorta": P, "Aortic Calcification": P}),
        ("Low lung volumes with bronchovascular crowding.", {"Low Lung Volumes": P, "Vascular Crowding": P}),
        ("Mild dextroscoliosis.", {"Spinal Curvature": P}),
        ("Elevation of the right hemidiaphragm.", {"Elevated Hemidiaphragm": P}),
        ("Sternotomy wires and surgical clips are noted.", {"Sternotomy": P, "Surgical Clips": P}),
        ("Pulmonary vascularity is within normal limits.", {"Vascular Congestion": A}),
        ("Blunting of the left costophrenic angle.", {"Costophrenic Blunting": P}),
        ("Pectus excavatum deformity.", {"Bone Deformity": P}),
    ],
)
def test_concepts_of_a_sentence(text: str, expected: dict[str, Status]) -> None:
    assert concepts(text) == expected


def test_a_sign_is_a_concept_of_its_own() -> None:
    text = "Blunting of the left costophrenic angle."
    assert statuses(text) == {PE: U}
    assert asserted_concepts(text) == {"Costophrenic Blunting"}


def test_names_and_order_of_classes() -> None:
    assert len(FINDINGS) == 14
    assert FINDINGS[13] == "No Finding"
    assert CONCEPTS[:13] == FINDINGS[:13]
    assert len(set(CONCEPTS)) == len(CONCEPTS)
    assert [f.name for f in label_report("")] == list(FINDINGS)
    assert [f.name for f in label_concepts("")] == list(CONCEPTS)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", P),
        ("No acute cardiopulmonary abnormality.", P),
        ("Hiatal hernia.", P),
        ("Right PICC with the tip in the SVC. Lungs are clear.", P),
        ("Possible pneumonia.", Status.BLANK),
        ("Right PICC. Small effusion.", Status.BLANK),
    ],
)
def test_no_finding_is_present_unless_a_finding_other_than_devices_is(text: str, status: Status) -> None:
    assert label_report(text)[13].status is status


def test_present_precedes_uncertain_precedes_absent() -> None:
    text = {"present": "Left effusion.", "uncertain": "Possible effusion.", "absent": "No right effusion."}
    assert statuses(f"{text['absent']} {text['uncertain']} {text['present']}") == {PE: P}
    assert statuses(f"{text['absent']} {text['uncertain']}") == {PE: U}
    assert statuses(f"{text['uncertain']} {text['absent']}") == {PE: U}


def test_spans_cover_the_mentions() -> None:
    text = "No left effusion. Moderate RIGHT Pleural XXXX Effusion; the effusion is larger."
    effusion = label_report(text)[FINDINGS.index(PE)]
    assert [text[start:end] for start, end in effusion.spans] == ["Effusion", "effusion"]
    text = "The heart XXXX size is  normal. XXXX."
    heart = label_report(text)[FINDINGS.index(CM)]
    assert [text[start:end] for start, end in heart.spans] == ["heart XXXX size is  normal"]
    text = "No acute cardiopulmonary abnormality."
    assert [text[a:b] for a, b in label_report(text)[13].spans] == [text[:-1]]


def test_spans_are_right_for_letters_that_grow_in_lower_case() -> None:
    text = "\u0130\u0130\u0130 Effusion."
    assert label_report(text)[FINDINGS.index(PE)].spans == ((4, 12),)


def test_vector_uses_the_value_for_uncertain() -> None:
    text = "Possible pneumonia. Cardiomegaly. No effusion."
    for uncertain in (1.0, 0.0, 0.5):
        expected = np.zeros(14, np.float32)
        expected[FINDINGS.index(CM)], expected[FINDINGS.index(PN)] = 1, uncertain
        vector = label_vector(text, uncertain)
        assert vector.dtype == np.float32
        np.testing.assert_array_equal(vector, expected)
    assert label_vector("")[13] == 1


# Words of reports and any other text, in any order.
WORDS = st.sampled_from([
    "the", "heart", "is", "normal", "enlarged", "no", "not", "without", "possible", "may", "represent", "effusion",
    "pneumothorax", "edema", "opacity", "and", "or", ",", ".", ";", "but", "with", "cannot", "exclude", "excluded",
    "versus", "seen", "resolved", "lungs", "clear", "nodule", "XXXX", "___", "<unk>", "1.5", "cm", "mild", "change",
])  # fmt: skip
TEXTS = st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=80)
REPORTS = st.lists(st.sampled_from([text for text, _ in SENTENCES]), min_size=1, max_size=5)
ALL_REPORTS = st.lists(st.sampled_from([text for text, _ in SENTENCES + REPORTED + KINDS]), min_size=1, max_size=5)

# Positive statements and forms of their negation.
POSITIVES = st.tuples(
    st.sampled_from(["", "small", "large", "left", "right lower lobe", "bibasilar", "mild", "new", "acute",
                     "persistent"]),
    st.sampled_from([
        (PX, "pneumothorax"), (PE, "pleural effusion"), (PE, "effusions"), (CO, "consolidation"),
        (ED, "pulmonary edema"), (PN, "pneumonia"), (AT, "atelectasis"), (LO, "airspace opacity"),
        (LO, "infiltrates"), (LL, "nodule"),
        (LL, "masses"), (FX, "rib fracture"), (CM, "cardiomegaly"), (PO, "pleural thickening"), (SD, "chest tube"),
        (SD, "PICC"), (SD, "Swan-Ganz catheter"),
    ]),
    st.sampled_from(["", "on the left", "in the right lung base", "at the apex"]),
).map(lambda parts: (parts[1][0], " ".join(part for part in (parts[0], parts[1][1], parts[2]) if part)))  # fmt: skip
NEGATIVE_FORMS = [
    "No {}.", "no {}", "There is no {}.", "There is no evidence of {}.", "Without {}.", "Negative for {}.",
    "Free of {}.", "Absence of {}.", "Resolution of the {}.", "Complete resolution of {}.", "{} is not seen.",
    "{} has resolved.", "{} has completely resolved.", "{} is no longer visible.", "{} cannot be seen.",
    "{} has been removed.", "{}: no.", "{}: No", "{} (-).", "{} - negative", "{}: absent.", "{}: none", "{}? No.",
    "{}: not identified.", "No longer seen is the {}.", "{} has been excluded.", "{} is unlikely.",
    "The lungs are not hyperinflated, no {}.", "Left basilar granuloma persists, {} is not identified.",
]  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(TEXTS)
def test_spans_lie_inside_one_sentence(text: str) -> None:
    for finding in (*label_report(text), *label_concepts(text)):
        if finding.name != "No Finding":
            assert bool(finding.spans) == (finding.status is not Status.BLANK)
        assert list(finding.spans) == sorted(finding.spans)
        for start, end in finding.spans:
            assert 0 <= start < end <= len(text)
            assert not re.search(r"[!?;]|\.(?!\d)|\n\s*\n", text[start:end])


@settings(deadline=None, max_examples=200)
@given(POSITIVES, st.sampled_from(NEGATIVE_FORMS))
def test_a_negated_finding_is_absent(positive: tuple[str, str], form: str) -> None:
    name, phrase = positive
    assert statuses(f"{phrase.capitalize()}.").get(name) is P
    assert statuses(form.format(phrase)).get(name) is A


@settings(deadline=None, max_examples=100)
@given(
    st.lists(POSITIVES, min_size=2, max_size=5),
    st.sampled_from(["or ", "and ", ""]),
    st.sampled_from(["No", "Without"]),
)
def test_no_finding_of_a_negated_list_is_present(
    positives: list[tuple[str, str]], conjunction: str, negation: str
) -> None:
    phrases = [re.sub("^(small|mild|persistent) ", "", phrase) for _, phrase in positives]  # these begin a statement
    text = f"{negation} {', '.join(phrases[:-1])}, {conjunction}{phrases[-1]}."
    assert {statuses(text)[name] for name, _ in positives} == {A}


@settings(deadline=None, max_examples=100)
@given(ALL_REPORTS, st.randoms(use_true_random=False))
def test_the_order_of_sentences_changes_no_label(sentences: list[str], random: Random) -> None:
    ended = [re.sub(r"\.?$", ".", sentence) for sentence in sentences]
    shuffled = random.sample(ended, len(ended))
    status = [finding.status for finding in label_report(" ".join(ended))]
    assert [finding.status for finding in label_report(" ".join(shuffled))] == status


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=())) | st.text("\u0130\ufb01\u017f\u212a\u00df\u00a0-:([*_"))
@example("\u0130")
def test_any_unicode_is_labelled(text: str) -> None:
    report = f"{text}\n\nEffusion"
    assert [f.name for f in label_report(text)] == list(FINDINGS)
    assert [f.name for f in label_concepts(text)] == list(CONCEPTS)
    effusion = label_report(report)[FINDINGS.index(PE)]
    assert effusion.status is P
    assert effusion.spans[-1] == (len(report) - len("Effusion"), len(report))


@settings(deadline=None, max_examples=100)
@given(ALL_REPORTS, st.text(st.characters(min_codepoint=0x80, exclude_categories=()), max_size=30))
def test_text_in_another_script_changes_no_label(sentences: list[str], other: str) -> None:
    text = "\n\n".join(sentences)
    assert statuses(f"{other}\n\n{text}\n\n{other}") == statuses(text)


@settings(deadline=None, max_examples=50)
@given(REPORTS)
def test_labels_of_a_report_aggregate_those_of_its_paragraphs(sentences: list[str]) -> None:
    order = [P, U, A]
    parts = [statuses(sentence) for sentence in sentences]
    expected = {
        name: min((part[name] for part in parts if name in part), key=order.index) for part in parts for name in part
    }
    assert statuses("\n\n".join(sentences)) == expected


@settings(deadline=None, max_examples=50)
@given(
    ALL_REPORTS, st.sampled_from(["The trachea is midline.", "XXXX.", "Frontal and lateral views were obtained.", "2."])
)
def test_an_irrelevant_sentence_changes_no_label(sentences: list[str], more: str) -> None:
    text = "\n\n".join(sentences)
    assert label_report(f"{text}\n\n{more}") == label_report(text)


@settings(deadline=None, max_examples=50)
@given(ALL_REPORTS, st.data())
def test_a_deidentification_token_changes_no_label(sentences: list[str], data: st.DataObject) -> None:
    text = "\n\n".join(sentences)
    gaps = [m.start() for m in re.finditer(r"(?<=[A-Za-z,]) (?=[A-Za-z])", text)]
    if gaps:
        at = data.draw(st.sampled_from(gaps))
        marked = f"{text[:at]} {data.draw(st.sampled_from(['XXXX', 'xxxx', '___']))}{text[at:]}"
        assert statuses(marked) == statuses(text)


@settings(deadline=None, max_examples=50)
@given(REPORTS)
def test_case_and_line_wrapping_change_no_label(sentences: list[str]) -> None:
    text = " ".join(sentences)
    assert statuses(text.upper()) == statuses(text)
    assert statuses(re.sub(r" (?=[a-z])", "\n", text)) == statuses(text)


def _with_gold(data: Path) -> list[tuple[str, dict[str, str]]]:
    """(report, manual labels) of each study that has both."""
    with (data / "iu_xray/openi_gold_findings.csv").open(newline="") as file:
        gold = {row["filename"]: row for row in csv.DictReader(file)}
    annotation = json.loads((data / "iu_xray/annotation.json").read_text())
    studies = {s["id"].split("_")[0]: s for split in annotation.values() for s in split}
    return [
        (f"{study['report'] or ''}\n\n{study['impression'] or ''}", gold[uid])
        for uid, study in studies.items()
        if uid in gold
    ]


def test_labels_agree_with_manual_labels(shared_data: Path) -> None:
    """F1 of "present" against the manual labels of Open-i, for the classes that correspond.

    "Infiltration", "Emphysema", "Fibrosis" and "Hernia" have no own class in the CheXpert scheme.
    """
    same = {
        AT: ["Atelectasis"],
        CM: ["Cardiomegaly"],
        PE: ["Effusion"],
        CO: ["Consolidation"],
        PX: ["Pneumothorax"],
        ED: ["Edema"],
        LL: ["Mass", "Nodule"],
        PN: ["Pneumonia"],
        PO: ["Pleural_Thickening"],
    }

    def present(finding: Finding) -> bool:
        return finding.status is Status.PRESENT

    studies = _with_gold(shared_data)
    assert len(studies) > 2000
    predicted = np.array([[present(f) for f in label_report(text) if f.name in same] for text, _ in studies])
    columns = [same[name] for name in FINDINGS if name in same]
    labels = np.array([[any(row[c] == "1" for c in names) for names in columns] for _, row in studies])
    agreed = np.sum(predicted & labels)
    assert 2 * agreed / (predicted.sum() + labels.sum()) >= 0.85


def test_present_and_uncertain_concepts_are_asserted() -> None:
    assert asserted_concepts("No pleural effusion or pneumothorax.") == frozenset()
    assert asserted_concepts("There is a small left pleural effusion.") == {"Pleural Effusion"}
    assert "Pneumonia" in asserted_concepts("Possible pneumonia. No pleural effusion.")

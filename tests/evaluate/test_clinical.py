"""Clinical metrics compared with scikit-learn, hand-made cases, and properties of any comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from rrg.errors import InputError
from rrg.evaluate.clinical import FIVE, ClinicalScores, clinical_scores
from rrg.evaluate.significance import intervals
from rrg.labels.findings import FINDINGS, LABELER, label_vector

SENTENCES = (
    "Heart size is normal.",
    "Moderate cardiomegaly.",
    "Possible small left effusion.",
    "Large effusion.",
    "No pneumothorax.",
    "Bibasilar atelectasis.",
    "Mild edema.",
    "Left lower lobe consolidation, suspicious for pneumonia.",
    "Right PICC.",
    "Hiatal hernia.",
    "No acute cardiopulmonary abnormality.",
)
REPORT = st.lists(st.sampled_from(SENTENCES), max_size=5).map(" ".join)
PAIRS = st.lists(st.tuples(REPORT, REPORT), min_size=1, max_size=6)


def scored(pairs: list[tuple[str, str]], uncertain: int = 1) -> ClinicalScores:
    hypotheses, references = map(list, zip(*pairs, strict=True))
    return clinical_scores(hypotheses, references, 1 if uncertain else 0)


def reference_figures(labels: np.ndarray, predicted: np.ndarray, average: str | None = None) -> Any:
    """scikit-learn's precision, recall, F1 and support."""
    options: dict[str, Any] = {"average": average, "zero_division": 0}
    return precision_recall_fscore_support(labels, predicted, **options)


@settings(deadline=None, max_examples=25)
@given(PAIRS, st.sampled_from([0, 1]))
def test_equals_scikit_learn(pairs: list[tuple[str, str]], uncertain: int) -> None:
    predicted, labels = (
        np.array([label_vector(text, uncertain) for text in texts]) for texts in zip(*pairs, strict=True)
    )
    scores = scored(pairs, uncertain)

    precision, recall, f1, support = reference_figures(labels, predicted)
    for column, name in enumerate(FINDINGS):
        score = scores.classes[name]
        assert (score.precision, score.recall, score.f1) == pytest.approx(
            (precision[column], recall[column], f1[column])
        )
        assert (score.support, score.predicted) == (support[column], predicted[:, column].sum())

    values = scores.values
    for size, columns in {"13": range(13), "5": [FINDINGS.index(name) for name in FIVE]}.items():
        for kind in ("micro", "macro"):
            expected = reference_figures(labels[:, columns], predicted[:, columns], kind)[:3]
            found = [values[f"{kind}-{part}-{size}"] for part in ("precision", "recall", "F1")]
            assert found == pytest.approx(expected)
    by_study = reference_figures(labels, predicted, "samples")
    assert values["example-F1-14"] == pytest.approx(by_study[2])
    assert values["accuracy-14"] == pytest.approx(accuracy_score(labels.ravel(), predicted.ravel()))
    assert values["exact-match-14"] == pytest.approx(accuracy_score(labels, predicted))


@settings(deadline=None, max_examples=25)
@given(PAIRS)
def test_per_study_counts_add_up(pairs: list[tuple[str, str]]) -> None:
    scores = scored(pairs)
    assert scores.counts.shape == (len(pairs), 14, 3)
    for study, pair in enumerate(pairs):
        np.testing.assert_array_equal(scores.counts[study], scored([pair]).counts[0])
    for measure in scores.measures.values():
        assert len(measure.per_study) == len(pairs)


@settings(deadline=None, max_examples=25)
@given(PAIRS)
def test_figures_of_a_subset_are_those_of_its_studies(pairs: list[tuple[str, str]]) -> None:
    selected = np.arange(len(pairs)) % 2 == 0
    part = scored([pair for pair, use in zip(pairs, selected, strict=True) if use])
    for name, measure in scored(pairs).measures.items():
        assert measure.subset(selected).value == pytest.approx(part.values[name]), name


def test_a_perfect_system() -> None:
    reports = ["Moderate cardiomegaly. Mild edema. Atelectasis. Consolidation. Large effusion.", "Lungs are clear."]
    scores = clinical_scores(reports, reports)
    for name in ("micro-F1-13", "micro-F1-5", "macro-F1-5", "example-F1-14", "accuracy-14", "exact-match-14"):
        assert scores.values[name] == 1
    assert scores.values["clinical-terms-F1"] == 1
    # Eight of the 13 findings are in no reference: undefined counts as 0.
    assert scores.values["macro-F1-13"] == pytest.approx(5 / 13)


def test_a_constant_normal_report_is_good_only_in_accuracy() -> None:
    references = ["Lungs are clear."] * 8 + ["Large effusion."] * 2
    values = clinical_scores(["No acute abnormality."] * 10, references).values
    assert values["exact-match-14"] == pytest.approx(0.8)
    assert values["accuracy-14"] == pytest.approx(1 - 2 * 2 / 140)  # effusion and "No Finding" of two studies
    assert values["micro-F1-13"] == values["macro-F1-13"] == values["micro-F1-5"] == 0


def test_uncertain_rule() -> None:
    hypotheses, references = ["Possible effusion."], ["Large effusion."]
    assert clinical_scores(hypotheses, references).values["micro-F1-13"] == 1
    assert clinical_scores(hypotheses, references, uncertain=0).values["micro-F1-13"] == 0


@pytest.mark.parametrize(
    ("hypothesis", "reference", "f1"),
    [
        ("Lungs are clear.", "No effusion.", 1),
        ("", "Large effusion.", 0),
        ("Large effusion.", "", 0),
        ("Possible hiatal hernia.", "Large hiatal hernia.", 1),
        ("Hiatal hernia. No effusion.", "Hiatal hernia. Large effusion.", 2 / 3),
        ("Hiatal hernia. Scoliosis. Effusion.", "Effusion.", 1 / 2),
    ],
)
def test_clinical_terms_f1_compares_asserted_concepts(hypothesis: str, reference: str, f1: float) -> None:
    assert clinical_scores([hypothesis], [reference]).values["clinical-terms-F1"] == pytest.approx(f1)


def test_a_bootstrap_resamples_the_studies() -> None:
    references = [SENTENCES[i % len(SENTENCES)] for i in range(60)]
    hypotheses = [text if i % 3 else "No acute abnormality." for i, text in enumerate(references)]
    scores = clinical_scores(hypotheses, references)
    ranges = intervals(scores.measures, resamples=500)
    for name, value in scores.values.items():
        assert ranges[name].value == value
        assert 0 <= ranges[name].low <= ranges[name].high <= 1
    assert ranges["micro-F1-13"].low < scores.values["micro-F1-13"] < ranges["micro-F1-13"].high


def test_scores_name_the_labeler_and_the_uncertain_rule() -> None:
    scores = clinical_scores(["Large effusion."], ["Large effusion."], uncertain=0)
    assert (scores.labeler, scores.uncertain, len(scores.counts)) == (LABELER, 0, 1)
    assert list(scores.classes) == list(FINDINGS)
    assert scores.classes["Pleural Effusion"].support == 1


def test_bad_input_names_the_remedy() -> None:
    with pytest.raises(InputError, match="2 hypotheses cannot be compared with 1 references"):
        clinical_scores(["a", "b"], ["a"])
    with pytest.raises(InputError, match="at least one pair"):
        clinical_scores([], [])
    with pytest.raises(InputError, match="present"):
        clinical_scores(["a"], ["a"], uncertain=2)  # pyright: ignore[reportArgumentType]

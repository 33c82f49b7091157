"""Support against references: which sentences contradict them, and which reports are kept."""

from __future__ import annotations

import numpy as np
import pytest

from rrg.evaluate.support_figures import SupportFigures, checked_sentences, expected_contribution, support_figures
from rrg.labels.findings import FINDINGS, label_report
from rrg.report import Report, ReportFinding, Sentence, Word


def report(
    text: str, supports: list[float | None], word: float = 0.5, probability: float = 0.1, sentence: float | None = None
) -> Report:
    """A report whose words all have the probability `word`, and whose findings all have `probability`."""
    sentences, words, start = [], [], 0
    for index, (part, support) in enumerate(zip(text.split(". "), supports, strict=True)):
        sentences.append(Sentence(part, start, start + len(part), support, sentence))
        words.append(Word(part, start, start + len(part), index, word))
        start += len(part) + 2
    findings = tuple(ReportFinding(f.name, str(f.status), f.spans, probability) for f in label_report(text))
    return Report("r", "s", text, tuple(words), tuple(sentences), findings, "m", "0", {}, 0.1, "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("sentence", "reference", "expected"),
    [
        ("There is cardiomegaly.", "The heart is enlarged.", (True, False)),
        ("There is cardiomegaly.", "The heart is normal.", (True, True)),
        ("There is cardiomegaly.", "Clear lungs.", (True, True)),  # nothing about it
        ("No pleural effusion.", "Small effusion.", (False, True)),
        ("No pleural effusion.", "Clear lungs.", (False, False)),
        ("Cardiomegaly without effusion.", "Cardiomegaly. Small effusion.", (True, True)),
    ],
)
def test_a_sentence_contradicts_what_the_reference_says_otherwise(
    sentence: str, reference: str, expected: tuple[bool, bool]
) -> None:
    (checked,) = checked_sentences(report(sentence, [0.5]), reference)
    assert (checked.asserts, checked.contradicts) == expected


def test_sentences_without_concept_or_support_are_left_out() -> None:
    made = report("The trachea is midline. There is cardiomegaly. No effusion.", [0.5, None, 0.25], word=0.125)
    (checked,) = checked_sentences(made, "Clear lungs.")
    assert (checked.support, checked.word_probability, checked.asserts) == (0.25, pytest.approx(0.125), False)


def test_support_that_knows_the_contradictions_has_an_auroc_of_1() -> None:
    wrong = [report("There is cardiomegaly.", [0.2], word=0.9, sentence=0.3)] * 5
    right = [report("There is cardiomegaly.", [0.8], word=0.4, sentence=0.7)] * 15
    figures = support_figures([*wrong, *right], ["The heart is normal."] * 5 + ["Cardiomegaly."] * 15)
    assert figures is not None
    assert (figures.sentences, figures.contradicted, figures.asserting) == (20, 5, 20)
    assert figures.auroc["support"] == figures.auroc["support, asserting"] == figures.auroc["probability"] == 1
    assert figures.auroc["word probability"] == 0
    assert sum(each.sentences for each in figures.reliability) == 20
    assert figures.reliability[0].observed < figures.reliability[-1].observed == 1


def test_without_support_there_are_no_figures() -> None:
    assert support_figures([report("There is cardiomegaly.", [None])], ["Clear lungs."]) is None


def test_a_report_contributes_above_0_where_it_raises_the_f1() -> None:
    """With certain probabilities the rule is that of the F1 itself."""
    for asserted, probability in ((True, 1.0), (True, 0.0), (False, 1.0), (False, 0.0)):
        made = report("There is cardiomegaly." if asserted else "Clear lungs.", [0.5], probability=0.0)
        findings = list(made.findings)
        index = FINDINGS.index("Cardiomegaly")
        findings[index] = ReportFinding("Cardiomegaly", findings[index].status, (), probability)
        made = Report(**{**vars(made), "findings": tuple(findings)})
        hit = asserted and probability == 1
        error = asserted != (probability == 1)
        assert expected_contribution(made, 0.4) == pytest.approx(1.2 * hit - 0.4 * error)


def test_reports_with_doubtful_findings_are_dropped_first() -> None:
    sure = [report("There is cardiomegaly.", [0.9], probability=0.9)] * 8
    unsure = [report("There is cardiomegaly.", [0.9], probability=0.05)] * 2
    # All 13 findings have the probability: those that are not asserted count as probably omitted.
    sure = [Report(**{**vars(each), "findings": _only("Cardiomegaly", 0.9)}) for each in sure]
    unsure = [Report(**{**vars(each), "findings": _only("Cardiomegaly", 0.05)}) for each in unsure]
    figures = support_figures([*unsure, *sure], ["The heart is normal."] * 2 + ["Cardiomegaly."] * 8)
    assert figures is not None
    by_coverage = {each.coverage: each for each in figures.coverage}
    assert by_coverage[1.0].micro_f1 == pytest.approx(16 / 18)
    assert by_coverage[0.8].micro_f1 == 1
    assert (by_coverage[1.0].wrong_findings, by_coverage[0.8].wrong_findings) == (0.2, 0)
    assert SupportFigures.from_dict(_as_json(figures)) == figures


def _only(name: str, probability: float) -> tuple[ReportFinding, ...]:
    return tuple(
        ReportFinding(each, "present" if each == name else "blank", (), probability if each == name else 0.0)
        for each in FINDINGS
    )


def _as_json(figures: SupportFigures) -> dict:
    import json
    from dataclasses import asdict

    assert np.isfinite(list(figures.auroc.values())).all()
    return json.loads(json.dumps(asdict(figures)))

"""Inserted sentences are wrong, and nothing in the record of the report shows them."""

from __future__ import annotations

import pytest

from rrg.feedback.worklists.probes import _WRONG, with_probe
from rrg.labels.findings import FINDINGS, label_report
from rrg.report import Report, ReportFinding, Sentence, Word

TEXT = "the heart is enlarged. there is no effusion."


def _report(text: str = TEXT) -> Report:
    sentences, words, start = [], [], 0
    for index, part in enumerate(text.split(". ")):
        part = part.rstrip(".") + "."
        sentences.append(Sentence(part, start, start + len(part), 0.25 + index / 2))
        offset = start
        for word in part.replace(".", " .").split():
            offset = text.index(word, offset)
            words.append(Word(word, offset, offset + len(word), index, 0.5 + index / 10))
            offset += len(word)
        start += len(part) + 1
    findings = tuple(ReportFinding(f.name, str(f.status), f.spans, 0.3) for f in label_report(text))
    return Report(
        "r", "s", text, tuple(words), tuple(sentences), findings, "m", "a" * 64, {"beams": 3}, 1.0, "2026-01-01"
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_sentence_is_wrong_and_the_others_stay(seed: int) -> None:
    report = _report()
    made = with_probe(report, "there is a pneumothorax.", seed)
    assert made
    changed, place = made
    assert changed.report_id != report.report_id
    texts = [sentence.text for sentence in changed.sentences]
    inserted = texts.pop(place)
    assert texts == [sentence.text for sentence in report.sentences]
    assert inserted in _WRONG.values()
    assert inserted not in (_WRONG["Cardiomegaly"], _WRONG["Pneumothorax"]), "the report or the reference says so"


@pytest.mark.parametrize("seed", range(20))
def test_the_record_is_consistent_and_names_no_probe(seed: int) -> None:
    report = _report()
    made = with_probe(report, "", seed)
    assert made
    changed, place = made
    assert changed.text == " ".join(sentence.text for sentence in changed.sentences)
    for part in (*changed.sentences, *changed.words):
        assert changed.text[part.start : part.end] == part.text
    assert [word.sentence for word in changed.words] == sorted(word.sentence for word in changed.words)
    assert {word.sentence for word in changed.words} == {0, 1, 2}
    assert {word.probability for word in changed.words} <= {word.probability for word in report.words}
    assert changed.sentences[place].support in {sentence.support for sentence in report.sentences}
    assert [finding.name for finding in changed.findings] == [*FINDINGS]
    statuses = {finding.name: finding.status for finding in changed.findings}
    assert {f.name: str(f.status) for f in label_report(changed.text)} == statuses
    assert changed.decoding == report.decoding


def test_every_sentence_asserts_its_finding() -> None:
    for finding, text in _WRONG.items():
        assert {f.name: str(f.status) for f in label_report(text)}[finding] == "present"


def test_the_same_seed_makes_the_same_text() -> None:
    report = _report()
    first, second = with_probe(report, "", 3), with_probe(report, "", 3)
    assert first and second and first[0].text == second[0].text
    assert len({made[0].text for seed in range(20) if (made := with_probe(report, "", seed))}) > 5


def test_a_report_that_says_everything_gets_none() -> None:
    assert with_probe(_report(), " ".join(_WRONG.values()), 0) is None

"""The sentence bank: what is in it, and what a broken sentence is replaced by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rrg.decoding.ngrams import Words, hash_words
from rrg.decoding.recombination import CandidateScorer, recombine
from rrg.decoding.sentence_bank import FILE, SentenceBank, is_whole
from rrg.decoding.sentences import concept_labels, split_sentences
from rrg.errors import InputError
from rrg.labels.findings import FINDINGS

REPORTS = [
    "the heart is normal in size . the lungs are clear .",
    "the heart is normal in size . no pleural effusion .",
    "there is mild cardiomegaly . the lungs are clear .",
    "there is cardiomegaly . there is a small left pleural effusion .",
    "there is a large right pleural effusion . stable cardiomegaly . normal .",
    "there is a 2 cm nodule . there is xxxx opacity . the",
]


def words(text: str) -> Words:
    return tuple(text.split())


@pytest.fixture
def bank() -> SentenceBank:
    return SentenceBank.of([text.split() for text in REPORTS])


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("the lungs are clear .", True),
        ("cardiomegaly .", True),  # one word that says something
        ("normal .", False),
        ("clear lungs", False),  # not ended
        ("stable cardiomegaly .", False),
        ("there is a 2 cm nodule .", False),
        ("there is xxxx opacity .", False),
        ("there is <unk> opacity .", False),
        ("the patient has a pacemaker .", False),
        ("is not diffuse .", False),
        ("degenerative changes of the the spine .", False),  # broken forms
        ("there low lung volumes .", False),
        ("the heart is slightly large .", True),
        ("no knee joint effusion .", False),  # another part of the body
        ("subcutaneous emphysema in the chest wall and neck .", True),
        (("no " * 30) + ".", False),
    ],
)
def test_only_sentences_that_can_stand_in_any_report_are_in_a_bank(sentence: str, expected: bool) -> None:
    assert is_whole(words(sentence)) is expected


def test_sentences_that_cannot_stand_alone_are_not_in_a_bank(bank: SentenceBank) -> None:
    assert words("the heart is normal in size .") in bank
    for sentence in ("normal .", "stable cardiomegaly .", "there is a 2 cm nodule ."):
        assert words(sentence) not in bank


def test_only_trigrams_of_statements_are_kept(bank: SentenceBank) -> None:
    assert hash_words(words(". there is")) in bank.trigrams
    for trigram in (". the heart", "the lungs are", "is normal in"):
        assert hash_words(words(trigram)) not in bank.trigrams


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("the lungs are clear .", "the lungs are clear ."),  # in the bank
        ("the heart is cardiomegaly .", "there is cardiomegaly ."),
        ("mild mild cardiomegaly .", "there is mild cardiomegaly ."),
        ("large right right pleural effusion .", "there is a large right pleural effusion ."),
        ("small right right pleural effusion .", None),  # nobody says "a pleural" nor "small right"
        ("stable cardiomegaly .", "there is cardiomegaly ."),
        ("cardiomegaly and large right pleural effusion .", None),  # which of them is large?
        ("normal .", None),
        ("no effusion pleural is .", None),  # asserts nothing
        ("there is emphysema emphysema .", None),  # no report says it
    ],
)
def test_a_broken_sentence_becomes_a_statement_in_words_of_the_reports(
    bank: SentenceBank, sentence: str, expected: str | None
) -> None:
    assert bank.licensed(words(sentence)) == (() if expected is None else (words(expected),))


def test_further_reports_license_more(bank: SentenceBank) -> None:
    broken, new = words("emphysema there is emphysema ."), words("there is emphysema .")
    larger = bank.extended([new])
    assert new in larger and larger.licensed(broken) == (new,)
    assert words("the lungs are clear .") in larger
    assert bank.licensed(broken) == ()


def test_a_bank_is_the_same_after_saving(bank: SentenceBank, tmp_path: Path) -> None:
    bank.save_pretrained(tmp_path)
    read = SentenceBank.from_pretrained(tmp_path)
    assert (read.sentences, read.trigrams) == (bank.sentences, bank.trigrams)
    first = (tmp_path / FILE).read_bytes()
    SentenceBank.of(report.split() for report in reversed(REPORTS)).save_pretrained(tmp_path)
    assert (tmp_path / FILE).read_bytes() == first
    assert "cardiomegaly" not in first.decode("latin-1")
    (tmp_path / FILE).write_bytes(first[:-8])
    with pytest.raises(InputError, match="cannot be read"):
        SentenceBank.from_pretrained(tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(InputError, match="there is no"):
        SentenceBank.from_pretrained(tmp_path)


def test_a_report_has_sentences_of_the_bank_alone_and_keeps_its_findings(bank: SentenceBank) -> None:
    broken = words("the heart is heart in size . there is a left left effusion pleural . normal .")
    samples = [broken, broken, words("stable cardiomegaly . the lungs are clear ."), words(REPORTS[3])]
    scores = np.full(len(FINDINGS) - 1, 1.0)
    without = recombine(samples, CandidateScorer(samples, 1.2, scores))
    report = recombine(samples, CandidateScorer(samples, 1.2, scores), bank)
    assert not all(sentence in bank for sentence in split_sentences(without)), "nothing was broken: this proves nothing"
    assert all(bank.licensed(sentence) == (sentence,) for sentence in split_sentences(report))
    asserted = np.stack([concept_labels(sentence) for sentence in split_sentences(report)]).max(0)
    assert asserted[FINDINGS.index("Pleural Effusion")] == 1
    assert asserted[FINDINGS.index("Cardiomegaly")] == 1


def test_statements_of_one_sentence_are_offered_one_by_one(bank: SentenceBank) -> None:
    """Otherwise a report would say again what another sentence says."""
    larger = bank.extended([words("there is a pleural effusion ."), words("there is a hiatal hernia .")])
    broken = ("hiatal hernia hernia and there is there is a pleural effusion effusion .", "cardiomegaly and effusion .")
    samples = [*map(words, broken)] * 2
    report = recombine(samples, CandidateScorer(samples, 1.2, np.full(len(FINDINGS) - 1, 1.0)), larger)
    said = list(split_sentences(report))
    assert sorted(said) == sorted(set(said))
    assert words("there is a pleural effusion .") in said and words("there is cardiomegaly .") in said


def test_an_empty_bank_licenses_nothing() -> None:
    assert SentenceBank().licensed(words("there is cardiomegaly .")) == ()


def test_without_a_bank_comparisons_alone_are_refused() -> None:
    samples = [words("stable cardiomegaly . the lungs is clear .")] * 3
    report = recombine(samples, CandidateScorer(samples, 1.2, np.zeros(13)))
    assert report == words("the lungs is clear .")

"""Generated ids to the text, words and sentences of a report."""

from __future__ import annotations

import numpy as np
import pytest

from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.support import Support
from rrg.inference.support_calibration import Logistic, SupportCalibration
from rrg.inference.writing import make_report, read_ids
from rrg.labels.findings import FINDINGS

TEXT = "There is mild cardiomegaly. No pleural effusion."


@pytest.fixture(scope="module")
def byte_pairs() -> ReportTokenizer:
    """Single bytes but for frequent words, so that rare words take several ids."""
    return ReportTokenizer.build_byte_pairs(["there is no pleural effusion ."] * 5, 300)


def test_the_probability_of_a_word_is_the_product_of_those_of_its_byte_pairs(byte_pairs: ReportTokenizer) -> None:
    ids, word_of_id = byte_pairs.encode_words(TEXT.lower().replace(".", " .").split())
    probabilities = np.random.default_rng(0).uniform(0.5, 0.9, len(ids)).astype(np.float32)
    content = read_ids(byte_pairs, [*ids, 0], np.append(probabilities, 1.0))
    assert content.text == TEXT
    several = 0
    for i, word in enumerate(content.words):
        own = [float(p) for p, of in zip(probabilities, word_of_id, strict=True) if of == i]
        assert word.probability == pytest.approx(np.prod(own), rel=1e-5)
        several += len(own) > 1
    assert several >= 2


def test_words_and_sentences_are_slices_of_the_text(byte_pairs: ReportTokenizer) -> None:
    ids, _ = byte_pairs.encode_words(["the", "heart", "is", "large", ".", "no", "effusion"])
    content = read_ids(byte_pairs, ids, np.ones(len(ids)))
    assert [content.text[s.start : s.end] for s in content.sentences] == ["The heart is large.", "No effusion"]
    assert [content.text[w.start : w.end] for w in content.words] == [w.text for w in content.words]
    assert [w.sentence for w in content.words] == [0, 0, 0, 0, 0, 1, 1]


def test_each_sentence_has_its_support(byte_pairs: ReportTokenizer) -> None:
    ids, _ = byte_pairs.encode_words(["the", "heart", "is", "large", ".", "no", "effusion"])
    content = read_ids(byte_pairs, ids, np.ones(len(ids)), Support((0.25, 0.5), 0.125))
    assert [(s.text, s.support) for s in content.sentences] == [("The heart is large.", 0.25), ("No effusion", 0.5)]
    report = make_report(content, np.zeros(14), "study", "model", "0" * 64, {}, 0.5)
    assert (report.sentences, report.agreement) == (content.sentences, 0.125)


def test_each_sentence_with_a_finding_has_its_probability(byte_pairs: ReportTokenizer) -> None:
    ids, _ = byte_pairs.encode_words(
        ["the", "heart", "is", "large", ".", "no", "effusion", ".", "the", "trachea", "is", "midline", "."]
    )
    calibration = SupportCalibration("0" * 64, Logistic(0.0, 1.0), Logistic(0.0, 0.0), 100)
    content = read_ids(byte_pairs, ids, np.ones(len(ids)), Support((0.25, 0.75, 0.75), 0.5), calibration)
    assert [s.probability for s in content.sentences] == [pytest.approx(0.25), pytest.approx(0.5), None]


def test_a_record_has_the_labels_of_its_text_and_the_probabilities_of_the_classifier(
    byte_pairs: ReportTokenizer,
) -> None:
    ids, _ = byte_pairs.encode_words(TEXT.lower().replace(".", " .").split())
    content = read_ids(byte_pairs, ids, np.ones(len(ids)))
    probabilities = np.arange(14) / 14
    report = make_report(content, probabilities, "study", "model", "0" * 64, {"num_beams": 3}, 0.5)
    assert [finding.name for finding in report.findings] == list(FINDINGS)
    assert [finding.probability for finding in report.findings] == probabilities.tolist()
    status = {finding.name: finding.status for finding in report.findings}
    assert (status["Cardiomegaly"], status["Pleural Effusion"]) == ("present", "absent")
    other = make_report(content, probabilities, "study", "model", "0" * 64, {}, 0.5)
    assert report.report_id != other.report_id
    assert report.created_at.endswith("+00:00")

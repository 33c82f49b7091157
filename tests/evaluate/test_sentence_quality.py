"""Counts of the faults of sentences: broken forms, unseen trigrams, comparisons."""

from __future__ import annotations

from rrg.data.text import clean_iu_xray
from rrg.evaluate.sentence_quality import cleaned_sentences, sentence_quality, trigrams
from rrg.labels.broken_forms import BROKEN_FORMS, LONE_WORD

TRAIN = ["The heart is normal in size. The lungs are clear.", "No pleural effusion. Cardiomegaly."]


def test_the_faults_of_a_system_are_counted() -> None:
    known = trigrams(TRAIN, clean_iu_xray)
    texts = ["The heart is normal in size. Normal. The heart is clear. Stable cardiomegaly.", "No pleural effusion."]
    quality = sentence_quality(texts, clean_iu_xray, known)
    assert quality.sentences == 5
    assert quality.unseen_trigrams == 3  # all but the first and the last
    assert quality.unseen_share == 3 / 5
    assert quality.comparisons == 1
    assert quality.broken == {**dict.fromkeys(BROKEN_FORMS, 0), LONE_WORD: 1}


def test_train_reports_have_no_unseen_trigram() -> None:
    quality = sentence_quality(TRAIN, clean_iu_xray, trigrams(TRAIN, clean_iu_xray))
    assert (quality.sentences, quality.unseen_trigrams) == (4, 0)
    assert sentence_quality(TRAIN, clean_iu_xray, frozenset()).unseen_share is None


def test_trigrams_have_the_ends_of_a_sentence() -> None:
    """A sentence that is cut off has an unseen trigram, though all of its words follow each other somewhere."""
    known = trigrams(TRAIN, clean_iu_xray)
    assert sentence_quality(["The heart is normal."], clean_iu_xray, known).unseen_trigrams == 1
    assert [*cleaned_sentences("The heart. Lungs", clean_iu_xray)] == [("the", "heart"), ("lungs",)]

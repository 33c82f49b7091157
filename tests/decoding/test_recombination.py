"""MBR decoding over recombined sentences: the scores are right, reports are coherent and local optima."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from pycocoevalcap.rouge.rouge import Rouge

from rrg.decoding.ngrams import NgramFrequencies, Words
from rrg.decoding.recombination import CandidateScorer, recombine
from rrg.decoding.sentences import is_coherent, join_sentences, split_sentences
from rrg.labels.comparisons import has_comparison
from rrg.labels.findings import FINDINGS, Status, label_concepts, label_report

NO_SCORES = np.zeros(13)
SENTENCES = [
    "the heart is normal in size .",
    "heart size is normal .",
    "the heart is enlarged .",
    "the lungs are clear .",
    "no focal consolidation .",
    "no pleural effusion or pneumothorax .",
    "no pneumothorax .",
    "there is a small left pleural effusion .",
    "degenerative changes of the spine .",
    "no acute fracture .",
    "compared with the prior study .",
    "unremarkable .",
    "mild cardiomegaly and a small left pleural effusion .",
]


def words(text: str) -> Words:
    return tuple(text.split())


def decoded(samples: list[Words], recall_weight: float, finding_scores: np.ndarray) -> Words:
    return recombine(samples, CandidateScorer(samples, recall_weight, finding_scores))


def random_samples(seed: int) -> list[Words]:
    """Reports of one to six sentences, the last of which may lack its full stop."""
    generator = np.random.default_rng(seed)
    chosen = [generator.choice(len(SENTENCES), generator.integers(1, 7), replace=False) for _ in range(9)]
    samples = [words(" ".join(SENTENCES[i] for i in each)) for each in chosen]
    return [sample[:-1] if i % 4 == 0 else sample for i, sample in enumerate(samples)]


def score_for(finding: str, score: float) -> np.ndarray:
    scores = NO_SCORES.copy()
    scores[FINDINGS.index(finding)] = score
    return scores


def test_the_report_of_most_samples_is_chosen() -> None:
    normal, clear, other = words(SENTENCES[0] + " " + SENTENCES[3]), words(SENTENCES[3]), words(SENTENCES[7])
    assert decoded([other, normal, normal, clear], 1.2, NO_SCORES) == normal


def test_sentences_of_several_samples_are_recombined() -> None:
    heart, lungs, spine = (words(SENTENCES[i]) for i in (0, 3, 8))
    samples = [(*heart, "zebra"), (*lungs, *spine), (*heart, *lungs), (*heart, *spine), (*heart, *lungs, *spine, "x")]
    assert decoded(samples, 1.2, NO_SCORES) == (*heart, *lungs, *spine)


@pytest.mark.parametrize(("score", "is_asserted"), [(1.0, True), (-1.0, False)])
def test_a_finding_is_asserted_where_its_score_is_above_0(score: float, is_asserted: bool) -> None:
    effusion, clear, normal = words(SENTENCES[7]), words(SENTENCES[3]), words(SENTENCES[0] + " " + SENTENCES[3])
    report = decoded([effusion, clear, normal], 1.2, score_for("Pleural Effusion", score))
    assert ("effusion" in report) is is_asserted


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([0, 3, 5], True),
        ([0, 2], False),  # normal and enlarged
        ([7, 5], False),  # an effusion and none
        ([12, 5], False),  # the same, where each mentions something else too
        ([0, 1], False),  # normal, twice
        ([5, 6], False),  # the second mentions nothing new
        ([0, 10, 11], True),  # no concept that the labeler knows
        ([], True),
    ],
)
def test_a_coherent_report_neither_contradicts_nor_repeats_itself(chosen: list[int], expected: bool) -> None:
    assert is_coherent(tuple(words(SENTENCES[i]) for i in chosen)) is expected


def test_a_finding_with_a_high_score_makes_no_contradiction() -> None:
    normal, enlarged = words(SENTENCES[0]), words(SENTENCES[2])
    samples = [(*normal, *words(SENTENCES[3])), (*normal, *words(SENTENCES[8])), enlarged]
    assert enlarged in split_sentences(decoded(samples, 1.2, score_for("Cardiomegaly", 1.0)))
    assert normal not in split_sentences(decoded(samples, 1.2, score_for("Cardiomegaly", 1.0)))


def test_leave_one_out_ignores_the_similarity_of_a_sample_to_itself() -> None:
    scorer = CandidateScorer([("a", "."), ("b", ".")], 1.2, NO_SCORES)
    samples = [(("a", "."),), (("b", "."),)]
    full_stop_alone = 0.5
    np.testing.assert_allclose(scorer.score(samples, leave_one_out=True), full_stop_alone)
    np.testing.assert_allclose(scorer.score(samples), (1 + full_stop_alone) / 2)


def test_a_higher_recall_weight_gives_a_longer_report() -> None:
    samples = [words(SENTENCES[3]), words(" ".join(SENTENCES[i] for i in (0, 3, 8, 9)))]
    short, long = (decoded(samples, weight, NO_SCORES) for weight in (0.2, 5.0))
    assert (short, long) == (samples[0], samples[1])


def test_cider_prefers_rare_sentences() -> None:
    common, rare, lungs = words(SENTENCES[5]), words(SENTENCES[8]), words(SENTENCES[3])
    samples = [(*common, *lungs), (*rare, *lungs), (*common, *lungs), (*rare, *lungs)]
    frequencies = NgramFrequencies.of([common] * 20 + [lungs] * 20 + [rare])
    without, with_cider = (
        CandidateScorer(samples, 1.2, NO_SCORES, weight, frequencies).score([(common, lungs), (rare, lungs)])
        for weight in (0, 1)
    )
    gain = with_cider - without
    np.testing.assert_allclose(*without)
    assert gain[1] > gain[0] > 0
    zero, high = (CandidateScorer(samples, 1.2, NO_SCORES, weight, frequencies) for weight in (0.0, 9.0))
    assert recombine(samples, zero) == decoded(samples, 1.2, NO_SCORES)
    assert rare in split_sentences(recombine(samples, high))


def test_cider_without_document_frequencies_is_an_error() -> None:
    with pytest.raises(ValueError, match="no document frequencies"):
        CandidateScorer([words(SENTENCES[0])], 1.2, NO_SCORES, cider_weight=0.5)


def test_no_report_is_longer_than_the_longest_sample() -> None:
    heart, lungs = words(SENTENCES[1]), words(SENTENCES[3])
    assert decoded([heart, lungs], 5.0, NO_SCORES) in (heart, lungs)
    assert set(split_sentences(decoded([heart, lungs, (*heart, *lungs)], 5.0, NO_SCORES))) == {heart, lungs}


def test_a_sentence_without_a_concept_needs_several_samples() -> None:
    heart, stray = words(SENTENCES[0]), words(SENTENCES[11])
    assert decoded([(*heart, *stray), heart, heart], 1.2, NO_SCORES) == heart
    assert decoded([(*heart, *stray)] * 3, 1.2, NO_SCORES) == (*heart, *stray)


def test_without_a_complete_sentence_the_report_is_one_of_the_samples() -> None:
    assert decoded([("zebra",), ("horse", "zebra"), ("horse",)], 1.2, NO_SCORES) == ("horse", "zebra")
    assert decoded([()], 1.2, NO_SCORES) == ()
    assert decoded([(), ()], 1.2, NO_SCORES) == ()


@pytest.mark.parametrize("seed", range(20))
def test_no_change_of_one_sentence_increases_the_score(seed: int) -> None:
    samples = random_samples(seed)
    finding_scores = np.random.default_rng(seed).normal(0, 0.1, 13)
    report = tuple(split_sentences(decoded(samples, 1.2, finding_scores)))
    counts = Counter(sentence for sample in samples for sentence in set(split_sentences(sample)))

    def statuses(sentence: Words) -> list[Status]:
        return [finding.status for finding in label_concepts(" ".join(sentence))]

    def is_allowed(sentence: Words) -> bool:
        if sentence[-1] != "." or has_comparison(" ".join(sentence)):
            return False
        return counts[sentence] > 1 or set(statuses(sentence)) != {Status.BLANK}

    def is_coherent(report: tuple[Words, ...]) -> bool:
        of_each = [{i: s for i, s in enumerate(statuses(one)) if s != Status.BLANK} for one in report]
        for i, own in enumerate(of_each):
            others = [other for j, other in enumerate(of_each) if j != i]
            if own and all(any(key in other for other in others) for key in own):
                return False
            for other in others:
                if any((own[key] == Status.ABSENT) != (other[key] == Status.ABSENT) for key in own.keys() & other):
                    return False
        return True

    def score(report: tuple[Words, ...]) -> float:
        text = " ".join(join_sentences(report))
        asserted = {
            i
            for sentence in report
            for i, finding in enumerate(label_report(" ".join(sentence))[:13])
            if finding.status in (Status.PRESENT, Status.UNCERTAIN)
        }
        rouge = np.mean([Rouge().calc_score([text], [" ".join(sample)]) for sample in samples])
        return float(rouge + sum(finding_scores[i] for i in asserted))

    longest = max(map(len, samples))
    assert all(map(is_allowed, report))
    assert is_coherent(report)
    assert len(join_sentences(report)) <= longest
    changed = [report[:i] + report[i + 1 :] for i in range(len(report)) if len(report) > 1]
    for sentence in {sentence for sentence in counts if is_allowed(sentence)} - set(report):
        changed += [(*report[:i], sentence, *report[i + 1 :]) for i in range(len(report))]
        changed += [(*report[:i], sentence, *report[i:]) for i in range(len(report) + 1)]
    allowed = [other for other in changed if len(join_sentences(other)) <= longest and is_coherent(other)]
    assert max(map(score, allowed)) <= score(report) + 1e-8


def test_split_sentences_loses_no_word() -> None:
    assert list(split_sentences(words("a b . c ."))) == [("a", "b", "."), ("c", ".")]
    assert list(split_sentences(words("a . b c"))) == [("a", "."), ("b", "c")]
    assert list(split_sentences(())) == []

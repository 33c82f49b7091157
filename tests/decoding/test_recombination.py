"""The report that samples agree on: worth as ROUGE-L has it, coherent, and no single change makes it better."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from pycocoevalcap.rouge.rouge import Rouge

from rrg.decoding.ngrams import NgramFrequencies, Words
from rrg.decoding.recombination import Worth, agree, is_coherent, joined, sentences
from rrg.labels.findings import FINDINGS, Status, label_concepts, label_report

NOTHING = np.zeros(13)
SAID = [
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


def agreed(samples: list[Words], recall_weight: float, evidence: np.ndarray) -> Words:
    return agree(samples, Worth(samples, recall_weight, evidence))


def random_samples(seed: int) -> list[Words]:
    """Reports of one to six sentences, the last of which may be broken off."""
    generator = np.random.default_rng(seed)
    chosen = [generator.choice(len(SAID), generator.integers(1, 7), replace=False) for _ in range(9)]
    samples = [words(" ".join(SAID[i] for i in each)) for each in chosen]
    return [sample[:-1] if i % 4 == 0 else sample for i, sample in enumerate(samples)]


def evidence_for(finding: str, worth: float) -> np.ndarray:
    evidence = NOTHING.copy()
    evidence[FINDINGS.index(finding)] = worth
    return evidence


def test_what_most_samples_say_is_written() -> None:
    normal, clear, other = words(SAID[0] + " " + SAID[3]), words(SAID[3]), words(SAID[7])
    assert agreed([other, normal, normal, clear], 1.2, NOTHING) == normal


def test_sentences_of_several_samples_are_put_together() -> None:
    heart, lungs, spine = (words(SAID[i]) for i in (0, 3, 8))
    samples = [(*heart, "zebra"), (*lungs, *spine), (*heart, *lungs), (*heart, *spine), (*heart, *lungs, *spine, "x")]
    assert agreed(samples, 1.2, NOTHING) == (*heart, *lungs, *spine)


@pytest.mark.parametrize(("worth", "is_asserted"), [(1.0, True), (-1.0, False)])
def test_a_finding_is_asserted_where_it_is_believed_in(worth: float, is_asserted: bool) -> None:
    effusion, clear, normal = words(SAID[7]), words(SAID[3]), words(SAID[0] + " " + SAID[3])
    written = agreed([effusion, clear, normal], 1.2, evidence_for("Pleural Effusion", worth))
    assert ("effusion" in written) is is_asserted


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([0, 3, 5], True),
        ([0, 2], False),  # normal and enlarged
        ([7, 5], False),  # an effusion and none
        ([12, 5], False),  # the same, where each says something else too
        ([0, 1], False),  # normal, twice
        ([5, 6], False),  # the second says nothing new
        ([0, 10, 11], True),  # nothing that the labeler knows
        ([], True),
    ],
)
def test_a_coherent_report_neither_contradicts_nor_repeats_itself(said: list[int], expected: bool) -> None:
    assert is_coherent(tuple(words(SAID[i]) for i in said)) is expected


def test_even_a_finding_that_is_much_believed_in_makes_no_contradiction() -> None:
    normal, enlarged = words(SAID[0]), words(SAID[2])
    samples = [(*normal, *words(SAID[3])), (*normal, *words(SAID[8])), enlarged]
    assert enlarged in sentences(agreed(samples, 1.2, evidence_for("Cardiomegaly", 1.0)))
    assert normal not in sentences(agreed(samples, 1.2, evidence_for("Cardiomegaly", 1.0)))


def test_a_sample_is_no_witness_for_itself() -> None:
    worth = Worth([("a", "."), ("b", ".")], 1.2, NOTHING)
    own = [(("a", "."),), (("b", "."),)]
    of_the_full_stop_alone = 0.5
    np.testing.assert_allclose(worth.of(own, of_samples=True), of_the_full_stop_alone)
    np.testing.assert_allclose(worth.of(own), (1 + of_the_full_stop_alone) / 2)


def test_more_weight_of_recall_writes_more() -> None:
    samples = [words(SAID[3]), words(" ".join(SAID[i] for i in (0, 3, 8, 9)))]
    short, long = (agreed(samples, weight, NOTHING) for weight in (0.2, 5.0))
    assert (short, long) == (samples[0], samples[1])


def test_cider_prefers_what_few_reports_say() -> None:
    common, rare, lungs = words(SAID[5]), words(SAID[8]), words(SAID[3])
    samples = [(*common, *lungs), (*rare, *lungs), (*common, *lungs), (*rare, *lungs)]
    frequencies = NgramFrequencies.of([common] * 20 + [lungs] * 20 + [rare])
    without, with_cider = (
        Worth(samples, 1.2, NOTHING, weight, frequencies).of([(common, lungs), (rare, lungs)]) for weight in (0, 1)
    )
    gain = with_cider - without
    np.testing.assert_allclose(*without)
    assert gain[1] > gain[0] > 0
    assert agree(samples, Worth(samples, 1.2, NOTHING, 0.0, frequencies)) == agreed(samples, 1.2, NOTHING)
    assert rare in sentences(agree(samples, Worth(samples, 1.2, NOTHING, 9.0, frequencies)))


def test_cider_is_never_left_out_in_silence() -> None:
    with pytest.raises(ValueError, match="no frequencies"):
        Worth([words(SAID[0])], 1.2, NOTHING, cider_weight=0.5)


def test_no_report_is_longer_than_the_longest_sample() -> None:
    heart, lungs = words(SAID[1]), words(SAID[3])
    assert agreed([heart, lungs], 5.0, NOTHING) in (heart, lungs)
    assert set(sentences(agreed([heart, lungs, (*heart, *lungs)], 5.0, NOTHING))) == {heart, lungs}


def test_a_stray_word_is_written_only_where_several_samples_have_it() -> None:
    heart, stray = words(SAID[0]), words(SAID[11])
    assert agreed([(*heart, *stray), heart, heart], 1.2, NOTHING) == heart
    assert agreed([(*heart, *stray)] * 3, 1.2, NOTHING) == (*heart, *stray)


def test_without_a_whole_sentence_one_of_the_samples_is_written() -> None:
    assert agreed([("zebra",), ("horse", "zebra"), ("horse",)], 1.2, NOTHING) == ("horse", "zebra")
    assert agreed([()], 1.2, NOTHING) == ()
    assert agreed([(), ()], 1.2, NOTHING) == ()


@pytest.mark.parametrize("seed", range(20))
def test_no_single_change_makes_the_report_worth_more(seed: int) -> None:
    samples = random_samples(seed)
    evidence = np.random.default_rng(seed).normal(0, 0.1, 13)
    written = agreed(samples, 1.2, evidence)
    report = tuple(sentences(written))
    said = Counter(sentence for sample in samples for sentence in set(sentences(sample)))

    def statuses(sentence: Words) -> list[Status]:
        return [finding.status for finding in label_concepts(" ".join(sentence))]

    def is_offered(sentence: Words) -> bool:
        return sentence[-1] == "." and (said[sentence] > 1 or set(statuses(sentence)) != {Status.BLANK})

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

    def value(report: tuple[Words, ...]) -> float:
        text = " ".join(joined(report))
        found = {
            i
            for sentence in report
            for i, finding in enumerate(label_report(" ".join(sentence))[:13])
            if finding.status in (Status.PRESENT, Status.UNCERTAIN)
        }
        rouge = np.mean([Rouge().calc_score([text], [" ".join(sample)]) for sample in samples])
        return float(rouge + sum(evidence[i] for i in found))

    longest = max(map(len, samples))
    assert all(map(is_offered, report))
    assert is_coherent(report)
    assert len(written) <= longest
    changed = [report[:i] + report[i + 1 :] for i in range(len(report)) if len(report) > 1]
    for sentence in {sentence for sentence in said if is_offered(sentence)} - set(report):
        changed += [(*report[:i], sentence, *report[i + 1 :]) for i in range(len(report))]
        changed += [(*report[:i], sentence, *report[i:]) for i in range(len(report) + 1)]
    allowed = [other for other in changed if len(joined(other)) <= longest and is_coherent(other)]
    assert max(map(value, allowed)) <= value(report) + 1e-8


def test_the_sentences_of_a_report_are_all_of_it() -> None:
    assert list(sentences(words("a b . c ."))) == [("a", "b", "."), ("c", ".")]
    assert list(sentences(words("a . b c"))) == [("a", "."), ("b", "c")]
    assert list(sentences(())) == []

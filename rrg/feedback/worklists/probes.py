"""Reports with a sentence that is known to be wrong, to measure the attention of readers."""

from __future__ import annotations

import random
from dataclasses import replace
from uuid import uuid4

from rrg.labels.findings import Status, label_report
from rrg.report import Report, ReportFinding, Sentence, Word

_WRONG = {
    "Cardiomegaly": "the heart is moderately enlarged.",
    "Pleural Effusion": "there is a moderate left pleural effusion.",
    "Pneumothorax": "there is a small right pneumothorax.",
    "Consolidation": "there is consolidation in the right lower lobe.",
    "Edema": "there is moderate pulmonary edema.",
    "Lung Lesion": "there is a nodule in the left upper lobe.",
    "Fracture": "there is an acute fracture of the right sixth rib.",
}


def with_probe(report: Report, reference: str, seed: int) -> tuple[Report, int] | None:
    """Insert a sentence that asserts a finding which neither the report nor the reference mentions or which both deny.

    The result is a report with a new id. Nothing in it says that it was changed: the words of the sentence get the
    probabilities of other words, and the sentence the support of another one.

    Args:
        report: the generated report.
        reference: the radiologist's report on the study, which says what would be wrong.
        seed: chooses the finding and the place.

    Returns:
        The report and the index of the inserted sentence, or None when every finding would be right.
    """
    generator = random.Random(seed)
    asserted = {
        finding.name
        for text in (report.text, reference)
        for finding in label_report(text)
        if finding.status in (Status.PRESENT, Status.UNCERTAIN)
    }
    wrong = [text for finding, text in _WRONG.items() if finding not in asserted]
    if not wrong or not report.sentences:
        return None
    place = generator.randint(0, len(report.sentences))
    sentence = generator.choice(wrong)
    if report.text[:1].isupper():
        sentence = sentence[0].upper() + sentence[1:]
    return _inserted(report, place, sentence, generator), place


def _inserted(report: Report, place: int, sentence: str, generator: random.Random) -> Report:
    texts = [s.text for s in report.sentences]
    texts.insert(place, sentence)
    text = " ".join(texts)
    starts = [sum(len(before) + 1 for before in texts[:index]) for index in range(len(texts))]
    supports = [s.support for s in report.sentences]
    supports.insert(place, generator.choice(supports))
    sentences = [
        Sentence(one, start, start + len(one), support)
        for one, start, support in zip(texts, starts, supports, strict=True)
    ]
    words: list[Word] = []
    probabilities = [word.probability for word in report.words] or [0.5]
    for index, old in enumerate([*range(place), None, *range(place, len(report.sentences))]):
        if old is None:
            words += _words(sentence, starts[index], index, probabilities, generator)
            continue
        shift = starts[index] - report.sentences[old].start
        words += [
            replace(word, start=word.start + shift, end=word.end + shift, sentence=index)
            for word in report.words
            if word.sentence == old
        ]
    known = {finding.name: finding.probability for finding in report.findings}
    findings = tuple(
        ReportFinding(finding.name, str(finding.status), finding.spans, known.get(finding.name))
        for finding in label_report(text)
    )
    return replace(
        report, report_id=uuid4().hex, text=text, words=tuple(words), sentences=tuple(sentences), findings=findings
    )


def _words(sentence: str, start: int, index: int, probabilities: list[float], generator: random.Random) -> list[Word]:
    words, offset = [], 0
    for text in sentence.replace(".", " .").split():
        found = sentence.index(text, offset)
        offset = found + len(text)
        words.append(Word(text, start + found, start + offset, index, generator.choice(probabilities)))
    return words

"""Plain statements: they assert what a broken sentence asserts, with its qualifiers, as far as it is licensed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rrg.decoding.ngrams import Words
from rrg.decoding.sentences import concept_labels
from rrg.decoding.statements import NOUNS, WORDS, Noun, Statements, statements


def words(text: str) -> Words:
    return tuple(text.split())


@pytest.fixture(scope="module")
def free() -> Statements:
    return Statements(lambda _: True)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("the heart is cardiomegaly .", "there is cardiomegaly ."),
        ("mildly cardiomegaly heart .", "there is mild cardiomegaly ."),
        ("effusion small small left pleural effusion .", "there is a small left pleural effusion ."),
        ("effusions pleural both trace pleural effusions .", "there are tiny bilateral pleural effusions ."),
        ("opacity right lower lobe opacity is lobe .", "there is right lower lobe opacity ."),
        ("bibasilar atelectasis atelectasis .", "there is bibasilar atelectasis ."),
        ("left and left middle lobe pneumonia .", "there is left pneumonia ."),  # the left lung has no middle lobe
        ("old healed left rib fractures noted .", "there is an old left rib fracture ."),
        ("several rib fractures old the .", "there are old rib fractures ."),
        ("may be is pneumonia may .", "there is possible pneumonia ."),
        ("elevation the right hemidiaphragm elevation .", "there is elevation of the right hemidiaphragm ."),
        ("there is a right effusion and is cardiomegaly .", "there is cardiomegaly . there is a pleural effusion ."),
        ("the lungs are clear .", None),  # asserts nothing
        ("there is no cardiomegaly .", None),
        ("elevation of the hemidiaphragm .", None),  # of which?
        ("elevation of left and right hemidiaphragm .", None),
    ],
)
def test_a_statement_says_what_a_sentence_asserts(free: Statements, sentence: str, expected: str | None) -> None:
    said = [" ".join(statement) for statement in free.instead_of(words(sentence))]
    assert said == ([] if expected is None else [f"{part} ." for part in expected.removesuffix(" .").split(" . ")])


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.singular or noun.plural)
def test_every_statement_of_a_noun_asserts_the_same_and_negates_nothing(noun: Noun) -> None:
    sizes, places = ("small", "mild", "large", "severe"), ("left", "right", "bilateral", "basilar", "upper", "apical")
    said = [frozenset(("left", "possible", "old", *words)) for words in itertools.product(sizes, places)]
    said += [frozenset((place, "several")) for place in places]
    every = {statement for words in said for statement in statements(noun, words)}
    asserted = {tuple(np.flatnonzero(concept_labels(statement) > 0)) for statement in every}
    assert len(asserted) == 1 and asserted != {()}, asserted
    assert not [statement for statement in every if (concept_labels(statement) < 0).any()]
    assert all(WORDS.issuperset(statement) for statement in every)


def test_a_finding_of_every_kind_can_be_stated(free: Statements) -> None:
    findings = (
        *("opacity", "pleural effusion", "pneumothorax", "atelectasis", "pneumonia", "consolidation", "cardiomegaly"),
        *("lung nodule", "lung mass", "scarring", "rib fracture", "pleural thickening", "calcified granuloma"),
        *("pulmonary edema", "hiatal hernia", "scoliosis", "central venous catheter", "enlarged mediastinum"),
    )
    for finding in findings:
        sentence = words(f"is is {finding} .")
        said = free.instead_of(sentence)
        assert said, sentence
        labels = np.stack([concept_labels(statement) for statement in said]).max(0)
        np.testing.assert_array_equal(labels > 0, concept_labels(sentence) > 0, str(said))


def test_qualifiers_that_are_not_licensed_are_left_out() -> None:
    licensed = {words("there is a left pleural effusion ."), words("there is a pleural effusion .")}
    some = Statements(licensed.__contains__)
    assert some.instead_of(words("small left effusion pleural .")) == (words("there is a left pleural effusion ."),)
    assert some.instead_of(words("small right effusion pleural .")) == (words("there is a pleural effusion ."),)
    assert some.instead_of(words("right effusion and cardiomegaly .")) == ()


def test_another_frame_is_taken_where_the_first_is_not_licensed() -> None:
    one = Statements({words("cardiomegaly is noted .")}.__contains__)
    assert one.instead_of(words("heart cardiomegaly .")) == (words("cardiomegaly is noted ."),)

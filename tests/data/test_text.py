"""Cleaning and detokenization. All sentences are invented, except those read from the shared data."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrg.data.text import (
    CLEANERS,
    clean_iu_xray,
    clean_mimic_cxr,
    clean_strict,
    detokenize,
    is_blank,
    split_words,
)

R2GEN_CLEANERS = [clean_iu_xray, clean_mimic_cxr]


@pytest.mark.parametrize("clean", R2GEN_CLEANERS)
def test_r2gen_cleaning_of_an_example(clean) -> None:
    text = "No effusion.. 2. Heart size: normal; x-ray of 2.5 cm"
    assert clean(text) == "no effusion . heart size normal x-ray of 25 cm ."


@pytest.mark.parametrize("clean", R2GEN_CLEANERS)
@pytest.mark.parametrize("character", string.punctuation)
def test_exactly_the_characters_of_r2gen_are_deleted(clean, character: str) -> None:
    deleted = set("\"/\\'" + ".,?;*!%^&_+()" + "[]{}") | {chr(code) for code in range(0x3A, 0x41)}
    expected = "ab" if character in deleted else f"a{character}b"
    assert clean(f"A{character}B") == f"{expected} ."


@pytest.mark.parametrize(
    ("report", "cleaned"),
    [
        ("1. Clear lungs. 2. Normal heart. 3. No effusion.", "clear lungs . normal heart . no effusion ."),
        ("Clear lungs 4. Normal heart 5. No effusion", "clear lungs . normal heart . no effusion ."),
        ("Clear lungs. 6. Normal heart.", "clear lungs . 6 . normal heart ."),
        ("Old fracture of rib 1. The heart is normal.", "old fracture of rib the heart is normal ."),
        ("Scarring/atelectasis, 1.5 cm", "scarringatelectasis 15 cm ."),
        ("XXXX XXXX.", "xxxx xxxx ."),
        ("Clear lungs. . Normal heart.", "clear lungs .  . normal heart ."),
        ("Clear lungs........ Normal heart.", "clear lungs . normal heart ."),
        ("", " ."),
    ],
)
def test_iu_xray_cleaning_has_the_defects_of_r2gen(report: str, cleaned: str) -> None:
    assert clean_iu_xray(report) == cleaned


@pytest.mark.parametrize(
    ("report", "cleaned"),
    [
        ("Clear lungs.\nNormal heart\nsize.", "clear lungs . normal heart size ."),
        ("Compared with ____________, no     change.", "compared with  no change ."),
        ("Clear" + "." * 256 + " Normal.", "clear . normal ."),
        ("Clear lungs.\n2. Normal heart.", "clear lungs . normal heart ."),
    ],
)
def test_mimic_cxr_cleaning_has_the_defects_of_r2gen(report: str, cleaned: str) -> None:
    assert clean_mimic_cxr(report) == cleaned


@pytest.mark.parametrize(
    ("report", "cleaned"),
    [
        ("Scarring/atelectasis, 1.5 cm", "scarring / atelectasis , 1.5 cm ."),
        ("Old fracture of rib 1. The heart is normal.", "old fracture of rib 1 . the heart is normal ."),
        ("1. Clear lungs.\n 2. Normal heart: 1,000 ml, .5 cm", "clear lungs . normal heart : 1,000 ml , .5 cm ."),
        ("The patient's x-ray [___] (PA)?", "the patient's x-ray [ ___ ] ( pa ) ? ."),
        ("Fracture of the rib\n 5. Clear lungs...", "fracture of the rib 5 . clear lungs ."),
        ("", "."),
    ],
)
def test_strict_cleaning_does_not_join_words(report: str, cleaned: str) -> None:
    assert clean_strict(report) == cleaned


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Nd", "Nl", "No", "Cs"])))
def test_strict_cleaning_deletes_no_character(report: str) -> None:
    def marks(text: str) -> str:
        return "".join(text.split()).replace(".", "")

    cleaned = clean_strict(report)
    assert marks(cleaned) == marks(report.lower())
    assert cleaned.split()[-1] == "."


WORD = st.from_regex(r"[a-z]{2,9}(-[a-z]{2,5})?", fullmatch=True)
REPORT_WORDS = st.lists(st.lists(WORD, min_size=1, max_size=8), min_size=1, max_size=5).map(
    lambda sentences: [word for sentence in sentences for word in [*sentence, "."]]
)


@settings(deadline=None)
@given(REPORT_WORDS)
def test_cleaning_inverts_detokenization(words: list[str]) -> None:
    text, _ = detokenize(words)
    for clean in CLEANERS.values():
        assert clean(text).split() == words


@settings(deadline=None)
@given(st.lists(WORD | st.sampled_from([".", ",", "(", ")", "/", "xxxx", "<unk>", "25"])))
def test_spans_cover_all_words_and_are_separated_by_spaces(words: list[str]) -> None:
    text, spans = detokenize(words)
    assert [text[start:end].lower() for start, end in spans] == words
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    assert all(text[end:start] in ("", " ") for end, start in zip(ends, starts, strict=True))


def test_detokenized_text_is_readable_english() -> None:
    cleaned = "the heart ( pa x-ray ) is normal . xxxx seen , 2.5 cm . x-ray"
    text, spans = detokenize(cleaned.split())
    assert text == "The heart (PA x-ray) is normal. XXXX seen, 2.5 cm. X-ray"
    assert spans[:4] == [(0, 3), (4, 9), (10, 11), (11, 13)]
    assert detokenize([]) == ("", [])


def test_cleaning_inverts_detokenization_of_real_reports(shared_data) -> None:
    annotation = json.loads((shared_data / "iu_xray" / "annotation.json").read_text())
    reports = [record["report"] for records in annotation.values() for record in records]
    assert len(reports) > 3000
    for clean in (clean_iu_xray, clean_strict):
        for report in reports:
            words = clean(report).split()
            text, _ = detokenize(words)
            assert clean(text).split() == words


@pytest.mark.parametrize("text", [None, "", " \n", "___", "___. ___", "...", "-", "?!", "\u200b"])
def test_a_text_without_letters_and_digits_is_blank(text: str | None) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["Clear.", "___ lungs", "1", "é"])
def test_a_text_with_a_letter_or_digit_is_not_blank(text: str) -> None:
    assert not is_blank(text)


@settings(deadline=None)
@given(REPORT_WORDS)
def test_splitting_inverts_detokenization(words: list[str]) -> None:
    text, spans = detokenize(words)
    for cleaner in CLEANERS:
        split = split_words(text, cleaner)
        assert [word.text for word in split] == words
        assert [(word.start, word.end) for word in split] == spans


@pytest.mark.parametrize("cleaner", ["iu_xray", "strict"])
def test_splitting_inverts_detokenization_of_real_reports(shared_data, cleaner: str) -> None:
    annotation = json.loads((shared_data / "iu_xray" / "annotation.json").read_text())
    for record in annotation["train"]:
        words = CLEANERS[cleaner](record["report"]).split()
        text, spans = detokenize(words)
        split = split_words(text, cleaner)
        assert [word.text for word in split] == words
        assert [(word.start, word.end) for word in split] == spans


@pytest.mark.parametrize(
    ("text", "cleaner", "expected"),
    [
        ("Heart, normal", "iu_xray", [("heart", "Heart"), ("normal", "normal")]),
        ("(Patient's) COPD...", "iu_xray", [("patients", "Patient's"), ("copd", "COPD"), (".", "...")]),
        ('No "mass." Clear', "iu_xray", [("no", "No"), ("mass", "mass"), (".", "."), ("clear", "Clear")]),
        ("scar/mass; 2.5 cm", "iu_xray", [("scar", "scar"), ("mass", "mass"), ("25", "2.5"), ("cm", "cm")]),
        ("1. Lungs. 2. Heart", "strict", [("lungs", "Lungs"), (".", "."), ("heart", "Heart")]),
        ("1. Lungs. 2. Heart", "iu_xray", [("lungs", "Lungs"), (".", "."), ("heart", "Heart")]),
        ("A, b", "strict", [("a", "A"), (",", ","), ("b", "b")]),
        (" \n", "mimic_cxr", []),
        ("?!", "iu_xray", []),
    ],
)
def test_a_typed_text_is_split_into_words_of_the_vocabulary(text: str, cleaner: str, expected: list) -> None:
    assert [(word.text, text[word.start : word.end]) for word in split_words(text, cleaner)] == expected

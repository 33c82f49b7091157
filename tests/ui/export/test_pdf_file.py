"""The PDF file, read back with another library."""

from __future__ import annotations

import dataclasses
import io
import re
import unicodedata

import numpy as np
import pytest
from pypdf import PdfReader

from rrg.ui.export.pdf_file import pdf
from rrg.ui.export.study import DISCLAIMER


def read(content: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(content), strict=True)


def squeezed(text: str) -> str:
    """Without blanks and places for line breaks, which a reader of PDF guesses; ligatures become letters."""
    return re.sub(r"[\s\u200b]", "", unicodedata.normalize("NFKC", text))


def text_of(content: bytes) -> str:
    return squeezed("".join(page.extract_text() for page in read(content).pages))


def test_every_fact_is_shown_and_can_be_selected(make_export, shown_facts) -> None:
    content = pdf(make_export())
    text = text_of(content)
    assert [fact for fact in shown_facts if squeezed(fact) not in text] == []
    assert sum(len(page.images) for page in read(content).pages) == 4


def test_a_usual_study_is_one_page_of_a4(make_export) -> None:
    pages = read(pdf(make_export())).pages
    assert len(pages) == 1
    assert [float(side) for side in pages[0].mediabox[2:]] == pytest.approx([595.3, 841.9], abs=0.1)


@pytest.mark.parametrize("shape", [(1600, 40), (60, 600)])
def test_a_picture_of_any_shape_stays_on_the_page(make_export, shape: tuple[int, int]) -> None:
    whole = make_export()
    long = dataclasses.replace(whole.radiographs[0], pixels=np.zeros(shape, np.float32))
    assert len(read(pdf(make_export(radiographs=(long, long)))).pages) <= 2


def test_the_disclaimer_is_on_top_and_at_the_bottom_of_each_page(make_export) -> None:
    pages = read(pdf(make_export(corrected=("The lungs are clear. " * 1000)[:20_000]))).pages
    assert len(pages) > 2
    assert [page.extract_text().count(DISCLAIMER) for page in pages] == [2] * len(pages)


def test_a_correction_of_the_largest_length_is_complete(make_export) -> None:
    words = " ".join(f"w{number}" for number in range(4000))[:20_000]
    text = text_of(pdf(make_export(corrected=words)))
    assert [word for word in words.split()[::97] if word not in text] == []
    assert "w3000" in text


def test_a_word_longer_than_a_line_is_broken(make_export) -> None:
    content = pdf(make_export(corrected="ж" * 2000, reader="щ" * 200))
    lines = [line for page in read(content).pages for line in page.extract_text().splitlines()]
    assert max(len(line) for line in lines if "жж" in line or "щщ" in line) < 100
    text = text_of(content)
    assert (text.count("ж"), text.count("щ")) == (4000, 200), "the correction also stands among the changes"


def test_metadata_hold_nothing_of_the_study(make_export) -> None:
    reader = read(pdf(make_export()))
    assert reader.metadata is not None
    told = repr(dict(reader.metadata)) + reader.root_object["/Metadata"].get_data().decode()
    assert reader.metadata.title == "Chest X-ray report"
    for secret in ("CXR-study-7", "Dr Example", "0123456789", "Cough", "heart"):
        assert secret not in told


def test_pages_are_tagged_for_screen_readers_and_pictures_have_a_text(make_export) -> None:
    root = read(pdf(make_export())).root_object
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert "/StructTreeRoot" in root
    assert "/OpenAction" not in root and "/JavaScript" not in root.get("/Names", {})


def test_texts_from_outside_stay_texts(hostile) -> None:
    text = text_of(pdf(hostile))
    for shown in ("<img src=x onerror=alert(1)>", "${x} {{ 7*7 }}", "#show: x => []", "*bold* _em_ @ref <label>"):
        assert squeezed(shown) in text
    assert "longunbroken" * 60 in text


@pytest.mark.parametrize(
    "text",
    ["Größe ≥ 5 µm, Œuvre, łódź", "Καρδιά φυσιολογική", "Сердце не увеличено", "Սիրտ", "გული", "é̄ → ± °"],
)
def test_letters_of_many_scripts_are_shown(make_export, text: str) -> None:
    content = pdf(make_export(text=text, correction=None))
    assert squeezed(text) in text_of(content)
    assert "U+" not in text_of(content)


def test_text_from_right_to_left_is_aligned_to_the_right(make_export) -> None:
    places: dict[str, float] = {}

    def place(text: str, page_matrix: list[float], text_matrix: list[float], *_font) -> None:
        for letter in ("\u05dc", "W"):
            if letter in text:
                places.setdefault(letter, page_matrix[4] + text_matrix[4])

    content = pdf(make_export(text="\u05d4\u05dc\u05d1 \u05ea\u05e7\u05d9\u05df", correction=None, reference=None))
    read(content).pages[0].extract_text(visitor_text=place)
    left, right = places["W"], places["\u05dc"]  # "Written by" begins at the left margin
    assert right > left + 100


def test_a_letter_that_no_font_has_is_written_as_its_code_and_the_page_says_so(make_export) -> None:
    text = text_of(pdf(make_export(text="Heart \U000f1234 \u0378 normal.", correction=None)))
    assert squeezed("Heart [U+F1234] [U+0378] normal.") in text
    assert squeezed("Letters that no font on this machine has are written as their code, such as [U+0378].") in text
    assert squeezed("Letters that no font") not in text_of(pdf(make_export()))


def test_exporting_twice_gives_the_same_file(make_export) -> None:
    assert pdf(make_export()) == pdf(make_export())

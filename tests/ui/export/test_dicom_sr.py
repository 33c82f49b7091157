"""The DICOM structured report, read back and validated."""

from __future__ import annotations

import dataclasses
import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, config
from pydicom.uid import UID

from rrg.ui.export.dicom_sr import dicom_sr
from rrg.ui.export.text import printable


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """pydicom raises for every value that its representation does not allow."""
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.RAISE)
    monkeypatch.setattr(config.settings, "writing_validation_mode", config.RAISE)


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from items(child)


def name(item: Dataset) -> str:
    return item.ConceptNameCodeSequence[0].CodeMeaning


def texts(item: Dataset, concept: str) -> list[str]:
    return [child.TextValue for child in items(item) if child.ValueType == "TEXT" and name(child) == concept]


def sections(document: Dataset) -> list[Dataset]:
    return [item for item in document.ContentSequence if item.ValueType == "CONTAINER" and name(item) == "Findings"]


def test_the_header_says_what_it_is_and_that_nobody_verified_it(make_export) -> None:
    document = read(dicom_sr(make_export()))
    assert document.file_meta.MediaStorageSOPClassUID == document.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.11"
    assert document.file_meta.MediaStorageSOPInstanceUID == document.SOPInstanceUID
    assert (document.Modality, document.VerificationFlag, document.CompletionFlag) == ("SR", "UNVERIFIED", "COMPLETE")
    assert (document.ContentDate, document.ContentTime) == ("20260304", "070809.123456")
    assert document.TimezoneOffsetFromUTC == "+0000"
    title = document.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("43468-8", "LN")
    assert texts(document, "Equivalent Meaning of Concept Name") == ["Chest X-ray Report"]
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "2000"
    assert read(dicom_sr(make_export(correction=None))).CompletionFlag == "PARTIAL"


def test_it_holds_no_patient_data_and_no_private_element(make_export) -> None:
    document = read(dicom_sr(make_export()))
    for empty in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber"):
        assert empty in document and not document[empty].value
    assert not [element.tag for element in document.iterall() if element.tag.is_private]
    assert b"CXR-study-7" not in dicom_sr(make_export())


def test_sentences_of_the_model_come_back(make_export) -> None:
    exported = make_export(correction=None)
    (findings,) = sections(read(dicom_sr(exported)))
    assert texts(findings, "Finding") == [sentence.text for sentence in exported.report.sentences]
    assert texts(findings, "Algorithm Name") == ["r2gen_cmn"]
    assert texts(findings, "Algorithm Version") == [f"Weights SHA-256 {'ab12' * 16}"]
    assert "max_length 60" in texts(findings, "Algorithm Parameters")[0]
    written, note = texts(findings, "Comment")
    assert written == "Written by the model r2gen_cmn, not by a person. Research use only, not a medical device."
    assert note == "The candidates disagree."


def test_a_correction_is_a_section_of_its_own_with_the_reader_as_observer(make_export) -> None:
    document = read(dicom_sr(make_export(corrected="First line.\n\nSecond line.")))
    corrected, written = sections(document)
    assert texts(corrected, "Finding") == ["First line.", "Second line."]
    assert "Dr Example, 2026-03-04 07:08 UTC" in texts(corrected, "Comment")[0]
    assert len(texts(written, "Finding")) == 2
    kind, person = (item for item in corrected.ContentSequence if item.RelationshipType == "HAS OBS CONTEXT")
    assert kind.ConceptCodeSequence[0].CodeMeaning == "Person"
    assert person.PersonName == "Dr Example"
    assert [author.ObserverType for author in document.AuthorObserverSequence] == ["DEV", "PSN"]
    alone = read(dicom_sr(make_export(correction=None)))
    assert [author.ObserverType for author in alone.AuthorObserverSequence] == ["DEV"]
    assert "Person Observer Name" not in {name(item) for item in items(alone)}


def test_the_software_is_the_observer_of_the_document(make_export) -> None:
    document = read(dicom_sr(make_export()))
    observer = [item for item in document.ContentSequence if item.RelationshipType == "HAS OBS CONTEXT"]
    assert observer[0].ConceptCodeSequence[0].CodeMeaning == "Device"
    assert document.AuthorObserverSequence[0].DeviceUID == observer[1].UID
    assert [item.TextValue for item in observer[2:]] == ["rrg", "rrg", "r2gen_cmn"]


def test_indication_and_images_are_described(make_export) -> None:
    exported = make_export()
    document = read(dicom_sr(exported))
    assert texts(document, "Indications for Procedure") == ["Cough for three weeks."]
    described = texts(document, "Procedure Description")
    assert len(described) == 2
    for text, radiograph in zip(described, exported.radiographs, strict=True):
        assert radiograph.sha256 in text and radiograph.provenance.format in text
    without = make_export(study=dataclasses.replace(exported.study, indication=None))
    assert texts(read(dicom_sr(without)), "Indications for Procedure") == []


def test_exporting_twice_gives_the_same_instance_and_another_text_another(make_export) -> None:
    whole = make_export()
    later = make_export(exported_at=whole.exported_at.replace(year=2027))
    assert dicom_sr(later) == dicom_sr(whole)
    other = dataclasses.replace(whole.correction, correction_id="another")
    documents = [
        read(dicom_sr(changed))
        for changed in (whole, make_export(correction=None), make_export(correction=other), make_export(notes=()))
    ]
    assert len({document.SOPInstanceUID for document in documents}) == 4
    assert len({(document.StudyInstanceUID, document.SeriesInstanceUID) for document in documents}) == 1
    uids = (documents[0].SOPInstanceUID, documents[0].StudyInstanceUID, documents[0].SeriesInstanceUID)
    assert all(UID(uid).is_valid and re.fullmatch(r"2\.25\.\d{1,39}", uid) for uid in uids)
    assert len(set(uids)) == 3


def stored(text: str) -> str:
    """A text as the standard stores it: lines end in CR LF, tabs are blanks, blanks at the end do not count."""
    return printable(text).replace("\t", " ").replace("\n", "\r\n").rstrip()


def test_hostile_texts_come_back(hostile, hostile_texts) -> None:
    corrected, written = sections(read(dicom_sr(hostile)))
    assert texts(written, "Finding") == [stored(hostile.report.text)]
    assert [text.rstrip() for text in texts(written, "Comment")[1:]] == [stored(text) for text in hostile_texts]
    paragraphs = [line for line in printable(hostile.correction.text).split("\n") if line.strip()]
    assert [text.rstrip() for text in texts(corrected, "Finding")] == [stored(line) for line in paragraphs]


@pytest.mark.parametrize("text", ["", "x" * 20_000])
def test_an_empty_and_a_long_report_are_valid(make_export, text: str) -> None:
    (findings,) = sections(read(dicom_sr(make_export(text=text, correction=None))))
    assert texts(findings, "Finding") == ([text] if text else [])


def test_an_independent_validator_finds_no_error(make_export, hostile, tmp_path: Path) -> None:
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("needs dciodvfy (Debian package dicom3tools)")
    for exported in (make_export(), make_export(correction=None), make_export(text="", correction=None), hostile):
        file = tmp_path / "report.dcm"
        file.write_bytes(dicom_sr(exported))
        answer = subprocess.run([validator, file], capture_output=True, text=True, errors="replace")
        assert "BasicTextSR" in answer.stderr + answer.stdout
        assert [line for line in (answer.stderr + answer.stdout).splitlines() if line.startswith("Error")] == []

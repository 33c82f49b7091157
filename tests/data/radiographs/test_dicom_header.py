"""Body part and view in a DICOM header."""

from __future__ import annotations

import warnings

import pytest
from pydicom.dataset import Dataset

from rrg.data.radiographs.dicom_header import check_radiograph, text_of, view_of
from rrg.errors import InputError


def header(**tags) -> Dataset:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def code(meaning: str) -> list[Dataset]:
    return [header(CodeValue="1", CodingSchemeDesignator="SCT", CodeMeaning=meaning)]


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"BodyPartExamined": "CHEST"},
        {"BodyPartExamined": ""},
        {"BodyPartExamined": "UNKNOWN", "StudyDescription": "XR THORAX PA"},
        {"BodyPartExamined": "CHEST", "StudyDescription": "Trauma: chest, pelvis, knee"},
        {"BodyPartExamined": "CHESTABDOMEN"},
        {"AnatomicRegionSequence": code("Chest")},
        {"SeriesDescription": "W033 Chest Lat.", "StudyDescription": "Chest and abdomen"},
        {"SeriesDescription": "lat arms up"},
        {"StudyDescription": "Surface marker, forehand; collegue consult"},
        {"Modality": "DX"},
        {"Modality": "DR"},
        {"SeriesDescription": "Poumons face"},
        {"SeriesDescription": "Röntgen Lungenübersicht", "StudyDescription": "Knie"},
        {"StudyDescription": "Tórax de pie"},
        {"StudyDescription": "akciğer grafisi"},
        {"StudyDescription": "Органы грудной полости"},
        {"StudyDescription": "胸部正面"},
        {"SeriesDescription": "Klatka piersiowa PA"},
        {"Modality": "RG"},
    ],
)
def test_chest_or_missing_body_part_passes(tags: dict) -> None:
    assert check_radiograph(header(**tags)) == ()


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ({"Modality": "RF", "BodyPartExamined": "CHEST"}, "modality RF"),
        ({"SeriesDescription": "de face"}, "SeriesDescription"),
        ({"BodyPartExamined": "ZZZ"}, "BodyPartExamined"),
    ],
)
def test_unsure_body_part_is_noted_without_its_text(tags: dict, note: str) -> None:
    (entry,) = check_radiograph(header(**tags))
    assert note in entry and "check that this is a chest" in entry
    assert "ZZZ" not in entry


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"BodyPartExamined": "EXTREMITY"}, "extremity"),
        ({"BodyPartExamined": "TSPINE"}, "tspine"),
        ({"BodyPartExamined": "PELVIS", "StudyDescription": "chest and pelvis"}, "pelvis"),
        ({"BodyPartExamined": "HAND"}, "hand"),
        ({"BodyPartExamined": "FACE"}, "face"),
        ({"SeriesDescription": "Genou face"}, "genou"),
        ({"StudyDescription": "Rachis thoracique"}, "rachis"),
        ({"StudyDescription": "Brustwirbelsäule"}, "brustwirbel"),
        ({"StudyDescription": "Rodilla izquierda"}, "rodilla"),
        ({"StudyDescription": "Ginocchio AP"}, "ginocchi"),
        ({"StudyDescription": "胸椎正侧位"}, "椎"),
        ({"StudyDescription": "рентген коленного сустава"}, "колен"),
        ({"AnatomicRegionSequence": code("Lower leg")}, "lower leg"),
        ({"StudyDescription": "Non-ossifying fibroma of distal tibia"}, "tibia"),
        ({"SeriesDescription": "Thoracic spine AP"}, "spine"),
        ({"SeriesDescription": "Abdomen_AP", "StudyDescription": "Chest and abdomen"}, "abdomen"),
        ({"AcquisitionDeviceProcessingDescription": "[LOWER LEG         ]"}, "lower leg"),
    ],
)
def test_other_body_part_is_refused_and_named(tags: dict, word: str) -> None:
    with pytest.raises(InputError, match=f'not a chest X-ray.*"{word}"'):
        check_radiograph(header(**tags))


def test_error_message_does_not_quote_free_text() -> None:
    with pytest.raises(InputError) as refusal:
        check_radiograph(header(StudyDescription="Mr Doe, knee"))
    assert "doe" not in str(refusal.value).lower()


@pytest.mark.parametrize("text", ["S" * 60_000, "SPINES " * 10_000, "A" * 1100 + " KNEE"])
def test_only_the_beginning_of_a_long_text_is_read(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_radiograph(header(SeriesDescription=text))
        assert len(text_of(header(SeriesDescription=text), "SeriesDescription")) <= 1024


@pytest.mark.parametrize(
    ("tags", "view"),
    [
        ({}, "unknown"),
        ({"ViewPosition": "PA"}, "frontal"),
        ({"ViewPosition": "AP"}, "frontal"),
        ({"ViewPosition": "AP SUPINE"}, "frontal"),
        ({"ViewPosition": "LL"}, "lateral"),
        ({"ViewPosition": "RL"}, "lateral"),
        ({"ViewPosition": "LATERAL"}, "lateral"),
        ({"ViewPosition": "LLD"}, "unknown"),
        ({"ViewPosition": "RAO", "SeriesDescription": "PA"}, "unknown"),
        ({"ViewCodeSequence": code("postero-anterior")}, "frontal"),
        ({"ViewCodeSequence": code("left lateral")}, "lateral"),
        ({"PatientOrientation": ["L", "F"]}, "frontal"),
        ({"PatientOrientation": ["A", "F"]}, "lateral"),
        ({"PatientOrientation": ["P", "FL"]}, "lateral"),
        ({"PatientOrientation": ["A", "L"]}, "unknown"),
        ({"PatientOrientation": "", "SeriesDescription": "Chest PA"}, "frontal"),
        ({"SeriesDescription": "W033 Chest Lat."}, "lateral"),
        ({"SeriesDescription": "Chest PA and lateral"}, "unknown"),
        ({"SeriesDescription": "left lateral decubitus"}, "unknown"),
        ({"ViewPosition": "PA", "SeriesDescription": "lateral"}, "frontal"),
        ({"SeriesDescription": "Thorax de face"}, "frontal"),
        ({"SeriesDescription": "Thorax profil"}, "lateral"),
    ],
)
def test_view_of_header(tags: dict, view: str) -> None:
    assert view_of(header(**tags)) == view

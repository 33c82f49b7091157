"""An exported study as a DICOM Basic Text SR, for picture archives.

The content follows TID 2000, Basic Diagnostic Imaging Report (PS3.16). The observer of the document is the software;
a correction has its own section, with the reader as observer. The file holds no patient data: the attributes of the
patient that the standard requires are empty, and the archive that receives the file fills them.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator

from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian

from rrg.ui.export.content import VIEWS, decoding_facts, image_facts, shown_time
from rrg.ui.export.sr_items import CONCEPT_MOD, OBS_CONTEXT, code, container, person, person_name, text, uid
from rrg.ui.export.study import DISCLAIMER, ExportedStudy, utc
from rrg.ui.export.text import printable

TITLE = "Chest X-ray Report"
SOFTWARE = "rrg"
_X_RAY_REPORT = codes.LN.XRayReport
_FINDINGS = codes.LN.Findings
_INDICATIONS = codes.LN.IndicationsForProcedure
_PROCEDURES = codes.LN.CurrentProcedureDescriptions
_ENGLISH = Code("en", "RFC5646", "English")
_DCM = codes.DCM


def dicom_sr(exported: ExportedStudy) -> bytes:
    """Write the study as a DICOM file with one Basic Text SR.

    Equal content gives equal bytes and the same SOP Instance UID; another correction or note gives another instance.
    The study UID follows from the id of the study, the series UID from the id of the report.
    """
    document = container(_X_RAY_REPORT, _root_items(exported), relation=None)
    document.ContentTemplateSequence = [_template()]
    _add_header(document, exported)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = BasicTextSRStorage
    meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset("", document, file_meta=meta, preamble=bytes(128))
    content = io.BytesIO()
    file.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _uid(*parts: object) -> str:
    """The same UID for the same parts, under the root of UUIDs (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(['rrg', *parts])).int}"


def _add_header(document: Dataset, exported: ExportedStudy) -> None:
    report, correction = exported.report, exported.correction
    document.SpecificCharacterSet = "ISO_IR 192"
    document.SOPClassUID = BasicTextSRStorage
    document.SOPInstanceUID = _uid(
        "instance", report.report_id, correction and correction.correction_id, exported.notes, exported.app_version
    )
    document.TimezoneOffsetFromUTC = "+0000"
    # Patient and study: required, and empty because nothing is known of them.
    for empty in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"):
        setattr(document, empty, "")
    for empty in ("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"):
        setattr(document, empty, "")
    document.StudyInstanceUID = _uid("study", report.study_id)
    document.Modality = "SR"
    document.SeriesInstanceUID = _uid("series", report.report_id)
    document.SeriesNumber = 1
    document.SeriesDescription = DISCLAIMER
    document.ReferencedPerformedProcedureStepSequence = []
    document.Manufacturer = SOFTWARE
    document.ManufacturerModelName = _short(report.model)
    document.SoftwareVersions = _short(exported.app_version)
    document.InstanceNumber = 1
    document.PreliminaryFlag = "PRELIMINARY"
    document.CompletionFlag = "PARTIAL" if correction is None else "COMPLETE"
    document.CompletionFlagDescription = "Draft of a model" if correction is None else "Corrected by a reader"
    document.VerificationFlag = "UNVERIFIED"
    document.ContentDate = f"{exported.written_at:%Y%m%d}"
    document.ContentTime = f"{exported.written_at:%H%M%S.%f}"
    document.PerformedProcedureCodeSequence = []
    document.AuthorObserverSequence = list(_authors(exported))


def _authors(exported: ExportedStudy) -> Iterator[Dataset]:
    device = Dataset()
    device.ObserverType = "DEV"
    device.StationName = ""
    device.DeviceUID = _device_uid(exported)
    device.Manufacturer = SOFTWARE
    device.ManufacturerModelName = _short(exported.report.model)
    authors = [device]
    if exported.correction is not None:
        reader = Dataset()
        reader.ObserverType = "PSN"
        reader.PersonName = person_name(printable(exported.correction.reader))
        reader.PersonIdentificationCodeSequence = []
        authors.append(reader)
    for author in authors:
        author.InstitutionName = ""
        author.InstitutionCodeSequence = []
        yield author


def _device_uid(exported: ExportedStudy) -> str:
    return _uid("device", exported.report.model, exported.report.weights_sha256)


def _template() -> Dataset:
    template = Dataset()
    template.MappingResource = "DCMR"
    template.TemplateIdentifier = "2000"
    return template


def _root_items(exported: ExportedStudy) -> Iterator[Dataset]:
    """The content below the title, in the order of TID 2000."""
    report = exported.report
    yield code(_DCM.TargetRegion, codes.SCT.Chest, CONCEPT_MOD)
    yield code(_DCM.LanguageOfContentItemAndDescendants, _ENGLISH, CONCEPT_MOD)
    yield text(_DCM.EquivalentMeaningOfConceptName, TITLE, CONCEPT_MOD)
    yield code(_DCM.ObserverType, _DCM.Device, OBS_CONTEXT)
    yield uid(_DCM.DeviceObserverUID, _device_uid(exported), OBS_CONTEXT)
    yield text(_DCM.DeviceObserverName, SOFTWARE, OBS_CONTEXT)
    yield text(_DCM.DeviceObserverManufacturer, SOFTWARE, OBS_CONTEXT)
    yield text(_DCM.DeviceObserverModelName, printable(report.model), OBS_CONTEXT)
    if indication := printable(exported.study.indication or "").strip():
        yield container(_INDICATIONS, [text(_INDICATIONS, indication)])
    yield container(_PROCEDURES, _procedures(exported))
    if exported.correction is not None:
        yield container(_FINDINGS, _corrected(exported))
    yield container(_FINDINGS, _written(exported))


def _procedures(exported: ExportedStudy) -> Iterator[Dataset]:
    for radiograph in exported.radiographs:
        facts = f"{VIEWS[radiograph.view]} radiograph, {image_facts(radiograph)}; pixels SHA-256 {radiograph.sha256}"
        yield text(_DCM.ProcedureDescription, printable(facts))


def _corrected(exported: ExportedStudy) -> Iterator[Dataset]:
    """The reader's text, one item for each paragraph."""
    correction = exported.correction
    assert correction is not None
    reader = printable(correction.reader)
    yield code(_DCM.ObserverType, _DCM.Person, OBS_CONTEXT)
    yield person(_DCM.PersonObserverName, person_name(reader), OBS_CONTEXT)
    saved = shown_time(utc(correction.saved_at))
    yield text(_DCM.Comment, f"Correction of the model's text below by the reader {reader}, {saved}.")
    for paragraph in printable(correction.text).split("\n"):
        if paragraph.strip():
            yield text(_DCM.Finding, paragraph)


def _written(exported: ExportedStudy) -> Iterator[Dataset]:
    """The model's text, one item for each sentence, with the model that wrote it."""
    report = exported.report
    yield text(_DCM.Comment, printable(f"Written by the model {report.model}, not by a person. {DISCLAIMER}."))
    yield text(_DCM.AlgorithmName, printable(report.model))
    yield text(_DCM.AlgorithmVersion, printable(f"Weights SHA-256 {report.weights_sha256}"))
    yield text(_DCM.AlgorithmParameters, printable(decoding_facts(report) or "none"))
    for note in exported.notes:
        yield text(_DCM.Comment, printable(note))
    for sentence in report.sentences:
        if sentence.text.strip():
            yield text(_DCM.Finding, printable(sentence.text))


def _short(value: str) -> str:
    """A value of VR LO: 64 characters at most, no backslash and no control character."""
    return printable(value).replace("\\", " ").replace("\n", " ").replace("\t", " ")[:64]

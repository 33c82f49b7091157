"""Read the header of a DICOM file: check that it is a chest radiograph, and determine the view."""

from __future__ import annotations

import math
import re

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID

from rrg.data.radiographs.radiograph import View
from rrg.errors import InputError

_MODALITIES = ("CR", "DX", "RG", "")
_IMAGE_CLASSES = ("Computed Radiography", "Digital X-Ray Image", "Secondary Capture")

REGION_TAGS = (
    "BodyPartExamined",
    "AnatomicRegionSequence",
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "StudyDescription",
)
"""Tags that may name the body part, the most specific first."""

_CHEST = re.compile(r"CHEST|THORAX|T[OÓ]RAX|TORACE|\bCXR\b|\bLUNGS?\b|PULMO|\bRIBS?\b")
_OTHER_BODY_PART = re.compile(
    r"\bABDOM\w*|\bKUB\b|\bPELVI[SC]\w*|\bHIPS?\b|\w*SPINE\b|VERTEBRA\w*|\bSACR\w+|\bCOCCYX\b|\bSKULL\b|\bHEAD\b|"
    r"\bFAC(?:E|IAL)\b|\bORBITS?\b|\bSINUS(?:ES)?\b|\bNASAL\b|\bJAW\b|\bMANDIBLE\b|\bMAXILLA\b|\bTEETH\b|\bDENTAL\b|"
    r"\bNECK\b|\bSHOULDERS?\b|\bCLAVIC\w+|\bSCAPULA\b|\bHUMER\w+|\b(?:UPPER|LOWER|FORE)? ?(?:ARM|LEG)\b|\bELBOWS?\b|"
    r"\bULNA\b|\bWRISTS?\b|\bHANDS?\b|\bFINGERS?\b|\bTHUMBS?\b|\bTHIGHS?\b|\bFEMUR\w*|\bKNEES?\b|\bPATELLA\b|"
    r"\bTIBIA\w*|\bFIBULA\w*|\bCALF\b|\bANKLES?\b|\bFOOT\b|\bFEET\b|\bTOES?\b|\bHEEL\b|\bCALCANE\w+|"
    r"\bEXTREMIT\w+|\bLIMBS?\b|\bBREASTS?\b|\bMAMMO\w*"
)
_FRONTAL = re.compile(r"\b(?:PA|AP)\b|POSTERO|ANTERO|FRONTAL")
_LATERAL = re.compile(r"\b(?:LL|RL|LAT|LLAT|RLAT)\b|LATERAL")
_OTHER_VIEW = re.compile(r"DECUB|OBLIQ|LORDOTIC|\b(?:[LR]LD|[LR]LO|[LR][AP]O)\b")


def check_radiograph(dataset: Dataset) -> None:
    """Check the tags for another modality or body part. A missing tag passes.

    Raises:
        InputError: the file is not a chest radiograph.
    """
    modality = text_of(dataset, "Modality")
    if modality not in _MODALITIES:
        raise InputError(
            f"This DICOM file is of modality {modality}, not a projection radiograph. Choose a chest X-ray (modality "
            "CR, DX or RG)."
        )
    image_class = UID(dataset.get("SOPClassUID", "")).name
    if not modality and image_class.endswith("Storage") and not image_class.startswith(_IMAGE_CLASSES):
        raise InputError(
            f"This DICOM file is of the kind {image_class}, not a projection radiograph. Choose a chest X-ray."
        )
    for keyword in REGION_TAGS:
        text = text_of(dataset, keyword)
        if _CHEST.search(text):
            return
        if other := _OTHER_BODY_PART.search(text):
            raise InputError(
                f'This is not a chest X-ray: the DICOM tag {keyword} says "{other[0].strip().lower()}". Choose a '
                "chest X-ray, or correct the tag if it is wrong."
            )


def view_of(dataset: Dataset) -> View:
    """View by ViewPosition or its code, else by the orientation of rows and columns, else by the description."""
    for keyword in ("ViewPosition", "ViewCodeSequence"):
        if view := _view_in(text_of(dataset, keyword)):
            return view
    row, _, column = text_of(dataset, "PatientOrientation").partition(" ")
    if column[:1] in ("F", "H"):
        if row[:1] in ("L", "R"):
            return "frontal"
        if row[:1] in ("A", "P"):
            return "lateral"
    return _view_in(text_of(dataset, "SeriesDescription")) or "unknown"


def _view_in(text: str) -> View | None:
    """View that a text names; None if it names no view or both."""
    if _OTHER_VIEW.search(text):
        return "unknown"
    frontal, lateral = bool(_FRONTAL.search(text)), bool(_LATERAL.search(text))
    if frontal == lateral:
        return None
    return "frontal" if frontal else "lateral"


def text_of(dataset: Dataset, keyword: str) -> str:
    """Text of a tag in capitals; empty if it is missing or cannot be decoded.

    Several values are joined by spaces. A code is given by its meaning.
    """
    try:
        value = dataset.get(keyword)
    except Exception:  # a value that pydicom cannot decode
        return ""
    items = value if isinstance(value, MultiValue | Sequence) else [value]
    texts = [text_of(item, "CodeMeaning") if isinstance(item, Dataset) else str(item or "") for item in items]
    return " ".join(texts).upper().replace("_", " ").strip()


def _numbers(dataset: Dataset, keyword: str) -> list[float]:
    try:
        value = dataset.get(keyword)
        numbers = [float(number) for number in ([] if value is None else np.atleast_1d(value))]
    except Exception:  # an empty or malformed value
        return []
    return numbers if all(map(math.isfinite, numbers)) else []


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """First value of a tag; None if it is missing or not a finite number."""
    return next(iter(_numbers(dataset, keyword)), None)


def pair_of(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    """The two values of a tag; None unless both are positive."""
    numbers = _numbers(dataset, keyword)
    return (numbers[0], numbers[1]) if len(numbers) == 2 and min(numbers) > 0 else None

"""Read the header of a DICOM file: check that it is a chest radiograph, and determine the view."""

from __future__ import annotations

import math
import re
import unicodedata

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID

from rrg.data.radiographs.radiograph import View
from rrg.errors import InputError

_MODALITIES = ("CR", "DX", "DR", "RG", "")
_UNSURE_MODALITIES = ("RF", "OT")
"""Modalities of fluoroscopy and of secondary captures, which may be a chest radiograph."""
_IMAGE_CLASSES = ("Computed Radiography", "Digital X-Ray Image", "Secondary Capture", "X-Ray Radiofluoroscopic")
_MAX_TEXT = 1024
"""Length at which texts of the header are cut."""

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

_CODED_REGION_TAGS = ("BodyPartExamined", "AnatomicRegionSequence")
"""Tags that hold a term for the body part and no other words."""

# Words in capitals without accents.
_CHEST = re.compile(
    r"CHEST|THORAX|TORAX|TORACE|TORAKS|CAGE THORACIQUE|\bCXR\b|\bLUNGS?\b|PULMO|\bRIBS?\b|\bPOUMONS?\b|\bLUNGE|"
    r"BRUSTKORB|\bPULMAO|\bPOLMON|\bLONGEN\b|BORSTKAS|KLATK\w PIERSIOW|\bPLUC|\bLUNGOR\b|BROSTKORG|AKCIGER|\bGOGUS|"
    r"HRUDNIK|MELLKAS|KEUHKO|ГРУДН\w{1,4} КЛЕТ|ГРУДНО\w ПОЛОСТ|ЛЕГКИ|\bОГК\b|ΘΩΡΑΚ|胸(?!椎)|肺|흉부"
)
_OTHER_BODY_PART = re.compile(
    r"\bABDOM\w*|\bKUB\b|\bPELVI[SC]\w*|\bHIPS?\b|\b[A-Z]{0,8}SPINE\b|VERTEBRA\w*|\bSACR\w+|\bCOCCYX\b|\bSKULL\b|\bHEAD\b|"
    r"\bFACIAL\b|\bORBITS?\b|\bSINUS(?:ES)?\b|\bNASAL\b|\bJAW\b|\bMANDIBLE\b|\bMAXILLA\b|\bTEETH\b|\bDENTAL\b|"
    r"\bNECK\b|\bSHOULDERS?\b|\bCLAVIC\w+|\bSCAPULA\b|\bHUMER\w+|\b(?:UPPER|LOWER|FORE)? ?(?:ARM|LEG)\b|\bELBOWS?\b|"
    r"\bULNA\b|\bWRISTS?\b|\bHANDS?\b|\bFINGERS?\b|\bTHUMBS?\b|\bTHIGHS?\b|\bFEMUR\w*|\bKNEES?\b|\bPATELLA\b|"
    r"\bTIBIA\w*|\bFIBULA\w*|\bCALF\b|\bANKLES?\b|\bFOOT\b|\bFEET\b|\bTOES?\b|\bHEEL\b|\bCALCANE\w+|"
    r"\bEXTREMIT\w+|\bLIMBS?\b|\bBREASTS?\b|\bMAMMO\w*|"
    # French
    r"\bGENOUX?\b|\bCHEVILLES?\b|\bPOIGNETS?\b|\bPIEDS?\b|\bEPAULES?\b|\bCOUDES?\b|\bHANCHES?\b|\bBASSIN\b|\bRACHIS\b|"
    r"\bJAMBES?\b|\bCUISSES?\b|\bDOIGTS?\b|"
    # German
    r"\bKNIE\b|\bFUSS\b|\bSCHULTER|\bELLENBOGEN|\bHUFT|\bBECKEN|\bSCHADEL|\b[A-Z]{0,8}WIRBEL|\b[HBL]WS\b|"
    r"\b(?:SPRUNG|HAND)GELENK|\b(?:UNTER|OBER)(?:ARM|SCHENKEL)|\bNASENNEBENHOHLE|"
    # Spanish, Portuguese, Italian
    r"\bRODILLA|\bTOBILLO|\bMUNECA|\bMANOS?\b|\bHOMBRO|\bCODO\b|\bCADERA|\bCOLUMNA\b|\bCRANEO\b|\bPIERNA|\bDEDOS?\b|"
    r"\bJOELHO|\bTORNOZELO|\bPUNHO|\bOMBRO|\bCOTOVELO|\bQUADRIL|\bCOLUNA\b|\bCRANIO\b|\bPERNA|\bBACIA\b|"
    r"\bGINOCCHI|\bCAVIGLIA|\bPOLSO\b|\bPIEDE\b|\bSPALLA|\bGOMITO|\bBACINO\b|\bRACHIDE\b|\bGAMBA\b|\bFEMORE|\bADDOM\w*|"
    # Dutch, Polish, Russian, Chinese
    r"\bSCHOUDER|\bELLEBOOG|\bHEUP|\bBEKKEN|\bVOET\b|\bWERVEL|\bKOLANO|\bNADGARST|\bKREGOSLUP|\bMIEDNIC|\bCZASZK|"
    r"\bКОЛЕН|\bСТОП[АЫ]\b|\bКИСТ[ЬИ]\b|ПОЗВОНОЧНИК|\bЧЕРЕП|\bЖИВОТ|\bБРЮШН|膝|踝|手腕|手指|脊柱|椎|颅|骨盆|腹部|足部"
)
_CODED_BODY_PART = re.compile(r"\bFACE\b|\bCRANE\b|\bMAINS?\b")
"""Words that are a body part in a coded tag, but elsewhere may be a view (French "face"), a name or an English word."""
_FRONTAL = re.compile(r"\b(?:PA|AP)\b|POSTERO|ANTERO|FRONTAL|\bDE FACE\b|\b(?:POUMONS?|THORAX) FACE\b")
_LATERAL = re.compile(r"\b(?:LL|RL|LAT|LLAT|RLAT)\b|LATERAL|\bDE PROFIL\b|\b(?:POUMONS?|THORAX) PROFIL\b")
_OTHER_VIEW = re.compile(r"DECUB|OBLIQ|LORDOTIC|\b(?:[LR]LD|[LR]LO|[LR][AP]O)\b")


def check_radiograph(dataset: Dataset) -> tuple[str, ...]:
    """Check the tags for another modality or body part. A missing tag passes.

    Returns:
        why it is unsure that the image is a chest radiograph.

    Raises:
        InputError: the file is not a chest radiograph.
    """
    notes = []
    modality = text_of(dataset, "Modality")
    if modality in _UNSURE_MODALITIES:
        notes.append(f"modality {modality}: check that this is a chest radiograph")
    elif modality not in _MODALITIES:
        raise InputError(
            f"This DICOM file is of modality {code_of(modality)}, not a projection radiograph. Choose a chest X-ray "
            "(modality CR, DX, DR or RG)."
        )
    image_class = image_class_of(dataset)
    if not modality and image_class.endswith("Storage") and not image_class.startswith(_IMAGE_CLASSES):
        raise InputError(
            f"This DICOM file is of the kind {image_class}, not a projection radiograph. Choose a chest X-ray."
        )
    unsure = None
    for keyword in REGION_TAGS:
        text = _without_accents(text_of(dataset, keyword))
        coded = keyword in _CODED_REGION_TAGS
        if _CHEST.search(text):
            return tuple(notes)
        if other := _OTHER_BODY_PART.search(text) or (coded and _CODED_BODY_PART.search(text)):
            raise InputError(
                f'This is not a chest X-ray: the DICOM tag {keyword} says "{other[0].strip().lower()}". Choose a '
                "chest X-ray, or correct the tag if it is wrong."
            )
        if _CODED_BODY_PART.search(text) or (coded and text not in ("", "UNKNOWN", "OTHER")):
            unsure = unsure or keyword
    if unsure:  # the text is not quoted, for it may name a person
        notes.append(f"the DICOM tag {unsure} names no known part of the body: check that this is a chest radiograph")
    return tuple(notes)


def _without_accents(text: str) -> str:
    """Capitals without accents, where an umlaut becomes its vowel."""
    letters = unicodedata.normalize("NFKD", text.replace("Ł", "L").replace("ß", "SS"))
    return unicodedata.normalize("NFC", "".join(letter for letter in letters if not unicodedata.combining(letter)))


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
    text = _without_accents(text)
    if _OTHER_VIEW.search(text):
        return "unknown"
    frontal, lateral = bool(_FRONTAL.search(text)), bool(_LATERAL.search(text))
    if frontal == lateral:
        return None
    return "frontal" if frontal else "lateral"


def image_class_of(dataset: Dataset) -> str:
    """Name of SOPClassUID, or its value if it is none of the standard; empty if it is missing."""
    return UID(text_of(dataset, "SOPClassUID")).name


def text_of(dataset: Dataset, keyword: str) -> str:
    """Text of a tag in capitals; empty if it is missing or cannot be decoded.

    Several values are joined by spaces. A code is given by its meaning. A long text is cut.
    """
    try:
        value = dataset.get(keyword)
    except Exception:  # a value that pydicom cannot decode
        return ""
    items = value if isinstance(value, MultiValue | Sequence) else [value]
    texts = [text_of(item, "CodeMeaning") if isinstance(item, Dataset) else str(item or "") for item in items]
    return " ".join(texts)[:_MAX_TEXT].upper().replace("_", " ").strip()


def numbers_of(dataset: Dataset, keyword: str) -> list[float]:
    """Values of a tag up to the first that is not a finite number; empty if it is missing or malformed."""
    numbers: list[float] = []
    try:
        value = dataset.get(keyword)
        for number in [] if value is None else np.atleast_1d(value):
            if not math.isfinite(float(number)):
                break
            numbers.append(float(number))
    except Exception:  # pydicom raises many types on an empty or malformed value
        return numbers
    return numbers


def code_of(text: str) -> str:
    """Return a text for a message if it looks like a code, else "(unknown)": in a mangled file it may be a name."""
    return text if re.fullmatch(r"[A-Z0-9 ]{1,16}", text) else "(unknown)"


def items_of(dataset: Dataset, keyword: str) -> list[Dataset] | None:
    """Items of a sequence; empty if it is missing, None if it cannot be read."""
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom raises many types on a malformed sequence
        return None
    if not value:
        return []
    return list(value) if isinstance(value, Sequence) else None


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """First value of a tag; None if it is missing or not a finite number."""
    return next(iter(numbers_of(dataset, keyword)), None)


def pair_of(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    """The two values of a tag; None unless both are positive."""
    numbers = numbers_of(dataset, keyword)
    return (numbers[0], numbers[1]) if len(numbers) == 2 and min(numbers) > 0 else None

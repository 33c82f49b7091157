"""What a report may say of which region: the tables behind `rrg.labels.scene_graph`.

`CONCEPT_REGIONS` says of each concept of `rrg.labels.findings` where it is when the report does not say (the first
tuple) and where else it can be (the second). It makes the vocabulary: the attributes of a region are the concepts that
can be there, in the order of `CONCEPTS`, each of them first present, then absent. "Uncertain" counts as present.

`REGION_PHRASES` are how reports name regions. A phrase of a paired region is completed by the side that the words
around it name; without one it means both.
"""

from __future__ import annotations

from rrg.labels.atlas import REGIONS
from rrg.labels.findings import CONCEPTS


def _pair(name: str) -> tuple[str, ...]:
    return f"left {name}", f"right {name}"


LUNGS, APICES, ANGLES = _pair("lung"), _pair("apical zone"), _pair("costophrenic angle")
HILA, DIAPHRAGMS, CLAVICLES = _pair("hilar structures"), _pair("hemidiaphragm"), _pair("clavicle")
UPPER, MID, LOWER = (_pair(f"{level} lung zone") for level in ("upper", "mid", "lower"))
ZONES = UPPER + MID + LOWER
HEART, MEDIASTINUM = ("cardiac silhouette",), ("mediastinum",)
CENTRAL_VEINS = ("svc", "right atrium", "cavoatrial junction")

CONCEPT_REGIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Enlarged Cardiomediastinum": (MEDIASTINUM, ("upper mediastinum", *HEART)),
    "Cardiomegaly": (HEART, ("right atrium",)),
    "Lung Opacity": (LUNGS, ZONES + APICES + HILA + ANGLES),
    "Lung Lesion": (LUNGS, ZONES + APICES + HILA),
    "Edema": (LUNGS, ZONES + HILA),
    "Consolidation": (LUNGS, ZONES + APICES + HILA),
    "Pneumonia": (LUNGS, ZONES),
    "Atelectasis": (LUNGS, ZONES + APICES + HILA),
    "Pneumothorax": (LUNGS, APICES + ANGLES),
    "Pleural Effusion": (ANGLES, LUNGS + LOWER),
    "Pleural Other": (LUNGS, APICES + ANGLES + DIAPHRAGMS),
    "Fracture": (("spine", *CLAVICLES), LUNGS),
    "Support Devices": (MEDIASTINUM, (*CENTRAL_VEINS, "trachea", "carina", "abdomen", "spine", *HEART, *LUNGS)),
    "Degenerative Spine Change": (("spine",), ()),
    "Spinal Curvature": (("spine",), ()),
    "Vertebral Compression": (("spine",), ()),
    "Shoulder Degeneration": (CLAVICLES, ()),
    "Bone Deformity": (CLAVICLES, ("spine", *LUNGS)),
    "Osteopenia": (("spine",), ()),
    "Granulomatous Disease": (LUNGS, ZONES + APICES + HILA + MEDIASTINUM),
    "Calcified Lymph Nodes": (HILA, MEDIASTINUM),
    "Lymphadenopathy": (MEDIASTINUM, ("upper mediastinum", "carina", *HILA)),
    "Hilar Prominence": (HILA, ()),
    "Emphysema": (LUNGS, UPPER + APICES),
    "Hyperinflation": (LUNGS, DIAPHRAGMS),
    "Low Lung Volumes": (LUNGS, ()),
    "Vascular Crowding": (LUNGS, HILA + LOWER),
    "Vascular Congestion": (LUNGS, HILA),
    "Interstitial Prominence": (LUNGS, ZONES),
    "Bronchial Thickening": (HILA, LUNGS + MID + LOWER),
    "Scarring": (LUNGS, ZONES + APICES),
    "Nodule": (LUNGS, ZONES + APICES + HILA),
    "Mass": (LUNGS, ZONES + APICES + HILA + MEDIASTINUM + ("upper mediastinum",)),
    "Costophrenic Blunting": (ANGLES, ()),
    "Pleural Thickening": (LUNGS, APICES + ANGLES),
    "Elevated Hemidiaphragm": (DIAPHRAGMS, ()),
    "Hiatal Hernia": (MEDIASTINUM, HEART),
    "Tortuous Aorta": (("aortic arch",), MEDIASTINUM),
    "Aortic Calcification": (("aortic arch",), MEDIASTINUM),
    "Sternotomy": (MEDIASTINUM, ()),
    "Surgical Clips": (MEDIASTINUM, ("abdomen", *LUNGS, *HILA, *APICES)),
    "Central Line": (("svc",), ("right atrium", "cavoatrial junction")),
    "Pacemaker": (HEART, ("right atrium",)),
}

NOT_ABNORMAL = frozenset({"Support Devices", "Sternotomy", "Surgical Clips", "Central Line", "Pacemaker"})
"""What was put there does not make a region abnormal."""

REGION_CONCEPTS: dict[str, tuple[str, ...]] = {
    region: tuple(name for name in CONCEPTS if any(region in places for places in CONCEPT_REGIONS[name]))
    for region in REGIONS
}
"""The concepts that a region's attributes are about."""

STATES = ("present", "absent")
ATTRIBUTE_SIZES: tuple[int, ...] = tuple(len(STATES) * len(REGION_CONCEPTS[region]) for region in REGIONS)
ATTRIBUTE_NAMES: tuple[str, ...] = tuple(
    f"{name} {state}" for region in REGIONS for name in REGION_CONCEPTS[region] for state in STATES
)
"""By id: those of the first region, then those of the second, and so on."""

REGION_PHRASES: dict[str, tuple[str, ...]] = {
    r"upper (?:lobes?|lungs?|zones?)": UPPER,
    r"(?:mid(?:dle)? |mid)(?:lungs?|lung zones?|zones?)": MID,
    r"middle lobe": ("right mid lung zone",),
    r"lingula\w*": ("left mid lung zone",),
    r"lower (?:lobes?|lungs?|zones?)|(?:lung )?bases?|(?:bi)?basal|(?:bi)?basilar": LOWER,
    r"retrocardiac": ("left lower lung zone",),
    r"(?:bi)?apical|apex|apices": APICES,
    r"(?:peri ?)?hil(?:a|ar|um)": HILA,
    r"costophrenic|costodiaphragmatic": ANGLES,
    r"(?:hemi ?)?diaphragms?|hemidiaphragm\w*": DIAPHRAGMS,
    r"clavic(?:les?|ular)|shoulders?": CLAVICLES,
    r"lungs?|hemithorax|pulmonary parenchyma|ribs?": LUNGS,
    r"cardio ?mediastin\w+": HEART + MEDIASTINUM,
    r"heart|cardiac": HEART,
    r"(?:upper|superior) mediastin\w+": ("upper mediastinum",),
    r"mediastin\w+": MEDIASTINUM,
    r"aort\w+": ("aortic arch",),
    r"trache(?:a|al)": ("trachea",),
    r"carina": ("carina",),
    r"svc|superior vena cava": ("svc",),
    r"right atri(?:um|al)": ("right atrium",),
    r"cavo ?atrial": ("cavoatrial junction",),
    r"abdom\w+|upper quadrant|subdiaphragm\w*": ("abdomen",),
    r"spin(?:e|al)|vertebra\w*|thoracolumbar": ("spine",),
}
"""Expressions in lower case; where two begin at one word, the first counts."""

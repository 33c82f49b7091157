"""Tables for `rrg.labels.scene_graph`: possible regions of each concept, and phrases that name regions.

`CONCEPT_REGIONS` gives for each concept of `rrg.labels.findings` the default regions, used if the report names none,
and the other possible regions. It defines the vocabulary of attributes: each concept that can occur in a region, in the
order of `CONCEPTS`, gives two attributes, present and absent. "Uncertain" counts as present.

`REGION_PHRASES` are patterns of phrases that name regions. For paired regions the side comes from the words around the
phrase; without a side both are meant.
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

DEVICE_CONCEPTS = frozenset({"Support Devices", "Sternotomy", "Surgical Clips", "Central Line", "Pacemaker"})
"""Devices and traces of surgery. They do not make a region abnormal."""

REGION_CONCEPTS: dict[str, tuple[str, ...]] = {
    region: tuple(name for name in CONCEPTS if any(region in places for places in CONCEPT_REGIONS[name]))
    for region in REGIONS
}
"""Concepts that can occur in a region, by region."""

STATES = ("present", "absent")
ATTRIBUTE_SIZES: tuple[int, ...] = tuple(len(STATES) * len(REGION_CONCEPTS[region]) for region in REGIONS)
ATTRIBUTE_NAMES: tuple[str, ...] = tuple(
    f"{name} {state}" for region in REGIONS for name in REGION_CONCEPTS[region] for state in STATES
)
"""Name of each attribute id: the attributes of the first region, then of the second, and so on."""

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
"""Regions by pattern (lower case). If two patterns match at the same word, the first is used."""

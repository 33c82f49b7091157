"""Phrases of the rule labeler in `rrg.labels.findings` for each class. `rrg.labels.finding_cues` has the cues.

The patterns are matched against normalised text: lower-case words separated by single spaces, hyphens and slashes
replaced by spaces, de-identification tokens removed, a comma as the word ",", a sentence end as the word ".". So the
patterns need not handle case, line breaks or hyphenation, and no pattern crosses a sentence end.

Five tables define a class:

`MENTIONS` name a finding. The cues in the clause around a mention decide its status.
`SIGNS` suggest a finding without naming it ("blunted costophrenic angle"). They are uncertain at most, and yield to a
mention that is absent.
`ABNORMAL_STATEMENTS` state a finding in a full predicate ("the heart is enlarged"). Cues outside of it do not apply.
`NOT_NORMAL_STATEMENTS` state a finding by denying that the anatomy is normal ("the lungs are not clear").
`NORMAL_STATEMENTS` negate a finding without naming it ("heart size is normal").

The 14 classes follow the CheXpert scheme (Irvin et al. 2019, arXiv 1901.07031): vascular congestion and heart failure
are Edema, nodular opacities Lung Lesion, parenchymal scarring Lung Opacity, and pleural scars Pleural Other. Surgical
wires and clips are not Support Devices, and granulomas are not Lung Lesions. The phrases were collected from training
and validation reports of the Indiana University collection.
"""

from __future__ import annotations


def _gap(words: int, stop: str = "", commas: bool = True) -> str:
    """Pattern of up to `words` words, none of which starts with `stop`. A comma counts as a word."""
    guard = f"(?!{stop})" if stop else ""
    return rf"(?:{guard}[a-z0-9{',' if commas else ''}][a-z0-9'.]* ){{0,{words}}}?"


_NORMAL = (
    r"(?:normal|unremarkable|unenlarged|(?:not|no longer) (?:\w+ )?(?:enlarged|dilated)|within limits of normal"
    r"|within (?:the )?(?:range of )?(?:normal )?limits)"
)
# Words that must not occur inside a "... is normal" statement: the text after them is about something else or abnormal.
_ABNORMAL = (
    r"(?:enlarg|upper|borderline|top |prominen|cardiomegaly|increas|abnormal|tortuous|widen|but |however|mild|moderate"
    r"|not |no |without|with |there |fractur)"
)
_HEART = (
    r"(?:heart|cardiac (?:silhouettes?|size|shadow|contours?|outline|structures)|cardiac (?:,|and)"
    r"|cardio ?mediastin(?:um|al (?:silhouettes?|contours?|structures))|cardiovascular (?:silhouettes?|structures)"
    r"|cardio ?thoracic ratio|ctr)"
)
_CARDIAC_SIZE = r"(?:heart|cardiac (?:size|silhouette|shadow|contours?)|cardio ?pericardial silhouette)"
_RATIO = r"(?:cardio ?thoracic ratio|ctr)"
_NOT = r"(?:not|no longer)"
_MEDIASTINUM = r"(?:cardio ?)?mediastin(?:um|al)"
_MEDIASTINAL_SHAPE = r"(?:cardio ?)?mediastin(?:um|al (?:silhouettes?|contours?|shadow))"
_BOTH_LUNGS = r"(?:(?<!left )(?<!right )(?<!lobe )(?<!neither )lungs?(?: fields?| parenchyma| bases)?)"
# "Not" may precede what the lungs also are: "the lungs are not hyperinflated and are clear".
_NOT_CLEAR = _ABNORMAL.replace("not ", r"not (?!(?:hyper|over|under)\w+ )")
_COSTOPHRENIC = r"(?:costophrenic|cp|(?<!cardiophrenic )angles?|sulc\w+|recess\w*)"
# A sign is not explained by something else: "blunting of the costophrenic angle due to scarring".
_SCAR = r"(?:scar|thicken|fibro|sclero|adhesi|atelecta)"
_NO_OTHER_CAUSE = (
    rf"(?! (?:(?!and |with |in )[a-z]+ ){{0,4}}{_SCAR})"
    r"(?! (?:[a-z0-9,'.]+(?<!\.) ){0,15}?(?:due|secondary|related|represents?|reflects?|possibly|probably|likely"
    rf"|consistent|compatible|from) (?:(?!effusion|fluid)[a-z]+ ){{0,4}}{_SCAR})"
)
_BONES = r"(?:bones?|bony|osseous|skelet(?:on|al)|ribs)"
_SPINE = r"(?:spine|spinal|vertebra[el]?|(?:thoracic|lumbar|dorsal|thoracolumbar|thoraco lumbar)(?: spine)?)"
_DEGENERATIVE = r"(?:degenerative|degeneration|arthritic|spondylitic|spondylotic)"
_INTERSTITIAL = (
    r"(?:interstitial|reticular|reticulo ?nodular|bronchovascular) (?:lung |pulmonary )?"
    r"(?:markings?|patterns?|disease|prominence|thickening|changes?|process|densit\w+|opacit\w+|infiltrates?)"
)
_VASCULAR_LINE = r"(?:central|venous|subclavian|jugular|ij|dialysis) (?:venous )?(?:lines?|catheters?)"
_PORT = (
    r"(?:medi ?port|port a cath|portacath"
    r"|(?:infusion|chest|wall|power|access|subclavian|jugular|ij|sided|left|right) ports?)"
)
_PACER = r"(?:pace ?makers?|pacers?|pacing (?:leads?|device|wires?)|icd|aicd|defibrillators?)"
_DIAPHRAGM = r"(?:hemi ?)?diaphragm\w*"
_WIDE_AORTA = r"(?:tortuo\w+|ectati\w+|ectasia|unfolded|unfolding|uncoiled|dilated|dilatation|aneurysm\w*|elongated)"
_ATHEROMA = r"(?:calcif\w+|atheroscl\w+|arterioscl\w+|atheromat\w+)"
_LOW = r"(?:low|small|decreased|reduced|diminished)"

MENTIONS: dict[str, tuple[str, ...]] = {
    "Enlarged Cardiomediastinum": (
        r"mediastinal (?:widening|enlargement)",
        r"(?:widened|enlarged|wide|prominent|(?:widening|prominence|enlargement) of (?:the )?) ?"
        rf"(?:\w+ )?{_MEDIASTINAL_SHAPE}",
    ),
    "Cardiomegaly": (
        r"cardiomegaly",
        r"(?:cardiac|heart|biventricular|ventricular|atrial) enlargement",
        rf"(?:enlarged|enlargement of (?:the )?|large|prominent|prominence of (?:the )?) ?(?:\w+ )?{_CARDIAC_SIZE}",
    ),
    "Lung Opacity": (
        r"opacit(?:y|ies)|opacifications?|opacified (?:\w+ )?(?:lung|lobe|hemithorax)",
        r"infiltrat\w+",
        r"air ?space (?:disease|process|filling|change)s?|alveolar (?:disease|process|filling)",
        r"(?:increased|hazy|patchy|focal|nodular|air ?space|lung|basilar|parenchymal|streaky) (?:\w+ )?densit(?:y|ies)",
        rf"{_INTERSTITIAL}|reticulations?|ground glass",
        r"(?:peribronchial|bronchial wall) (?:thickening|cuffing)",
        r"(?<!pleural )(?<!pleural parenchymal )scar(?:s|ring|red)?",
    ),
    "Lung Lesion": (
        r"(?<!breast )(?<!thyroid )mass(?:es)?(?! effect)|mass ?like",
        r"(?<!thyroid )nodules?|nodularit(?:y|ies)",
        r"(?<!reticular )nodular (?:\w+ )?(?:densit|opacit|lesion|foc|shadow|area|mass)\w*",
        r"(?:lung|pulmonary|cavitary|cavitating|coin|parenchymal|mass like|lobe) lesions?",
        r"cavity|cavities|cavitation",
        r"carcinoma|neoplas\w+|malignan\w+|tumou?rs?|metasta\w+",
    ),
    "Edema": (
        r"(?<!laryngeal )(?<!tissue )edema",
        r"(?:heart|cardiac) failure|chf|fluid overload|volume overload|kerley",
        r"(?:vascular|pulmonary|venous) congestion",
    ),
    "Consolidation": (r"consolidat\w+",),
    "Pneumonia": (
        r"(?:broncho)?pneumonias?",
        r"(?<!granulomatous )(?<!tuberculosis )(?<!tuberculous )infecti(?:on|ons|ous)",
    ),
    "Atelectasis": (
        r"atelecta\w+",
        rf"collapsed? {_gap(6)}(?:lungs?|lobes?)",
        r"(?:lung|lobar|lobe) collapse",
    ),
    "Pneumothorax": (r"(?:hydro ?)?pneumothora\w+",),
    "Pleural Effusion": (
        r"(?<!pericardial )effusions?",
        r"pleural fluid|(?:hydro|hemo) ?(?:pneumo)?thorax|empyema",
    ),
    "Pleural Other": (
        r"pleural (?:based )?(?:\w+ )?(?:thickening|scar\w*|plaques?|fibrosis|calcifications?)",
        r"(?:thickening|scarring|calcification) of (?:the )?(?:\w+ )?pleura",
        r"pleuro ?parenchymal (?:scar\w*|thickening)|fibrothorax",
        r"(?:apical|biapical) (?:thickening|capping|cap)",
    ),
    "Fracture": (r"fractur\w+(?! (?:of (?:the )?)?(?:\w+ )?(?:sternal|sternotomy|wires?|hardware|leads?))",),
    "Support Devices": (
        rf"{_PACER}|{_PORT}|{_VASCULAR_LINE}|picc|catheters?|cannulas?|shunt|stents?|stimulators?|tracheostomy",
        r"(?:support|monitoring) (?:lines?|devices?|tubes?|apparatus)|lines and tubes|tubes and lines",
        r"(?:endotracheal|et|ng|og|nasogastric|orogastric|nasoenteric|enteric|feeding|gastric|chest|tracheostomy"
        r"|thoracostomy|gastrostomy|jejunostomy|nephrostomy|peg|g|j|gj|pleural|drainage|airway) tubes?",
        r"dobb?hoff|ett|ngt|ogt",
        r"(?:arterial|umbilical|femoral|picc) (?:\w+ )?lines?|hickman|broviac|groshong|perma ?cath|swan ganz|pigtail",
        r"(?:jugular|subclavian|femoral|ij|vascular|venous|introducer) (?:\w+ )?sheath",
        r"(?:cardiac|implant(?:ed|able)|assist|pacing|wall|occlu(?:der|sion)|closure) (?:\w+ )?devices?|loop recorder",
        r"implant(?:ed|able) (?:\w+ )?monitors?",
        r"iabp|lvad|rvad|bivad|ecmo|impella|tav[ir]|(?:ivc|cava|caval) filter",
        r"(?:prosthetic|artificial|mechanical|bioprosthetic|porcine) (?:\w+ )?valves?",
        r"valve (?:replacement|prosthesis|ring)",
        r"hardware|arthroplast\w+|(?<!breast )prosthes[ie]s",
        r"(?:surgical|spinal|fixation|fusion) (?:screws?|rods?|plates?)",
        r"(?<!ekg )(?<!ecg )(?<!telemetry )(?<!monitor )leads(?! to)|generator|drains?|balloon pump",
        r"tips? (?:\w+ ){0,7}(?:svc|superior vena cava|cavoatrial|carina)",
    ),
    "No Finding": (),
}

ABNORMAL_STATEMENTS: dict[str, tuple[str, ...]] = {
    "Enlarged Cardiomediastinum": (
        rf"{_MEDIASTINUM} {_gap(5, 'normal|unremark|vascul|aort')}(?:widened|enlarged|wide)",
    ),
    "Cardiomegaly": (
        rf"{_CARDIAC_SIZE} {_gap(8, 'normal|unremark|no |without|vascul|aort|pulm|hil|mediast|there')}"
        r"(?:enlarged|prominent|large|increased|borderline|upper (?:limits?|range)|top normal)",
        r"(?:borderline|upper normal|top normal) (?:\w+ )?(?:heart|cardiac) size",
        rf"{_RATIO} {_gap(5, 'normal|no |without|less|below')}(?:increased|enlarged|elevated|large|high)",
    ),
    "Support Devices": (rf"(?:{_NOT} )?intubated",),
}

NOT_NORMAL_STATEMENTS: dict[str, tuple[str, ...]] = {
    "Enlarged Cardiomediastinum": (rf"{_MEDIASTINUM} {_gap(4, _ABNORMAL)}{_NOT} (?:\w+ )?{_NORMAL}",),
    "Cardiomegaly": (
        rf"{_CARDIAC_SIZE} {_gap(4, _ABNORMAL)}{_NOT} (?:\w+ )?{_NORMAL}",
        rf"(?:{_CARDIAC_SIZE}|{_RATIO}) {_gap(4, 'normal|not |no |at |within')}"
        rf"(?:above|exceed\w*|beyond|outside|(?:larger|greater|bigger|more) than) (?:the )?"
        r"(?:(?:upper )?(?:limits?|range) of )?(?:normal|0\.5|50)",
        rf"{_RATIO} (?:(?:is|of|measures|approximately|about) ){{0,3}}(?:0\.(?:5[1-9]|[6-9]\d?)|5[1-9]|[6-9]\d)",
    ),
    "Lung Opacity": (
        rf"lungs?(?: fields?| bases)? (?:\w+ )?{_NOT} (?:(?!normal)\w+ )?clear(?:ed)?(?! (?:if|whether))",
        r"neither lung (?:field |base )?(?:is|appears) (?:\w+ )?clear",
    ),
    "Fracture": (rf"{_BONES} {_gap(3, _ABNORMAL)}{_NOT} (?:\w+ )?intact",),
}

SIGNS: dict[str, tuple[str, ...]] = {
    "Pleural Effusion": (
        rf"(?<!chronic )(?:blunt(?:ed|ing) {_gap(6, 'effusion|fluid')}{_COSTOPHRENIC}"
        rf"|{_COSTOPHRENIC} {_gap(4, 'not|sharp|clear|effusion|fluid')}blunt(?:ed|ing))\b{_NO_OTHER_CAUSE}",
        rf"{_COSTOPHRENIC} (?:\w+ ){{0,2}}{_NOT} (?:\w+ )?(?:clear|sharp)",
        r"neither (?:costophrenic|cp) (?:angle|sulcus|recess) (?:\w+ )?(?:clear|sharp)",
    ),
}

NORMAL_STATEMENTS: dict[str, tuple[str, ...]] = {
    "Enlarged Cardiomediastinum": (
        rf"{_MEDIASTINUM} {_gap(10, _ABNORMAL)}{_NORMAL}",
        rf"normal {_gap(6, _ABNORMAL, commas=False)}{_MEDIASTINAL_SHAPE}"
        r"(?! (?:[a-z]+ ){0,3}(?:enlarg|widen|prominen))",
    ),
    "Cardiomegaly": (
        rf"{_HEART} {_gap(12, _ABNORMAL)}{_NORMAL}",
        rf"normal (?:sized? )?{_gap(6, _ABNORMAL, commas=False)}(?:heart|cardiac (?:silhouette|size|contours?)"
        r"|cardio ?mediastinal (?:silhouette|contours?))(?: size)?(?! (?:[a-z]+ ){0,3}(?:enlarg|prominen|borderline))",
        rf"{_HEART} {_gap(4, _ABNORMAL)}not (?:\w+ )?(?:increased|large|prominent)",
        rf"{_RATIO} (?:\w+ )?(?:(?:less|smaller|lower) than|below|under) (?:normal|0\.5|50)",
    ),
    "Lung Opacity": (
        rf"{_BOTH_LUNGS} {_gap(6, _NOT_CLEAR)}clear",
        rf"clear {_gap(2)}lungs",
        rf"{_INTERSTITIAL} {_gap(3, _ABNORMAL)}{_NORMAL}|normal (?:\w+ )?{_INTERSTITIAL}",
    ),
    "Consolidation": (rf"{_BOTH_LUNGS} {_gap(6, _NOT_CLEAR)}clear", rf"clear {_gap(2)}lungs"),
    "Pleural Effusion": (
        rf"(?:pleural spaces?|costophrenic (?:angles?|sulci|recesses)|pleura) {_gap(4, 'not|blunt')}"
        r"(?:clear|sharp|normal|unremarkable|preserved)",
        rf"{_COSTOPHRENIC} (?:\w+ ){{0,3}}not (?:\w+ )?blunted",
    ),
    "Fracture": (
        rf"{_BONES} {_gap(8, _ABNORMAL)}(?:intact|normal|unremarkable|within normal limits)",
        rf"(?:no|without|negative for) {_gap(5)}(?:bony|osseous|bone|skeletal) {_gap(2)}"
        r"(?:abnormalit\w+|findings?|injur\w+)",
    ),
    "Support Devices": (r"(?<!not )(?<!for )(?<!to )extubat(?:ed|ion)",),
    "No Finding": (
        rf"(?:no|without|negative for) {_gap(5)}(?:cardio ?pulmonary|pulmonary|intra ?thoracic|chest|acute|active) "
        rf"{_gap(4)}(?:abnormalit\w+|disease|process|findings?)",
        r"normal (?:chest|exam|examination|study)",
    ),
    "Interstitial Prominence": (rf"{_INTERSTITIAL} {_gap(3, _ABNORMAL)}{_NORMAL}|normal (?:\w+ )?{_INTERSTITIAL}",),
    "Low Lung Volumes": (rf"lung volumes? {_gap(4, _ABNORMAL)}{_NORMAL}", rf"normal {_gap(2)}lung volumes?"),
    "Hyperinflation": (r"(?:normally|well) (?:inflated|expanded|aerated)",),
    "Tortuous Aorta": (rf"aort\w+ {_gap(4, _ABNORMAL)}{_NORMAL}",),
    "Vascular Congestion": (
        rf"(?:vascularity|vasculature|vascular markings) {_gap(6, _ABNORMAL)}{_NORMAL}",
        rf"normal {_gap(3, _ABNORMAL)}(?:vascularity|vasculature|vascular markings)",
    ),
}

CONCEPT_MENTIONS: dict[str, tuple[str, ...]] = {
    "Degenerative Spine Change": (
        rf"{_DEGENERATIVE} {_gap(10)}{_SPINE}|{_SPINE} {_gap(4)}{_DEGENERATIVE}",
        r"degenerative (?:\w+ )?(?:disc|disk|endplate|bony|osseous)|dis[ck] space narrowing",
        r"spondylosis|osteophyt\w+|spurring|syndesmophyt\w+",
    ),
    "Spinal Curvature": (
        r"\w*scolio(?:sis|tic)|kypho(?:sis|tic)|(?:dextro|levo) ?curvature|curvature of (?:\w+ ){0,2}spine",
    ),
    "Vertebral Compression": (
        r"compression (?:deformit\w+|fractures?)|wedging|wedge deformit\w+",
        r"(?:loss of|decreased) (?:\w+ ){0,2}(?:vertebral )?body height",
    ),
    "Shoulder Degeneration": (
        rf"(?:acromio ?clavicular|glenohumeral|shoulders?|ac joints?) {_gap(4)}(?:degenerat\w+|\w*arthr\w+)",
        rf"degenerative {_gap(6)}(?:acromio ?clavicular|glenohumeral|shoulders?|ac joints?)",
    ),
    "Bone Deformity": (
        rf"(?:ribs?|clavic\w+|humer\w+|thoracic cage|chest wall) {_gap(4)}deformit\w+|pectus",
        rf"deformit\w+ {_gap(6)}(?:ribs?|clavicles?|humer\w+)",
    ),
    "Osteopenia": (r"osteopeni\w+|osteoporo\w+|demineraliz\w+",),
    "Granulomatous Disease": (r"granuloma\w*",),
    "Calcified Lymph Nodes": (
        rf"calcified {_gap(4)}(?:lymph|nodes?|adenopathy|lymphadenopathy)",
        r"(?:hilar|mediastinal|nodal) (?:\w+ ){0,2}calcif\w+",
    ),
    "Lymphadenopathy": (r"(?<!calcified )(?:lymph)?adenopathy",),
    "Hilar Prominence": (
        rf"(?:prominen\w+|enlarge\w+|fullness) {_gap(4, 'stable|normal', commas=False)}"
        r"(?:hil(?:a|ar|um)|pulmonary arter\w+)",
        rf"(?:peri)?hil(?:a|ar|um) {_gap(3, 'lymph|less|normal', commas=False)}(?:prominen\w+|enlarge\w+|fullness)",
    ),
    "Emphysema": (r"(?<!subcutaneous )(?<!tissue )emphysem\w+|copd|chronic obstructive|bull(?:ous|a|ae)",),
    "Hyperinflation": (
        r"hyper ?(?:inflat|expan|aerat|lucen)\w+|air trapping|increased ap diameter|overinflat\w+",
        rf"flatten\w+ {_gap(4)}{_DIAPHRAGM}|{_DIAPHRAGM} {_gap(3)}flatten\w+",
    ),
    "Low Lung Volumes": (
        rf"{_LOW} (?:\w+ )?(?:lung )?volumes?|lung volumes? {_gap(4, 'normal')}{_LOW}",
        r"hypo ?(?:inflat|ventilat|expan|aerat)\w+|under ?(?:inflat|expan)\w+|(?:poor|shallow|low) inspirat\w+",
    ),
    "Vascular Crowding": (
        r"(?:broncho ?)?vascular crowding|bronchopulmonary crowding",
        rf"crowd\w+ {_gap(4)}(?:vascul\w+|bronchovascular|vessels|markings|structures)",
    ),
    "Vascular Congestion": (
        r"(?:vascular|venous|pulmonary) (?:congestion|engorgement|prominence|redistribution)|cephalization",
        r"(?:prominent|engorged|increased|congested) (?:\w+ )?(?:vascularity|vasculature|vascular markings|vessels)",
        rf"(?:vascularity|vasculature|vascular markings) {_gap(4, 'normal|within|not')}"
        r"(?:prominent|engorged|increased|congested)",
    ),
    "Interstitial Prominence": (rf"{_INTERSTITIAL}|prominence of (?:the )?(?:\w+ )?interstiti\w+",),
    "Bronchial Thickening": (
        r"(?:peribronchial|bronchial|bronchial wall) (?:thickening|cuffing)|bronchi(?:tis|ectasis|olitis)",
    ),
    "Scarring": (r"scar(?:s|ring|red)?|fibro(?:sis|tic|nodular)",),
    "Nodule": (r"(?<!thyroid )nodules?|(?<!reticular )nodular (?:\w+ )?(?:densit|opacit|lesion|foc)\w*",),
    "Mass": (r"(?<!breast )mass(?:es)?(?! effect)|mass ?like|neoplasm\w*|carcinoma|tumou?rs?",),
    "Costophrenic Blunting": (
        rf"blunt\w+ {_gap(6)}(?:costophrenic|angles?|sulc\w+)|(?:costophrenic|angles?|sulc\w+) {_gap(4)}blunt\w+",
    ),
    "Pleural Thickening": (
        r"pleural (?:based )?(?:\w+ )?(?:thickening|plaques?)|(?:apical|biapical) (?:thickening|capping|cap)",
    ),
    "Elevated Hemidiaphragm": (
        rf"(?:elevat|eventrat)\w+ {_gap(5)}{_DIAPHRAGM}|{_DIAPHRAGM} {_gap(4)}(?:elevat|eventrat)\w+",
    ),
    "Hiatal Hernia": (r"(?:hiatal|hiatus|para ?esophageal) hernia",),
    "Tortuous Aorta": (rf"{_WIDE_AORTA} {_gap(5)}aort\w+|aort\w+ {_gap(5, 'normal')}{_WIDE_AORTA}",),
    "Aortic Calcification": (
        rf"{_ATHEROMA} {_gap(6)}aort\w+|aort\w+ {_gap(5)}{_ATHEROMA}|(?:atheroscl|arterioscl)\w+",
    ),
    "Sternotomy": (r"sternotomy|sternal wires?|cabg|coronary artery bypass|bypass graft\w*|revascularization",),
    "Surgical Clips": (r"clips?|surgical (?:staples?|sutures?)|staple line",),
    "Central Line": (rf"picc|{_PORT}|{_VASCULAR_LINE}|catheters?",),
    "Pacemaker": (_PACER,),
}

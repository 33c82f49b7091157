"""An exported study as JSON, for programs: every value as it was stored, maps as raw numbers."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rrg.data.radiographs import Radiograph
from rrg.labels.findings import LABELER, label_report
from rrg.ui.export.study import DISCLAIMER, ExportedStudy
from rrg.ui.export.text import differences

if TYPE_CHECKING:
    from rrg.explanation.maps import Heatmap

SCHEMA = "rrg/exported-study"
SCHEMA_VERSION = 1
"""Rises when a field is renamed, removed or gets another meaning. Further fields may come without a new version."""


def to_json(exported: ExportedStudy, with_maps: bool = True) -> bytes:
    """Write the study as JSON in UTF-8.

    A number that JSON does not know (NaN, infinity) becomes null, a lone surrogate in a text becomes U+FFFD.

    Args:
        exported: The study.
        with_maps: Include the values of the maps, [views][rows][columns].
    """
    text = json.dumps(_finite(_record(exported, with_maps)), ensure_ascii=False, allow_nan=False, indent=1)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")


def _record(exported: ExportedStudy, with_maps: bool) -> dict[str, Any]:
    correction = exported.correction
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "disclaimer": DISCLAIMER,
        "exported_at": exported.exported_at.isoformat(),
        "app_version": exported.app_version,
        "study": {
            "id": exported.study.id,
            "indication": exported.study.indication,
            "images": [_image(radiograph) for radiograph in exported.radiographs],
        },
        "report": exported.report.to_dict(),
        "correction": None if correction is None else asdict(correction),
        "differences": None
        if correction is None
        else [asdict(piece) for piece in differences(exported.report.text, correction.text)],
        "reference": exported.reference,
        "findings": {
            "labeler": LABELER,
            "rows": _findings(exported),
        },
        "notes": list(exported.notes),
        "maps": [_map(heatmap, with_maps) for heatmap in exported.maps],
    }


def _image(radiograph: Radiograph) -> dict[str, Any]:
    height, width = radiograph.pixels.shape
    return {
        "view": radiograph.view,
        "height": height,
        "width": width,
        "spacing_mm": radiograph.spacing_mm,
        "pixels_sha256": radiograph.sha256,
        "provenance": asdict(radiograph.provenance),
    }


def _findings(exported: ExportedStudy) -> list[dict[str, Any]]:
    """Label of each text and probability by the classifier, a row for each finding of the report."""
    texts = {"correction": exported.correction and exported.correction.text, "reference": exported.reference}
    labels = {
        name: {} if text is None else {finding.name: str(finding.status) for finding in label_report(text)}
        for name, text in texts.items()
    }
    return [
        {"name": finding.name, "report": finding.status, "probability": finding.probability}
        | {name: of_text.get(finding.name) for name, of_text in labels.items()}
        for finding in exported.report.findings
    ]


def _map(heatmap: Heatmap, with_values: bool) -> dict[str, Any]:
    described = {
        "target": heatmap.target,
        "method": heatmap.method,
        "layer": heatmap.layer,
        "reduction": heatmap.reduction,
        "span": heatmap.span,
        "shape": list(heatmap.values.shape),
    }
    return described | ({"values": heatmap.values.tolist()} if with_values else {})


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return value

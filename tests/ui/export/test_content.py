"""What a page shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from rrg.ui.export.content import content_of
from rrg.ui.export.text import printable


@dataclasses.dataclass(frozen=True)
class Supported:
    text: str
    start: int
    end: int
    support: float | None


def test_the_labels_of_the_three_texts_stand_beside_the_classifier(make_export) -> None:
    rows = {row.name: row for row in content_of(make_export()).findings}
    assert len(rows) == 14
    heart = rows["Cardiomegaly"]
    assert (heart.report, heart.correction, heart.reference, heart.changed) == ("absent", "present", "present", True)
    effusion = rows["Pleural Effusion"]
    assert (effusion.report, effusion.correction, effusion.reference) == ("present", "present", "absent")
    assert not effusion.changed
    assert rows["Pneumonia"].report == "–"
    assert (rows["Enlarged Cardiomediastinum"].classifier, rows["No Finding"].classifier) == ("6 %", "88 %")


def test_without_correction_and_reference_their_columns_are_empty(make_export) -> None:
    content = content_of(make_export(correction=None, reference=None))
    assert (content.correction, content.reference) == (None, None)
    assert {(row.correction, row.reference, row.changed) for row in content.findings} == {("", "", False)}


def test_probabilities_near_zero_and_missing_ones_are_not_rounded_away(make_export) -> None:
    report = make_export().report
    values = (0.001, None, 0.996, *[0.5] * 11)
    findings = tuple(dataclasses.replace(f, probability=p) for f, p in zip(report.findings, values, strict=True))
    rows = content_of(make_export(report=dataclasses.replace(report, findings=findings))).findings
    assert [row.classifier for row in rows[:4]] == ["< 1 %", "–", "100 %", "50 %"]


def test_support_is_shown_where_it_was_measured(make_export) -> None:
    report = make_export().report
    assert [sentence.support for sentence in content_of(make_export()).sentences] == ["", ""]
    measured = (Supported("First.", 0, 6, 0.724), Supported("Second.", 7, 14, None))
    content = content_of(make_export(report=dataclasses.replace(report, sentences=measured)))
    assert [(s.text, s.support) for s in content.sentences] == [("First.", "72%"), ("Second.", "")]


def test_a_map_has_its_method_its_layer_its_reduction_and_the_end_of_its_scale(make_export) -> None:
    first, second = content_of(make_export()).maps
    assert first.title == "The heart is normal in size."
    assert first.caption == "cross-attention, all 2 layers, mean of heads"
    assert (first.maximum, second.maximum) == ("0.0432", "0 (zero everywhere)")


def test_a_map_with_undefined_values_is_shown(make_export) -> None:
    heatmap = make_export().maps[0]
    values = np.array([[[np.nan, 2.0]], [[-1.0, 0.0]]], np.float32)
    assert content_of(make_export(maps=(dataclasses.replace(heatmap, values=values),))).maps[0].maximum == "2.00"


def test_a_correction_of_an_earlier_report_names_it(make_export) -> None:
    correction = dataclasses.replace(make_export().correction, report_id="earlier-report")
    facts = dict(content_of(make_export(correction=correction)).provenance)
    assert facts["Correction"].endswith("of the earlier report earlier-report")
    assert "earlier" not in dict(content_of(make_export()).provenance)["Correction"]


def strings(value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from strings(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from strings(entry)


def test_every_text_is_printable(hostile) -> None:
    shown = list(strings(dataclasses.asdict(content_of(hostile))))
    assert len(shown) > 100
    assert [text for text in shown if printable(text) != text] == []
    assert any("\ufffd" in text for text in shown)

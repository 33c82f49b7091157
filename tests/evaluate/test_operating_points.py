"""Text, classifier and reference of each finding, at the thresholds of the decoder."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrg.decoding.mbr import MBRConfig
from rrg.errors import InputError
from rrg.evaluate.operating_points import DEFAULT_THRESHOLD, FindingRow, decoder_thresholds, finding_rows
from rrg.labels.findings import FINDINGS, label_report
from rrg.report import Report, ReportFinding

THRESHOLDS = tuple(0.04 + i / 100 for i in range(13))


def _report(text: str, probabilities: dict[str, float | None]) -> Report:
    findings = tuple(
        ReportFinding(finding.name, str(finding.status), finding.spans, probabilities.get(finding.name, 0.0))
        for finding in label_report(text)
    )
    return Report("r", "s", text, (), (), findings, "m", "0" * 64, {}, 0.1, "2026-01-01T00:00:00+00:00")


def _row(
    text: str, probability: float | None, reference: str | None = None, thresholds: tuple[float, ...] | None = None
) -> FindingRow:
    labels = None if reference is None else label_report(reference)
    rows = finding_rows(_report(text, {"Pleural Effusion": probability}), labels, thresholds)
    return rows[FINDINGS.index("Pleural Effusion")]


@pytest.mark.parametrize(
    ("text", "probability", "flags"),
    [
        ("Effusion.", 0.9, ()),
        ("Possible effusion.", 0.9, ()),
        ("No effusion.", 0.1, ()),
        ("", 0.1, ()),
        ("Effusion.", 0.1, ("text only",)),
        ("No effusion.", 0.9, ("image only",)),
        ("", 0.5, ("image only",)),
        ("Effusion.", None, ()),
    ],
)
def test_text_against_classifier(text: str, probability: float | None, flags: tuple[str, ...]) -> None:
    assert _row(text, probability).flags == flags


@pytest.mark.parametrize(
    ("text", "reference", "flags"),
    [
        ("Effusion.", "Effusion.", ()),
        ("No effusion.", "Heart normal.", ()),
        ("Effusion.", "No effusion.", ("added",)),
        ("Heart normal.", "Possible effusion.", ("missed",)),
    ],
)
def test_text_against_reference(text: str, reference: str, flags: tuple[str, ...]) -> None:
    assert _row(text, None, reference).flags == flags


def test_both_kinds_of_flags_may_hold() -> None:
    assert _row("", 0.9, "Effusion.").flags == ("missed", "image only")


def test_the_thresholds_of_the_decoder_decide() -> None:
    row = _row("", 0.2, thresholds=THRESHOLDS)
    assert (row.threshold, row.in_image, row.flags) == (
        THRESHOLDS[FINDINGS.index("Pleural Effusion")],
        True,
        ("image only",),
    )
    assert _row("", 0.2).threshold == DEFAULT_THRESHOLD
    assert _row("", 0.2).flags == ()


def test_no_finding_has_no_threshold_in_the_decoder_and_no_flag_against_the_reference() -> None:
    report = _report("Effusion.", {"No Finding": 0.99})
    (*_, weighed) = finding_rows(report, label_report("Lungs clear."), THRESHOLDS)
    assert (weighed.threshold, weighed.in_image, weighed.flags) == (None, None, ())
    (*_, default) = finding_rows(report, label_report("Lungs clear."), None)
    assert (default.threshold, default.flags) == (DEFAULT_THRESHOLD, ("image only",))


def test_the_thresholds_are_read_from_the_decoding_settings_of_a_report() -> None:
    config = MBRConfig(finding_thresholds=THRESHOLDS)
    report = replace(_report("", {}), decoding={"consensus": config.to_dict(), "max_length": 60})
    restored = Report.from_dict(report.to_dict())
    assert decoder_thresholds(restored.decoding) == THRESHOLDS
    assert decoder_thresholds({"consensus": MBRConfig().to_dict()}) is None
    assert decoder_thresholds({"num_beams": 3}) is None


def test_another_number_of_thresholds_is_refused() -> None:
    with pytest.raises(InputError, match="5 thresholds do not fit"):
        finding_rows(_report("", {}), None, THRESHOLDS[:5])

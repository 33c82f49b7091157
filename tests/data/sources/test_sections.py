"""Sections of free-text reports. All sentences are invented."""

from __future__ import annotations

import pytest

from rrg.data.sources.sections import findings_section, report_sections

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old with cough  // evaluate for
 pneumonia

 FINDINGS:

 The lungs are clear.  The ratio is 1:2 and
 the heart is normal.

 IMPRESSION:

 Nothing acute: see above.
"""


def test_a_report_is_split_at_its_headings() -> None:
    sections = report_sections(REPORT)
    assert list(sections) == ["FINAL REPORT", "EXAMINATION", "INDICATION", "FINDINGS", "IMPRESSION"]
    assert sections["INDICATION"] == "___ year old with cough // evaluate for pneumonia"
    assert sections["IMPRESSION"] == "Nothing acute: see above."
    assert findings_section(REPORT) == "The lungs are clear. The ratio is 1:2 and the heart is normal."


@pytest.mark.parametrize(
    ("report", "findings"),
    [
        ("FINDINGS: Clear lungs. IMPRESSION: Normal.", "Clear lungs."),
        ("FINDINGS:\n\nIMPRESSION: Normal.", None),
        ("IMPRESSION: Normal.", None),
        ("FINDINGS AND IMPRESSION: Clear lungs.", None),
        ("CHEST, TWO VIEWS: \n\n FINDINGS: Clear lungs.\n\n ADDENDUM\n FINDINGS: Scar.", "Clear lungs."),
        ("", None),
    ],
)
def test_findings_section_of_a_report(report: str, findings: str | None) -> None:
    assert findings_section(report) == findings

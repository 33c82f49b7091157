"""Sections of free-text reports. All sentences are invented."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrg.data.sources.sections import findings_section, report_sections

FIXTURES = Path(__file__).parents[2] / "fixtures"

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


CASES = {
    "s50000000": "The lungs are clear. No effusion.",
    "s50000001": "There is a left basal opacity. No effusion.",
    "s50000002": "Heart size is normal. The lungs are clear.",
    "s50000003": "There is a left basal opacity.",
    "s50000004": "Single portable view.",
    "s50000005": None,
    "s50000006": None,
    "s50000007": None,
    "s50000008": "The lungs are clear. IMPRESSION Normal chest.",
    "s50000009": "The lungs are clear.",
    "s50000010": "Left basal opacity is new.",
    "s50000011": "Tube in right main bronchus.",
    "s50000012": "Small left pneumothorax on second look.",  # published: "No pneumothorax.", of two sections the last
    "s50000013": "Morning: edema.",  # published: "Evening: edema has gone."
    "s50000014": "Comparison to ___. COMPARISON: same day. The lungs are clear.",
    "s50000015": "AP view at",
    "s50000016": "The lungs are clear. No effusion.",
    "s50000017": "The lungs are clear. No effusion.",
    "s50000018": "The lungs are clear. No effusion.",  # published: None, it knows no tab before a heading
    "s50000019": None,
    "s50000020": "Lungs clear.",  # published: None, it knows no heading with a number
    "s50000021": "___",
}
"""Findings by the published parser (MIT-LCP/mimic-cxr, txt/section_parser.py), except where a comment gives its own."""


@pytest.mark.parametrize(("study", "findings"), CASES.items())
def test_findings_of_the_cases_equal_those_of_the_published_parser(study: str, findings: str | None) -> None:
    report = (FIXTURES / "mimic_sections" / f"{study}.txt").read_text(encoding="utf-8")
    assert findings_section(report) == findings


@pytest.mark.parametrize(
    "heading",
    [
        "FINDINGS",
        "FINDING",
        "FINDINS",
        "FINDINDGS",
        "FINDNINGS",
        "FINIDNGS",
        "CHEST",
        "PORTABLE CHEST",
        "PA AND LATERAL VIEWS OF THE CHEST",
        "PA AND LAT CHEST",
        "CHEST, TWO VIEWS",
        "CHEST 2 VIEWS",
        "CHEST (PORTABLE AP)",
        "AP VIEW",
        "FRONTAL AND LATERAL RADIOGRAPHS",
        "FRONTAL SEMI-UPRIGHT",
        "SINGLE VIEW OF THE CHEST",
        "LEFT RIBS",
    ],
)
def test_headings_of_the_findings(heading: str) -> None:
    report = f" FINAL REPORT\n INDICATION: Cough.\n \n {heading}:  Clear lungs.\n \n IMPRESSION:  Normal.\n"
    assert findings_section(report) == "Clear lungs."
    assert report_sections(report)["INDICATION"] == "Cough."
    assert report_sections(report)["IMPRESSION"] == "Normal."


@pytest.mark.parametrize(
    "heading",
    [
        "EXAMINATION OF THE CHEST",
        "REASON FOR PORTABLE CHEST",
        "COMPARISON CHEST FILM",
        "TECHNIQUE, PA AND LATERAL VIEWS",
        "CLINICAL INFORMATION",
        "IMPRESSION FOR CHEST",
        "PARTS",
    ],
)
def test_headings_of_other_sections(heading: str) -> None:
    assert findings_section(f" FINAL REPORT\n {heading}:  Clear lungs.\n \n IMPRESSION:  Normal.\n") is None


def test_a_heading_of_views_inside_the_findings_continues_them() -> None:
    report = " FINDINGS:  Two studies.\n AP CHEST:  Clear lungs.\n PA VIEW:\n IMPRESSION:  Normal.\n CHEST:  Other.\n"
    assert findings_section(report) == "Two studies. Clear lungs."


def test_a_line_with_a_time_is_no_heading() -> None:
    assert (
        findings_section(" FINDINGS:  Clear lungs. Seen\n AT 7:38 by phone.\n") == "Clear lungs. Seen AT 7:38 by phone."
    )


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("IMPRESSON", "IMPRESSION"),
        ("MPRESSION", "IMPRESSION"),
        ("IDICATION", "INDICATION"),
        ("COMPARSION", "COMPARISON"),
    ],
)
def test_a_misspelt_heading_gets_its_correct_name(heading: str, name: str) -> None:
    assert report_sections(f" FINDINGS:  Clear.\n \n {heading}:  Text.\n") == {"FINDINGS": "Clear.", name: "Text."}

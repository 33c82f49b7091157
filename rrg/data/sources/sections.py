"""Split a free-text report into its sections.

Which headings start the findings follows `section_parser.py` of the MIMIC-CXR code repository (Johnson et al. 2019):
also misspelt ones ("FINIDNGS") and those that name the views ("PA AND LATERAL VIEWS OF THE CHEST"). Departures:

- of two findings sections the first is used, not the last;
- a heading with a number is read too ("CHEST 2 VIEWS");
- a heading of views directly after findings continues them;
- a heading of views that also names the request or the technique ("REASON FOR PORTABLE CHEST") is no findings section.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rapidfuzz.distance import OSA

_KNOWN_SECTIONS = "FINDINGS|IMPRESSION|INDICATION|HISTORY|COMPARISON|TECHNIQUE|EXAMINATION|CONCLUSION|RECOMMENDATION"
_HEADING = re.compile(
    rf"""
    ^[ \t]* (?P<part> FINAL\ REPORT | WET\ READ | (?:FINAL\ )?ADDENDUM ) [ \t:]* $
    | ^[ \t]* (?P<line> [A-Z][A-Z0-9\ ()/,&-]+? ) [ \t]* :
    | (?<!\S) (?P<inline> {_KNOWN_SECTIONS} ) [ \t]* :
    """,
    re.MULTILINE | re.VERBOSE,
)
_AFTER_FINDINGS = frozenset({"IMPRESSION", "CONCLUSION", "RECOMMENDATION"})
"""Sections that may begin in the middle of a line of the findings. "COMPARISON: ___." there is part of the findings."""
_VIEWS = re.compile(
    r"""
    \b (?: CHEST | PORTABLE | RIBS | BONE\ WINDOW
    | (?: PA | AP | FRONTAL | LAT | LATERAL ) \ AND
    | (?: PA | AP | FRONTAL | LATERAL | ONE | TWO | SINGLE | \d ) \ VIEWS?
    | FRONTAL\ (?:SEMI-)?UPRIGHT ) \b
    """,
    re.VERBOSE,
)
_OTHER_SECTION = re.compile(
    r"FINDING|IMPRESSION|HISTORY|COMPARISON|ADDENDUM|INDICATION|REASON|CLINICAL|TECHNIQUE|EXAM|RECOMMENDATION|REFERENCE"
)
"""Words of headings that are not of the findings, although the heading may name the views."""
_SEPARATOR = re.compile(r"^[ \t]*_{10,}[ \t]*$", re.MULTILINE)
"""The line between an addendum and the report."""


def report_sections(report: str) -> dict[str, str]:
    """Split a free-text report into sections, by heading in capitals ("FINDINGS", "IMPRESSION", ...).

    Lines of a section are joined by single spaces. Of sections with the same heading (an addendum), the first that is
    not empty is used. Text before the first heading is dropped. A misspelt heading gets its correct name.
    """
    report = _SEPARATOR.sub("", report)
    headings = list(_headings(report))
    sections: dict[str, str] = {}
    ends = [*(heading.start() for heading, _ in headings[1:]), len(report)]
    previous = ""
    for (heading, name), end in zip(headings, ends, strict=False):
        body = " ".join(report[heading.end() : end].split())
        if previous == "FINDINGS" and _names_views(name) and sections["FINDINGS"]:
            sections["FINDINGS"] = f"{sections['FINDINGS']} {body}".rstrip()
            continue
        sections[name] = sections.get(name) or body
        previous = name
    return sections


def findings_section(report: str) -> str | None:
    """Text of the FINDINGS section of a report; None if it is missing or empty.

    Without one, the first section that is not empty and whose heading names the views is used, such as "CHEST, TWO
    VIEWS". A section "FINDINGS AND IMPRESSION" is not used, because it does not separate the two.
    """
    sections = report_sections(report)
    of_views = (body for name, body in sections.items() if body and _names_views(name))
    return sections.get("FINDINGS") or next(of_views, None)


def _names_views(heading: str) -> bool:
    """Whether a heading describes the views, as in "PA AND LATERAL VIEWS OF THE CHEST", and so heads the findings."""
    return bool(_VIEWS.search(heading)) and not _OTHER_SECTION.search(heading)


def _headings(report: str) -> Iterator[tuple[re.Match[str], str]]:
    """The headings of a report with their names, misspelt ones corrected."""
    name = ""
    for heading in _HEADING.finditer(report):
        text = " ".join((heading["part"] or heading["line"] or heading["inline"]).split())
        in_findings = name == "FINDINGS" or _names_views(name)
        if heading["inline"] and in_findings and text not in _AFTER_FINDINGS:
            continue
        if any(character.isdigit() for character in text) and not _names_views(text):
            continue  # a time or a size, such as "AT 7:38"
        name = _corrected(text)
        yield heading, name


def _corrected(heading: str) -> str:
    """The known section that a heading is at most one typing error away from; otherwise the heading itself."""
    known = _KNOWN_SECTIONS.split("|")
    return next((name for name in known if OSA.distance(heading, name, score_cutoff=1) <= 1), heading)

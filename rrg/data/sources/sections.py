"""Split a free-text report into its sections."""

from __future__ import annotations

import re

_KNOWN_SECTIONS = "FINDINGS|IMPRESSION|INDICATION|HISTORY|COMPARISON|TECHNIQUE|EXAMINATION|CONCLUSION|RECOMMENDATION"
_HEADING = re.compile(
    rf"""
    ^[ \t]* (?P<part> FINAL\ REPORT | WET\ READ | (?:FINAL\ )?ADDENDUM ) [ \t:]* $
    | ^[ \t]* (?P<line> [A-Z][A-Z\ ()/,&-]+? ) [ \t]* :
    | (?<!\S) (?P<inline> {_KNOWN_SECTIONS} ) [ \t]* :
    """,
    re.MULTILINE | re.VERBOSE,
)


def report_sections(report: str) -> dict[str, str]:
    """Split a free-text report into sections, by heading in capitals ("FINDINGS", "IMPRESSION", ...).

    Lines of a section are joined by single spaces. Of sections with the same heading (an addendum), the first that is
    not empty is used. Text before the first heading is dropped.
    """
    headings = list(_HEADING.finditer(report))
    sections: dict[str, str] = {}
    ends = [*(heading.start() for heading in headings[1:]), len(report)]
    for heading, end in zip(headings, ends, strict=False):
        name = " ".join((heading["part"] or heading["line"] or heading["inline"]).split())
        body = " ".join(report[heading.end() : end].split())
        sections[name] = sections.get(name) or body
    return sections


def findings_section(report: str) -> str | None:
    """Text of the FINDINGS section of a report; None if it is missing or empty.

    A section "FINDINGS AND IMPRESSION" is not used, because it does not separate the two.
    """
    sections = report_sections(report)
    return sections.get("FINDINGS") or sections.get("FINDING") or None

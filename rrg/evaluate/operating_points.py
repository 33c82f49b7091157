"""The 14 findings in the text of a report, by the image classifier, and in the reference, with their disagreements.

The classifier counts a finding as present from the threshold that the decoder used (`rrg.decoding.mbr`). The thresholds
of rare findings are low, so a probability of 10 % can mean "present".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rrg.errors import InputError
from rrg.evaluate.comparison import ASSERTED
from rrg.labels.findings import FINDINGS, Finding, Status
from rrg.report import Report

DEFAULT_THRESHOLD = 0.5
"""Threshold of all findings for a model whose decoding uses none."""

Flag = Literal["missed", "added", "text only", "image only"]
"""missed and added: text against reference; text only and image only: text against classifier."""


@dataclass(frozen=True)
class FindingRow:
    """One of the 14 findings of a report."""

    finding: str
    status: Status
    """Label of the text."""
    spans: tuple[tuple[int, int], ...]
    """Mentions in the text with this label."""
    probability: float | None
    """By the image classifier; None for a model without one."""
    threshold: float | None
    """Probability from which the finding counts as present in the image; None where there is no such point."""
    in_image: bool | None
    """Whether the probability reaches the threshold; None without probability or threshold."""
    reference: Status | None
    """Label of the reference; None without a reference."""
    flags: tuple[Flag, ...]


def decoder_thresholds(decoding: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The thresholds of the 13 findings in the decoding settings of a report (`Report.decoding`); None without any.

    The settings are those of `rrg.decoding.mbr.MBRConfig.to_dict`. Their module imports torch, which the page does not
    need at its start.
    """
    thresholds = (decoding.get("consensus") or {}).get("findings_bars") or ()
    return tuple(map(float, thresholds)) or None


def finding_rows(
    report: Report, reference: Sequence[Finding] | None, thresholds: Sequence[float] | None
) -> tuple[FindingRow, ...]:
    """Compare text, classifier and reference for each finding, in the order of the report.

    Args:
        report: A generated report.
        reference: Labels of the reference (`label_report`), or None.
        thresholds: Of the 13 findings, as `decoder_thresholds(report.decoding)` gives them. "No Finding" has no
            threshold then, since the decoder weighs only the others. None: `DEFAULT_THRESHOLD` for all 14.

    Raises InputError for another number of thresholds.
    """
    if thresholds is not None and len(thresholds) != len(FINDINGS) - 1:
        raise InputError(f"{len(thresholds)} thresholds do not fit the 13 findings: give one for each.")
    points = (
        dict.fromkeys(FINDINGS, DEFAULT_THRESHOLD)
        if thresholds is None
        else dict(zip(FINDINGS[:13], thresholds, strict=True))
    )
    labels = {} if reference is None else {finding.name: finding.status for finding in reference}
    rows = []
    for finding in report.findings:
        status, threshold = Status(finding.status), points.get(finding.name)
        in_image = None if finding.probability is None or threshold is None else finding.probability >= threshold
        # "No Finding" follows from the other findings: its difference to the reference is theirs.
        expected = None if finding.name == "No Finding" else labels.get(finding.name)
        flags = _flags(status in ASSERTED, in_image, None if expected is None else expected in ASSERTED)
        rows.append(
            FindingRow(
                finding.name,
                status,
                finding.spans,
                finding.probability,
                threshold,
                in_image,
                labels.get(finding.name),
                flags,
            )
        )
    return tuple(rows)


def _flags(in_text: bool, in_image: bool | None, in_reference: bool | None) -> tuple[Flag, ...]:
    flags: list[Flag] = []
    if in_reference is not None and in_reference is not in_text:
        flags.append("added" if in_text else "missed")
    if in_image is not None and in_image is not in_text:
        flags.append("text only" if in_text else "image only")
    return tuple(flags)

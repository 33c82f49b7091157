"""What differs between two texts in their findings: report and reference, draft and correction, several models.

The labels are those of the rule labeler (`rrg.labels.findings`), so a difference may be a mistake of its rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rrg.labels.findings import FINDINGS, Status, label_report
from rrg.labels.locations import Mention, Side, located_mentions

_STATUS_WORDS = {
    Status.PRESENT: "present",
    Status.UNCERTAIN: "uncertain",
    Status.ABSENT: "absent",
    Status.BLANK: "not mentioned",
}
Kind = Literal["agree", "missed", "added", "contradicted", "uncertain"]

ASSERTED = frozenset({Status.PRESENT, Status.UNCERTAIN})


@dataclass(frozen=True)
class FindingDifference:
    """One of the 14 findings in a report and in its reference."""

    finding: str
    report: Status
    reference: Status
    report_side: Side
    """Side of the asserted mentions; none if the finding is not asserted or has no side."""
    reference_side: Side
    kind: Kind
    """agree; missed: in the reference alone; added: in the report alone; contradicted: one negates what the other
    states, or they state it on opposite sides; uncertain: one is less certain than the other."""
    note: str
    """The difference in words, such as "left in the report, right in the reference"; also for findings that agree but
    for the side or the degree. Empty if there is none."""


@dataclass(frozen=True)
class FindingChange:
    """What a correction changes in the asserted findings, each as words such as "left pleural effusion"."""

    adds: tuple[str, ...]
    removes: tuple[str, ...]
    changes: tuple[str, ...]
    """Findings that stay, with what changed: "pneumothorax (left to right)"."""

    @property
    def sentence(self) -> str:
        """The change as one sentence for the reader."""
        parts = [("Adds", self.adds), ("Removes", self.removes), ("Changes", self.changes)]
        named = [f"{word}: {', '.join(items)}" for word, items in parts if items]
        if not named:
            return "No finding changes."
        return "; ".join([named[0], *(part[0].lower() + part[1:] for part in named[1:])]) + "."


def finding_differences(report: str, reference: str) -> tuple[FindingDifference, ...]:
    """Compare the 14 findings of a report with those of its reference, in the order of `FINDINGS`.

    A finding that one text negates and the other does not mention counts as agreement: both say that it is not there.
    """
    our_mentions, their_mentions = _asserted(report), _asserted(reference)
    rows = []
    for ours, theirs in zip(label_report(report), label_report(reference), strict=True):
        mentions = our_mentions.get(ours.name, []), their_mentions.get(ours.name, [])
        report_side, reference_side = map(_side, mentions)
        kind = _kind(ours.status, theirs.status)
        if {report_side, reference_side} == {Side.LEFT, Side.RIGHT}:
            kind = "contradicted"
        note = _note(ours.status, theirs.status, *mentions)
        rows.append(FindingDifference(ours.name, ours.status, theirs.status, report_side, reference_side, kind, note))
    return tuple(rows)


def finding_matrix(
    texts: Mapping[str, str], reference: str | None = None
) -> dict[str, tuple[tuple[Status, Kind | None], ...]]:
    """Status of each of the 14 findings in several texts: name of a text -> cells in the order of `FINDINGS`.

    A cell has the status in the text and, if there is a reference, the kind of difference to it (else None).
    """
    if reference is None:
        return {name: tuple((finding.status, None) for finding in label_report(text)) for name, text in texts.items()}
    return {
        name: tuple((row.report, row.kind) for row in finding_differences(text, reference))
        for name, text in texts.items()
    }


def finding_change(before: str, after: str) -> FindingChange:
    """Find which of the 13 findings a correction adds, removes, or states with another side, degree or certainty."""
    old, new = _asserted(before), _asserted(after)
    adds, removes, changes = [], [], []
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            adds.append(_named(name, new[name]))
        elif name not in new:
            removes.append(_named(name, old[name]))
        elif changed := _changed(old[name], new[name]):
            changes.append(f"{name.lower()} ({changed})")
    return FindingChange(tuple(adds), tuple(removes), tuple(changes))


def _kind(report: Status, reference: Status) -> Kind:
    if report is reference or (report not in ASSERTED and reference not in ASSERTED):
        return "agree"
    if Status.UNCERTAIN in (report, reference):
        return "uncertain"
    if report is Status.PRESENT:
        return "contradicted" if reference is Status.ABSENT else "added"
    return "contradicted" if report is Status.ABSENT else "missed"


def _note(report: Status, reference: Status, ours: list[Mention], theirs: list[Mention]) -> str:
    if not ours and not theirs:
        return ""
    pairs = [(_STATUS_WORDS[report], _STATUS_WORDS[reference])]
    if ours and theirs:
        pairs += [(_side_word(_side(ours)), _side_word(_side(theirs))), (_degree(ours), _degree(theirs))]
    named = [(first, second) for first, second in pairs if first != second and first and second]
    if not named:
        return ""
    return f"{', '.join(p[0] for p in named)} in the report, {', '.join(p[1] for p in named)} in the reference"


def _asserted(text: str) -> dict[str, list[Mention]]:
    """The asserted mentions of the 13 findings, by name, in the order of `FINDINGS`."""
    found: dict[str, list[Mention]] = {}
    for mention in located_mentions(text):
        if mention.status in ASSERTED and mention.name in FINDINGS:
            found.setdefault(mention.name, []).append(mention)
    return {name: found[name] for name in FINDINGS if name in found}


def _side(mentions: list[Mention]) -> Side:
    named = {mention.side for mention in mentions} - {Side.NONE}
    if not named:
        return Side.NONE
    return named.pop() if len(named) == 1 else Side.BOTH


def _degree(mentions: list[Mention]) -> str:
    degrees = {mention.severity for mention in mentions} - {""}
    return degrees.pop() if len(degrees) == 1 else ""


def _certain(mentions: list[Mention]) -> bool:
    return any(mention.status is Status.PRESENT for mention in mentions)


def _side_word(side: Side) -> str:
    return {Side.BOTH: "bilateral", Side.NONE: ""}.get(side, str(side))


def _named(name: str, mentions: list[Mention]) -> str:
    certainty = "" if _certain(mentions) else "possible"
    return " ".join(filter(None, (certainty, _side_word(_side(mentions)), name.lower())))


def _changed(old: list[Mention], new: list[Mention]) -> str:
    """What differs between the mentions of a finding in two texts, in words; empty if nothing does."""
    pairs = [
        (_side_word(_side(old)) or "no side", _side_word(_side(new)) or "no side"),
        (_degree(old) or "no degree", _degree(new) or "no degree"),
        ("stated" if _certain(old) else "possible", "stated" if _certain(new) else "possible"),
    ]
    return ", ".join(f"{before} to {after}" for before, after in pairs if before != after)

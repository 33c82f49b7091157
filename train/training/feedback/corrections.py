"""Corrections for training: read from the export, reduced to those that a model can learn from, and divided."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from rrg.data.studies import Study
from rrg.data.text import is_blank
from rrg.errors import InputError

NAMED = 10
"""Studies that a message names; it counts the others."""

_Name = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class CorrectedReport:
    """One line of the export of corrections in the format jsonl. Fields that it has in addition are ignored."""

    study_id: _Name
    model: _Name
    """The model that generated the report."""
    weights_sha256: str
    generated_text: str
    corrected_text: str
    reader: str
    correction_id: str | None = None
    parent_id: str | None = None
    """The version that this one replaces."""
    status: str | None = None
    """`withdrawn`: the version withdraws its parent."""
    verdict: str | None = None
    """`accept`, `minor`, `major` or `reject`; None where the text alone was saved."""

    @property
    def is_changed(self) -> bool:
        """Whether the reader changed more than spaces and line breaks."""
        return self.generated_text.split() != self.corrected_text.split()


_LINE = TypeAdapter(CorrectedReport)


@dataclass(frozen=True)
class LeftOut:
    """Corrections that are not used."""

    reason: str
    study_ids: tuple[str, ...]

    def __str__(self) -> str:
        studies = list(dict.fromkeys(self.study_ids))
        named = ", ".join(studies[:NAMED]) + (", ..." if len(studies) > NAMED else "")
        return f"{len(self.study_ids)} corrections left out, {self.reason}: {named}"


@dataclass(frozen=True, eq=False)
class StudyCorrection:
    """A correction with its study, whose report is the corrected text."""

    study: Study
    correction: CorrectedReport


@dataclass(frozen=True)
class Parts:
    """Corrections by use. The corrections of one study are in one part."""

    train: tuple[StudyCorrection, ...]
    stopping: tuple[StudyCorrection, ...]
    """They choose the checkpoint, together with val."""
    held_out: tuple[StudyCorrection, ...]
    """The figures before and after come from them."""


def read_corrections(path: Path) -> list[CorrectedReport]:
    """Read an export as JSON lines. Raises InputError for a file or a line that cannot be read; it names the line."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The corrections in {path} cannot be read ({error}). Write the file with `python -m rrg feedback export`."
        ) from error
    corrections = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            corrections.append(_LINE.validate_json(line, strict=True))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the whole line"
            raise InputError(
                f"Line {number} of {path} is no correction ({place}: {first['msg']}). "
                "Write the file with `python -m rrg feedback export --format jsonl`."
            ) from error
    if not corrections:
        raise InputError(f"{path} holds no correction. Correct reports in the app, then export them.")
    return corrections


def usable_corrections(
    corrections: Sequence[CorrectedReport], model: str, studies: Mapping[str, Study], with_test: bool = False
) -> tuple[list[StudyCorrection], list[LeftOut]]:
    """The corrections that a model can learn from, and the others by reason.

    Args:
        corrections: All lines of an export.
        model: Name of the model that goes on training.
        studies: The studies of the data folder, by id.
        with_test: Also use the corrections of studies in the split `test`.

    Raises:
        InputError: no correction is left; the message names the reasons.
    """
    replaced = {correction.parent_id for correction in corrections}
    used: list[StudyCorrection] = []
    left_out: dict[str, list[str]] = {}
    for correction in corrections:
        study = studies.get(correction.study_id)
        if correction.status == "withdrawn":
            continue  # no report of a reader
        if correction.correction_id is not None and correction.correction_id in replaced:
            reason = "replaced or withdrawn by their readers"
        elif correction.model != model:
            reason = f"of reports by other models than {model}"
        elif is_blank(correction.corrected_text):
            reason = "without a text"
        elif correction.verdict == "reject" and not correction.is_changed:
            reason = "rejected and not written again"
        elif study is None:
            reason = "of studies that are not in the data folder"
        elif study.split == "test" and not with_test:
            reason = "of studies in the split test, which judges models (--with-test uses them)"
        else:
            used.append(StudyCorrection(_with_report(study, correction.corrected_text), correction))
            continue
        left_out.setdefault(reason, []).append(correction.study_id)
    reasons = [LeftOut(reason, tuple(ids)) for reason, ids in left_out.items()]
    if not used:
        raise InputError(f"No correction is left to learn from. {'. '.join(map(str, reasons))}.")
    return used, reasons


def divide(corrections: Sequence[StudyCorrection], held_out: float, stopping: float) -> Parts:
    """Divide corrections by their studies into train, stopping and held-out ones.

    The part of a study follows from its id alone, so that a study stays in its part when corrections are added.

    Args:
        corrections: What `usable_corrections` returns.
        held_out: Share of the studies whose corrections are held out, 0 to 1.
        stopping: Share of the studies whose corrections choose the checkpoint.

    Raises:
        InputError: a share is out of range, or no correction is left to train on.
    """
    if held_out < 0 or stopping < 0 or held_out + stopping >= 1:
        raise InputError(
            f"--held-out {held_out} and --stopping {stopping} leave nothing to train on. Their sum is below 1."
        )
    parts: dict[str, list[StudyCorrection]] = {"train": [], "stopping": [], "held_out": []}
    for correction in corrections:
        place = _place(correction.study.id)
        part = "held_out" if place < held_out else "stopping" if place < held_out + stopping else "train"
        parts[part].append(correction)
    if not parts["train"]:
        raise InputError(
            f"All {len(corrections)} corrections are held out: there are too few studies. Correct more reports, or "
            "lower --held-out and --stopping."
        )
    return Parts(**{name: tuple(part) for name, part in parts.items()})


def readers(corrections: Iterable[StudyCorrection]) -> int:
    """Number of readers who wrote the corrections."""
    return len({each.correction.reader for each in corrections})


def _place(study_id: str) -> float:
    """A number in [0, 1) that follows from the id."""
    return int(hashlib.sha256(study_id.encode()).hexdigest()[:8], 16) / 2**32


def _with_report(study: Study, text: str) -> Study:
    return Study(study.id, study.images, text, study.indication, study.impression, study.split)

"""What the page of an evaluation shows: tables, scores of each study, labels, reliability, single studies."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.evaluate.clinical import outcome_counts
from rrg.evaluate.comparison import finding_differences
from rrg.evaluate.evaluation_page.reliability import Reliability, classifier_reliability, support_reliability
from rrg.evaluate.significance import Interval
from rrg.evaluate.study_scores import pair_scores
from rrg.labels.findings import Status, label_report
from rrg.report import Report

SHOWN = 5
"""Studies at either end."""
PICTURE_SIDE = 300
"""Longest side of a study's pictures in pixels."""
STATUSES = (Status.PRESENT, Status.UNCERTAIN, Status.ABSENT, Status.BLANK)


@dataclass(frozen=True)
class Table:
    """A table of texts; the first cell of a row is its heading."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class ShownStudy:
    """One study with its report beside the reference."""

    study_id: str
    reference: str
    report: str
    scores: str
    differences: tuple[str, ...]
    """Such as "Edema: missed"."""
    pictures: tuple[str, ...]
    """Data URIs; empty where the images cannot be read."""


@dataclass(frozen=True, eq=False)
class PageContent:
    """Everything that the page of an evaluation shows."""

    title: str
    facts: dict[str, str]
    """What was evaluated, and how."""
    tables: tuple[Table, ...]
    scores: dict[str, dict[str, np.ndarray]]
    """Metric -> system -> score of each study [N]. The evaluated system is the first, floors follow."""
    outcomes: np.ndarray
    """int [14, 3]: true positives, false positives, false negatives of the evaluated system by finding."""
    statuses: np.ndarray
    """int [4, 4]: labels of the 13 findings in the references (rows) and the reports, in the order of `STATUSES`."""
    classifier: Reliability | None
    support: Reliability | None
    worst: tuple[ShownStudy, ...]
    best: tuple[ShownStudy, ...]
    notes: tuple[str, ...]


def page_content(
    title: str,
    facts: Mapping[str, str],
    tables: Sequence[Table],
    systems: Mapping[str, Mapping[str, str]],
    references: Mapping[str, str],
    studies: Iterable[Study] = (),
    reports: Sequence[Report] = (),
    notes: Sequence[str] = (),
) -> PageContent:
    """Collect the content of a page.

    Args:
        title: Heading of the page.
        facts: What was evaluated, and how.
        tables: Figures.
        systems: Name -> study id -> text; the evaluated system is the first.
        references: Study id -> reference report.
        studies: The studies whose images may be shown.
        reports: The reports of the evaluated system in the order of `references`, where more than texts is known.
        notes: What was left out, empty or missing.
    """
    targets, names = list(references.values()), list(references)
    ordered = {name: [texts.get(study, "") for study in references] for name, texts in systems.items()}
    pairs = {name: pair_scores(texts, targets) for name, texts in ordered.items()}
    evaluated, *_ = ordered
    texts, own_scores = ordered[evaluated], pairs[evaluated]
    by_id = {study.id: study for study in studies}

    def shown(index: int) -> ShownStudy:
        scores = {metric: float(values[index]) for metric, values in own_scores.items()}
        return _shown(names[index], targets[index], texts[index], scores, by_id.get(names[index]))

    ranked = _ranking(own_scores)
    count = min(SHOWN, len(names) // 2)
    statuses = np.zeros((len(STATUSES), len(STATUSES)), dtype=np.int64)
    own, truth = (np.array([_statuses(text) for text in of]) for of in (texts, targets))  # [N, 14]
    np.add.at(statuses, (truth[:, :13], own[:, :13]), 1)
    return PageContent(
        title,
        dict(facts),
        tuple(tables),
        {metric: {name: scores[metric] for name, scores in pairs.items()} for metric in own_scores},
        outcome_counts(own < 2, truth < 2).sum(axis=0),
        statuses,
        classifier_reliability(reports, targets) if reports else None,
        support_reliability(reports, targets) if reports else None,
        tuple(shown(i) for i in ranked[:count]),
        tuple(shown(i) for i in ranked[::-1][:count]),
        tuple(notes),
    )


def figures_table(
    title: str, note: str, figures: Mapping[str, Mapping[str, Interval]], metrics: Sequence[str]
) -> Table:
    """A table of systems (rows) and metrics (columns), each figure with its interval."""
    shown = [metric for metric in metrics if any(metric in row for row in figures.values())]
    rows = (
        (name, *(_cell(row[metric]) if metric in row else "not computed" for metric in shown))
        for name, row in figures.items()
    )
    return Table(title, note, ("", *shown), tuple(rows))


def _cell(figure: Interval) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _ranking(scores: Mapping[str, np.ndarray]) -> list[int]:
    """Indices of the studies from the worst to the best: by the F1 of findings, then by ROUGE-L."""
    return np.lexsort((scores["ROUGE-L"], scores["Findings F1"])).tolist()


def _statuses(text: str) -> list[int]:
    return [STATUSES.index(finding.status) for finding in label_report(text)]


def _shown(name: str, reference: str, report: str, scores: Mapping[str, float], study: Study | None) -> ShownStudy:
    differences = tuple(
        f"{one.finding}: {one.kind}" for one in finding_differences(report, reference) if one.kind != "agree"
    )
    words = ", ".join(f"{metric} {value:.2f}" for metric, value in scores.items())
    return ShownStudy(name, reference, report, words, differences, pictures(study) if study else ())


def pictures(study: Study) -> tuple[str, ...]:
    """The radiographs of a study as small JPEGs in data URIs; none where an image cannot be read."""
    try:
        radiographs = study.radiographs()
    except InputError:
        return ()
    return tuple(_picture(radiograph.pixels) for radiograph in radiographs)


def _picture(pixels: np.ndarray) -> str:
    """`pixels`: float [H, W] in [0, 1]."""
    image = Image.fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8))
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"

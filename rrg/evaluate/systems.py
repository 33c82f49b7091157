"""Score and compare texts of any systems against the references of a data folder.

`rrg.evaluate.run` evaluates a model, which can also be given other images; here only texts are known.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rrg.data.annotation import load_annotation, read_annotation
from rrg.data.files import write_text
from rrg.data.studies import Study
from rrg.data.text import is_blank
from rrg.errors import InputError
from rrg.evaluate import protocols
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.evaluation_page import PageContent, figures_table, page_content, write_page
from rrg.evaluate.floors import NORMAL_TEMPLATE
from rrg.evaluate.language import language_scores
from rrg.evaluate.predictions import Predictions, System
from rrg.evaluate.scorers import Scorer
from rrg.evaluate.significance import (
    Difference,
    Interval,
    Measure,
    holm,
    intervals,
    mean_of_runs,
    paired_difference,
)
from rrg.labels.findings import LABELER

Key = tuple[str, str]
"""Group and metric."""
METRICS: tuple[Key, ...] = (
    ("raw", "BLEU-4"),
    ("raw", "METEOR"),
    ("raw", "ROUGE-L"),
    ("raw", "CIDEr"),
    ("clinical", "micro-F1-13"),
    ("clinical", "macro-F1-13"),
    ("clinical", "clinical-terms-F1"),
    ("clinical", "accuracy-14"),
)
"""The columns that need no further scorer."""
TEMPLATE = "normal template"
_LISTED = 5


@dataclass(frozen=True, eq=False)
class Scored:
    """The measures of several systems on the same studies."""

    references: dict[str, str]
    """Study id -> reference report."""
    runs: dict[str, list[dict[Key, Measure]]]
    """System -> the measures of each of its runs."""
    columns: tuple[Key, ...]
    """The metrics of a table."""
    scorers: dict[str, str]
    """Group of a further scorer -> its description."""
    not_computed: dict[str, str]
    """Metric -> why it is missing."""
    notes: tuple[str, ...]
    """What was empty, missing, left out or not known, with counts and ids."""

    @property
    def studies(self) -> tuple[str, ...]:
        """Ids of the studies, in the order of the measures."""
        return tuple(self.references)

    def measure(self, system: str, key: Key) -> Measure:
        """A measure of a system: the mean of its runs."""
        return mean_of_runs([run[key] for run in self.runs[system]])

    def figures(self) -> dict[str, dict[Key, Interval]]:
        """System -> metric -> mean figure of its runs, with the bootstrap interval over studies."""
        return {name: intervals({key: self.measure(name, key) for key in runs[0]}) for name, runs in self.runs.items()}

    def deviations(self) -> dict[str, dict[Key, float]]:
        """System with several runs -> metric -> standard deviation of the figure over its runs."""
        return {
            name: {key: float(np.std([run[key].value for run in runs], ddof=1)) for key in runs[0]}
            for name, runs in self.runs.items()
            if len(runs) > 1
        }


@dataclass(frozen=True)
class Comparison:
    """A metric of system `a` minus that of system `b`."""

    a: str
    b: str
    metric: str
    difference: Difference
    adjusted_p: float
    """p of the approximate randomization test with Holm's correction over all comparisons of the call."""


@dataclass(frozen=True)
class Evaluated:
    """What `evaluate_predictions` scored and wrote."""

    table: str
    folder: Path
    scored: Scored = field(repr=False)


def score(
    systems: Sequence[System], data: Path | str, split: str, *, meteor: bool = True, scorers: Sequence[Scorer] = ()
) -> Scored:
    """Score systems on the studies of a split that have a reference; a study without a text has an empty one.

    Raises InputError for two systems of one name, an unknown split, or a system without any study of the split.
    """
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise InputError(f"Two systems have one name ({', '.join(names)}). Rename a file.")
    references = read_references(data, split)
    notes: list[str] = []
    texts: dict[tuple[str, int], dict[str, str]] = {}
    for system in systems:
        for index, run in enumerate(system.runs):
            notes += _notes(run, references)
            if not run.texts.keys() & references.keys():
                raise InputError(
                    f"{run.name} has no text for any study of the split {split!r} in {data}. Its ids are like "
                    f"{next(iter(run.texts))!r}, those of the data like {next(iter(references))!r}."
                )
            texts[system.name, index] = {study: run.texts.get(study, "") for study in references}
    labelled = {f"{name} {index}": own for (name, index), own in texts.items()}
    language = language_scores(
        {name: {study: protocols.ptb_words(text) for study, text in own.items()} for name, own in labelled.items()},
        {study: protocols.ptb_words(text) for study, text in references.items()},
        meteor=meteor,
    )
    targets = list(references.values())
    ordered = {name: list(own.values()) for name, own in labelled.items()}
    further = {scorer.group: scorer.measures(ordered, targets) for scorer in scorers}
    columns = (*METRICS, *((scorer.group, metric) for scorer in scorers for metric in scorer.columns))
    runs: dict[str, list[dict[Key, Measure]]] = {}
    for name, index in texts:
        run = f"{name} {index}"
        every = {"raw": language[run].measures, "clinical": clinical_scores(ordered[run], targets).measures}
        every |= {group: by_run[run] for group, by_run in further.items()}
        shown = {key: every[key[0]][key[1]] for key in columns if key[1] in every[key[0]]}
        whole = {(group, metric): m for group in further for metric, m in every[group].items()}
        runs.setdefault(name, []).append(shown | whole)
    missing = {metric: why for row in language.values() for metric, why in row.not_computed.items()}
    described = {scorer.group: scorer.description for scorer in scorers}
    present = next(iter(runs.values()))[0]
    kept = tuple(key for key in columns if key in present)
    return Scored(references, runs, kept, described, missing if meteor else {}, tuple(notes))


def read_references(data: Path | str, split: str) -> dict[str, str]:
    """Study id -> reference report, of the studies of a split that have one. The images need not be there.

    Raises InputError for an unknown split, and for one without a report.
    """
    records = load_annotation(Path(data) / "annotation.json").get(split, [])
    texts = {str(record["id"]): (record.get("report") or "").strip() for record in records}
    references = {study: text for study, text in texts.items() if not is_blank(text)}
    if not references:
        raise InputError(f"{data} has no study with a report in the split {split!r}. Name another one by --split.")
    return references


def normal_template(data: Path | str, split: str) -> System:
    """The hand-written normal report for every study, as a system."""
    texts = dict.fromkeys(read_references(data, split), NORMAL_TEMPLATE)
    return System(TEMPLATE, (Predictions(TEMPLATE, texts, (), ()),))


def _notes(run: Predictions, references: Mapping[str, str]) -> Iterator[str]:
    missing = [study for study in references if study not in run.texts]
    empty = [study for study in run.empty if study in references]
    unknown = [study for study in run.texts if study not in references]
    counted = (
        (missing, "studies without a row, scored as empty texts"),
        (empty, "empty texts"),
        (run.broken, "rows that cannot be used, left out"),
        (unknown, "ids that are not in the split, left out"),
    )
    for found, what in counted:
        if found:
            listed = ", ".join(found[:_LISTED]) + (", ..." if len(found) > _LISTED else "")
            yield f"{run.name}: {what}: {len(found)} ({listed})"


def evaluate_predictions(
    system: Predictions,
    data: Path | str,
    split: str,
    out: Path | str,
    scorers: Sequence[Scorer] = (),
    images: bool = True,
) -> Evaluated:
    """Score one system beside the normal template.

    Written are predictions.jsonl, scores.json, evaluation.html and evaluation.md in `out`/NAME-SPLIT; the page shows
    the images of the worst and best studies where the data folder has them and `images` is True.

    Raises InputError as `score`, and where the system has the template's name.
    """
    data = Path(data)
    own = System(system.name, (system,))
    scored = score([own, normal_template(data, split)], data, split, scorers=scorers)
    figures = scored.figures()
    record: dict[str, Any] = {
        "system": system.name,
        "data": data.resolve().name,
        "split": split,
        "studies": len(scored.studies),
        "protocol": protocols.RAW.description,
        "labeler": LABELER,
        "scorers": scored.scorers,
        "figures": {name: _flat({key: asdict(one) for key, one in row.items()}) for name, row in figures.items()},
        "not_computed": scored.not_computed,
        "notes": scored.notes,
    }
    target = Path(out) / f"{system.name}-{split}"
    lines = ({"id": study, "text": system.texts.get(study, "")} for study in scored.studies)
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    write_text(target / "predictions.jsonl", text)
    write_text(target / "scores.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    write_page(_page(system, scored, data, split, images), target)
    table = "\n".join([*_table(scored, split), *_ends(scored), "", f"Saved {target}"])
    return Evaluated(table, target, scored)


def _page(system: Predictions, scored: Scored, data: Path, split: str, images: bool) -> PageContent:
    figures = {
        name: {_column(key): one for key, one in row.items() if key in scored.columns}
        for name, row in scored.figures().items()
    }
    columns = [_column(key) for key in scored.columns]
    note = f"Language metrics: {protocols.RAW.description}. Findings: {LABELER}."
    notes = [*scored.notes, *(f"{metric}: {why}" for metric, why in scored.not_computed.items())]
    studies: list[Study] = []
    if images:
        try:
            studies = read_annotation(data, split)
        except InputError:  # texts are scored without the images too
            notes.append("The data folder does not have the images, so none are shown.")
    return page_content(
        f"{system.name} on {split} of {data.resolve().name}",
        {"System": system.name, "Studies": f"{len(scored.studies)} of {data.resolve().name}, split {split}"}
        | {f"Scorer {group}": description for group, description in scored.scorers.items()},
        [figures_table("Metrics", note, figures, columns)],
        {system.name: system.texts, TEMPLATE: dict.fromkeys(scored.studies, NORMAL_TEMPLATE)},
        scored.references,
        studies,
        notes=notes,
    )


def _flat(row: Mapping[Key, Any]) -> dict[str, Any]:
    """The names of the metrics; those of a further scorer with its group, since two groups share names."""
    return {
        metric if group in ("raw", "clinical") else f"{group} {metric}": value for (group, metric), value in row.items()
    }


def compare(systems: Sequence[System], data: Path | str, split: str, scorers: Sequence[Scorer] = ()) -> str:
    """Figures of two or more systems, and their paired differences; METEOR is left out.

    The figures of a system with several runs are their means, with the standard deviation over the runs.

    Raises InputError as `score`, and for fewer than two systems.
    """
    if len(systems) < 2:
        raise InputError("Name at least two files of predictions to compare.")
    template = [] if any(system.name == TEMPLATE for system in systems) else [normal_template(data, split)]
    scored = score([*systems, *template], data, split, meteor=False, scorers=scorers)
    lines = [*_table(scored, split), ""]
    lines.append(
        "Paired differences: 95 % bootstrap interval over studies; p of the approximate randomization test, then with "
        "Holm's correction over all lines"
    )
    if scored.deviations():
        lines.append("Of several seeds the means are compared; the variation between seeds is not part of the test.")
    found = comparisons(scored, [system.name for system in systems])
    width = max(len(f"{one.a} - {one.b}") for one in found)
    metric_width = max(len(one.metric) for one in found)
    for one in found:
        d = one.difference
        lines.append(
            f"{f'{one.a} - {one.b}':<{width}}  {one.metric:<{metric_width}}  {d.value:+.3f} "
            f"[{d.low:+.3f}, {d.high:+.3f}]  p {d.p:.4f}  Holm {one.adjusted_p:.4f}"
        )
    return "\n".join([*lines, *_ends(scored)])


def comparisons(scored: Scored, systems: Sequence[str] | None = None) -> list[Comparison]:
    """All pairs of systems in all metrics of the table; of the systems named, if any are."""
    pairs = [(a, b, key) for a, b in itertools.combinations(systems or scored.runs, 2) for key in scored.columns]
    differences = [_difference(scored.runs[a], scored.runs[b], key) for a, b, key in pairs]
    adjusted = holm([difference.p for difference in differences])
    names = [_column(key) for key in scored.columns]
    return [
        Comparison(a, b, names[scored.columns.index(key)], difference, p)
        for (a, b, key), difference, p in zip(pairs, differences, adjusted, strict=True)
    ]


def _difference(a: Sequence[Mapping[Key, Measure]], b: Sequence[Mapping[Key, Measure]], key: Key) -> Difference:
    count = math.lcm(len(a), len(b))
    one, other = (mean_of_runs([run[key] for run in runs], count // len(runs)) for runs in (a, b))
    return paired_difference(one, other)


def _column(key: Key) -> str:
    group, metric = key
    return metric if group in ("raw", "clinical") or metric.lower().startswith(group) else f"{group} {metric}"


def _table(scored: Scored, split: str) -> Iterator[str]:
    yield f"{len(scored.studies)} studies of {split}; {protocols.RAW.description}"
    yield f"F1-13, accuracy-14 and clinical terms: {LABELER}"
    yield from (f"{group}: {description}" for group, description in scored.scorers.items())
    figures, deviations = scored.figures(), scored.deviations()
    over = {name: f"{name}, deviation over {len(scored.runs[name])} seeds" for name in deviations}
    width = max(map(len, [*figures, *over.values()]))
    names = [_column(key) for key in scored.columns]
    yield " " * width + "".join(f"  {name:>17}" for name in names)
    for name, row in figures.items():
        cells = (f"{row[key].value:.3f} [{row[key].low:.2f}, {row[key].high:.2f}]" for key in scored.columns)
        yield f"{name:<{width}}" + _cells(cells, names)
        if name in deviations:
            yield f"{over[name]:<{width}}" + _cells((f"± {deviations[name][key]:.3f}" for key in scored.columns), names)


def _cells(cells: Iterator[str], names: Sequence[str]) -> str:
    return "".join(f"  {cell:>{max(17, len(name))}}" for cell, name in zip(cells, names, strict=True))


def _ends(scored: Scored) -> Iterator[str]:
    yield from (f"{metric}: {why}" for metric, why in scored.not_computed.items())
    yield from scored.notes

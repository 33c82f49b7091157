"""Score and compare texts of any systems against the references of a data folder.

`rrg.evaluate.run` evaluates a model, which can also be given other images; here only texts are known.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rrg.data.annotation import load_annotation
from rrg.data.files import write_text
from rrg.data.text import is_blank
from rrg.errors import InputError
from rrg.evaluate import protocols
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.floors import NORMAL_TEMPLATE
from rrg.evaluate.language import language_scores
from rrg.evaluate.predictions import Predictions
from rrg.evaluate.significance import Difference, Interval, Measure, holm, intervals, paired_difference

METRICS = (
    ("raw", "BLEU-4"),
    ("raw", "METEOR"),
    ("raw", "ROUGE-L"),
    ("raw", "CIDEr"),
    ("clinical", "micro-F1-13"),
    ("clinical", "macro-F1-13"),
    ("clinical", "clinical-terms-F1"),
)
"""Group and metric of each column."""
TEMPLATE = "normal template"
_LISTED = 5


@dataclass(frozen=True, eq=False)
class Scored:
    """The measures of several systems on the same studies."""

    studies: tuple[str, ...]
    measures: dict[str, dict[tuple[str, str], Measure]]
    """System -> group and metric -> measure."""
    not_computed: dict[str, str]
    """Metric -> why it is missing."""
    notes: tuple[str, ...]
    """What was empty, missing, left out or not known, with counts and ids."""


@dataclass(frozen=True)
class Comparison:
    """A metric of system `a` minus that of system `b`."""

    a: str
    b: str
    metric: str
    difference: Difference
    adjusted_p: float
    """p of the approximate randomization test with Holm's correction over all comparisons of the call."""


def score(systems: Sequence[Predictions], data: Path, split: str, *, meteor: bool = True) -> Scored:
    """Score systems on the studies of a split that have a reference; a study without a text has an empty one.

    Raises InputError for two systems of one name, an unknown split, or a system without any study of the split.
    """
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise InputError(f"Two systems have one name ({', '.join(names)}). Rename a file.")
    references = read_references(data, split)
    notes: list[str] = []
    texts: dict[str, dict[str, str]] = {}
    for system in systems:
        notes += _notes(system, references)
        if not system.texts.keys() & references.keys():
            raise InputError(
                f"{system.name} has no text for any study of the split {split!r} in {data}. Its ids are like "
                f"{next(iter(system.texts))!r}, those of the data like {next(iter(references))!r}."
            )
        texts[system.name] = {study: system.texts.get(study, "") for study in references}
    lines = {study: protocols.ptb_words(text) for study, text in references.items()}
    language = language_scores(
        {name: {study: protocols.ptb_words(text) for study, text in own.items()} for name, own in texts.items()},
        lines,
        meteor=meteor,
    )
    measures = {}
    for name, own in texts.items():
        clinical = clinical_scores(list(own.values()), list(references.values()))
        every = {"raw": language[name].measures, "clinical": clinical.measures}
        measures[name] = {key: every[key[0]][key[1]] for key in METRICS if key[1] in every[key[0]]}
    missing = {metric: why for row in language.values() for metric, why in row.not_computed.items()}
    return Scored(tuple(references), measures, missing if meteor else {}, tuple(notes))


def read_references(data: Path, split: str) -> dict[str, str]:
    """Study id -> reference report, of the studies of a split that have one. The images need not be there.

    Raises InputError for an unknown split, and for one without a report.
    """
    records = load_annotation(Path(data) / "annotation.json").get(split, [])
    texts = {str(record["id"]): (record.get("report") or "").strip() for record in records}
    references = {study: text for study, text in texts.items() if not is_blank(text)}
    if not references:
        raise InputError(f"{data} has no study with a report in the split {split!r}. Name another one by --split.")
    return references


def _notes(system: Predictions, references: Mapping[str, str]) -> Iterator[str]:
    missing = [study for study in references if study not in system.texts]
    empty = [study for study in system.empty if study in references]
    unknown = [study for study in system.texts if study not in references]
    counted = (
        (missing, "studies without a row, scored as empty texts"),
        (empty, "empty texts"),
        (system.broken, "rows that cannot be used, left out"),
        (unknown, "ids that are not in the split, left out"),
    )
    for found, what in counted:
        if found:
            listed = ", ".join(found[:_LISTED]) + (", ..." if len(found) > _LISTED else "")
            yield f"{system.name}: {what}: {len(found)} ({listed})"


def evaluate_predictions(system: Predictions, data: Path, split: str, out: Path) -> str:
    """Score one system beside the normal template, write `out`/NAME-SPLIT/scores.json, and return a table.

    Raises InputError as `score`, and where the system has the template's name.
    """
    template = Predictions(TEMPLATE, dict.fromkeys(read_references(data, split), NORMAL_TEMPLATE), (), ())
    scored = score([system, template], data, split)
    figures = {name: intervals({metric: m for (_, metric), m in row.items()}) for name, row in scored.measures.items()}
    record: dict[str, Any] = {
        "system": system.name,
        "data": data.resolve().name,
        "split": split,
        "studies": len(scored.studies),
        "protocol": protocols.RAW.description,
        "figures": {name: {metric: asdict(figure) for metric, figure in row.items()} for name, row in figures.items()},
        "not_computed": scored.not_computed,
        "notes": scored.notes,
    }
    target = out / f"{system.name}-{split}"
    lines = ({"id": study, "text": system.texts.get(study, "")} for study in scored.studies)
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    write_text(target / "predictions.jsonl", text)
    write_text(target / "scores.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return "\n".join([*_table(figures, len(scored.studies), split), *_ends(scored), "", f"Saved {target}"])


def compare(systems: Sequence[Predictions], data: Path, split: str) -> str:
    """Figures of two or more systems, and their paired differences; METEOR is left out.

    Raises InputError as `score`, and for fewer than two systems.
    """
    if len(systems) < 2:
        raise InputError("Name at least two files of predictions to compare.")
    scored = score(systems, data, split, meteor=False)
    figures = {name: intervals({metric: m for (_, metric), m in row.items()}) for name, row in scored.measures.items()}
    lines = [*_table(figures, len(scored.studies), split), ""]
    lines.append(
        "Paired differences: 95 % bootstrap interval; p of the approximate randomization test, then with Holm's "
        "correction over all lines"
    )
    found = comparisons(scored)
    width = max(len(f"{one.a} - {one.b}") for one in found)
    for one in found:
        d = one.difference
        lines.append(
            f"{f'{one.a} - {one.b}':<{width}}  {one.metric:<17}  {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}]  "
            f"p {d.p:.4f}  Holm {one.adjusted_p:.4f}"
        )
    return "\n".join([*lines, *_ends(scored)])


def comparisons(scored: Scored) -> list[Comparison]:
    """All pairs of systems in all metrics."""
    pairs = [
        (a, b, key)
        for a, b in itertools.combinations(scored.measures, 2)
        for key in METRICS
        if key in scored.measures[a] and key in scored.measures[b]
    ]
    differences = [paired_difference(scored.measures[a][key], scored.measures[b][key]) for a, b, key in pairs]
    adjusted = holm([difference.p for difference in differences])
    return [
        Comparison(a, b, key[1], difference, p)
        for (a, b, key), difference, p in zip(pairs, differences, adjusted, strict=True)
    ]


def _table(figures: Mapping[str, Mapping[str, Interval]], studies: int, split: str) -> Iterator[str]:
    yield f"{studies} studies of {split}; {protocols.RAW.description}"
    columns = [metric for _, metric in METRICS if any(metric in row for row in figures.values())]
    width = max(map(len, figures))
    yield " " * width + "".join(f"  {column:>17}" for column in columns)
    for name, row in figures.items():
        cells = (f"{row[c].value:.3f} [{row[c].low:.2f}, {row[c].high:.2f}]" if c in row else "-" for c in columns)
        yield f"{name:<{width}}" + "".join(f"  {cell:>17}" for cell in cells)


def _ends(scored: Scored) -> Iterator[str]:
    yield from (f"{metric}: {why}" for metric, why in scored.not_computed.items())
    yield from scored.notes

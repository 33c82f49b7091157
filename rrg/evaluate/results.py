"""The results of an evaluation as frozen dataclasses, and `results.json`, the file that stores them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, TypeAlias

from rrg.data.files import write_text
from rrg.errors import InputError
from rrg.evaluate.behaviour import Auroc, ImageSensitivity
from rrg.evaluate.clinical import ClassScore
from rrg.evaluate.sentence_quality import SentenceQuality
from rrg.evaluate.significance import Difference, Interval
from rrg.evaluate.support_figures import SupportFigures

Figures: TypeAlias = dict[str, dict[str, dict[str, Interval]]]
"""Group ("r2gen", "raw", "clinical" or a scorer's) -> system (the model or a floor) -> metric -> figure."""


@dataclass(frozen=True)
class EvaluatedOn:
    """The studies that a model was evaluated on: equal for the same annotation, split and limit."""

    data: str
    """Name of the data folder."""
    annotation_sha256: str | None
    """None for a folder without annotation.json."""
    split: str
    limit: int | None
    """Only the first studies of the split; None for all."""


@dataclass(frozen=True)
class Provenance:
    """What is needed to repeat an evaluation."""

    evaluated_on: EvaluatedOn
    train_studies: int
    """Studies of the train split that have a report; the floors are computed from them."""
    command: str | None
    created_at: str
    """UTC, ISO 8601."""
    machine: str
    versions: dict[str, str | None]
    """Package -> version."""


@dataclass(frozen=True)
class Subset:
    """The figures of all systems on a part of the studies."""

    studies: int
    figures: Figures


@dataclass(frozen=True)
class Behaviour:
    """Diversity of the reports, and how they depend on the images."""

    distinct_reports: int
    distinct_references: int
    most_common_report: str
    most_common_share: float
    """Share of the studies that get the most common report."""
    distinct_by_system: dict[str, int]
    black_images: ImageSensitivity
    shuffled_images: ImageSensitivity
    sentences_by_system: dict[str, SentenceQuality] = field(default_factory=dict)
    """Empty in results from before it was measured."""
    support: SupportFigures | None = None
    """None for a model without candidates, and in results from before it was measured."""


@dataclass(frozen=True)
class Results:
    """All results of one model on one split."""

    model: str
    weights_sha256: str
    decoding: dict[str, Any]
    """Generation settings, as in a report."""
    seconds_per_report: float
    studies: int
    left_out_without_reference: int
    systems: dict[str, str]
    """The model and the floors -> description."""
    protocols: dict[str, str]
    """Protocol -> description."""
    labeler: str
    intervals: str
    """How the intervals are computed."""
    figures: Figures
    findings: dict[str, dict[str, ClassScore]]
    """System -> finding -> score."""
    subsets: dict[str, Subset]
    model_minus_floor: dict[str, dict[str, dict[str, Difference]]]
    """Group -> floor -> metric -> paired difference."""
    behaviour: Behaviour
    classifier_auroc: dict[str, Auroc]
    """Finding -> AUROC of the classifier on the images."""
    not_computed: dict[str, str]
    """Metric or floor -> why it is missing."""
    warnings: tuple[str, ...]
    provenance: Provenance
    scorers: dict[str, str] = field(default_factory=dict)
    """Group of a further scorer (`rrg.evaluate.scorers`) -> its description."""

    def to_dict(self) -> dict[str, Any]:
        """The content of `results.json`: fields of the provenance at the top level, sensitivities with their share."""
        record = asdict(self)
        provenance = record.pop("provenance")
        for name in ("black_images", "shuffled_images"):
            sensitivity: ImageSensitivity = getattr(self.behaviour, name)
            record["behaviour"][name]["share"] = sensitivity.share
        # Results from before these were measured stay as they were.
        for group, name in (
            (record, "scorers"),
            (record["behaviour"], "sentences_by_system"),
            (record["behaviour"], "support"),
        ):
            if not group[name]:
                del group[name]
        return record | provenance.pop("evaluated_on") | provenance

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises InputError for a record of another shape."""
        flat = {entry.name for entry in fields(cls)} - {"provenance"}
        of_studies = {entry.name for entry in fields(EvaluatedOn)}
        of_provenance = {entry.name for entry in fields(Provenance)} - {"evaluated_on"}
        record = {"scorers": {}, **record}  # files of earlier versions have none
        check_keys(record, flat | of_studies | of_provenance)
        evaluated_on = EvaluatedOn(**{name: record[name] for name in of_studies})
        try:
            nested = {
                "figures": _figures(record["figures"]),
                "findings": {
                    system: {finding: ClassScore(**score) for finding, score in scores.items()}
                    for system, scores in record["findings"].items()
                },
                "subsets": {
                    name: Subset(subset["studies"], _figures(subset["figures"]))
                    for name, subset in record["subsets"].items()
                },
                "model_minus_floor": {
                    group: {
                        floor: {metric: Difference(**difference) for metric, difference in row.items()}
                        for floor, row in rows.items()
                    }
                    for group, rows in record["model_minus_floor"].items()
                },
                "behaviour": _behaviour(record["behaviour"]),
                "classifier_auroc": {name: Auroc(**auroc) for name, auroc in record["classifier_auroc"].items()},
                "warnings": tuple(record["warnings"]),
                "provenance": Provenance(evaluated_on, **{name: record[name] for name in of_provenance}),
            }
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"These are not results of this version: {error}.") from error
        return cls(**{name: record[name] for name in flat - nested.keys()}, **nested)

    def write(self, path: Path | str) -> None:
        """Write `results.json` atomically; on an error an existing file stays unchanged."""
        write_text(Path(path), json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n")


def read_results(path: Path | str) -> Results | None:
    """The results in a file; None where there is no file. Raises InputError for a file of another shape."""
    record = read_record(Path(path))
    if record is None:
        return None
    try:
        return Results.from_dict(record)
    except InputError as error:
        raise InputError(f"{path} cannot be read. {error} Evaluate again with --force.") from error


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is no file. Raises InputError for a file that holds none."""
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}. Delete it and evaluate again.") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds no JSON object. Delete it and evaluate again.")
    return record


def check_keys(record: Mapping[str, Any], expected: Iterable[str]) -> None:
    """Raise InputError, with the names, if a record lacks keys or has unknown ones."""
    missing, unknown = sorted(set(expected) - record.keys()), sorted(record.keys() - set(expected))
    problems = [
        f"{problem} {', '.join(names)}" for problem, names in (("missing:", missing), ("unknown:", unknown)) if names
    ]
    if problems:
        raise InputError(f"These are not results of this version ({'; '.join(problems)}).")


def _figures(record: Mapping[str, Any]) -> Figures:
    return {
        group: {system: {metric: Interval(**figure) for metric, figure in row.items()} for system, row in rows.items()}
        for group, rows in record.items()
    }


def _behaviour(record: Mapping[str, Any]) -> Behaviour:
    images = {
        name: ImageSensitivity(record[name]["studies"], record[name]["changed"])
        for name in ("black_images", "shuffled_images")
    }
    return Behaviour(**{**record, **images, **sentences_and_support(record)})


def sentences_and_support(behaviour: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of these names in a stored behaviour as dataclasses; without values where they are not stored."""
    sentences = {name: SentenceQuality(**counts) for name, counts in behaviour.get("sentences_by_system", {}).items()}
    support = behaviour.get("support")
    figures = None if support is None else SupportFigures.from_dict(support)
    return {"sentences_by_system": sentences, "support": figures}

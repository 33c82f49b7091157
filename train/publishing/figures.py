"""The published part of a model's results: the compact results.json in its folder of weights.

README, docs/results.md and the cards show only figures of these files. They are part of the repository, so the pages
can be checked without the output of an evaluation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from rrg.data.files import write_text
from rrg.errors import InputError
from rrg.evaluate.behaviour import ImageSensitivity
from rrg.evaluate.language import METRICS
from rrg.evaluate.results import Figures, Results, check_keys, read_record, sentences_and_support
from rrg.evaluate.sentence_quality import SentenceQuality
from rrg.evaluate.significance import Interval
from rrg.evaluate.support_figures import SupportFigures
from rrg.inference.library import ModelInfo

PROTOCOLS = ("r2gen", "raw")
CLINICAL = {
    "micro-F1-13": "micro-F1, 13 findings",
    "macro-F1-13": "macro-F1, 13 findings",
    "micro-F1-5": "micro-F1, 5 findings",
    "macro-F1-5": "macro-F1, 5 findings",
    "clinical-terms-F1": "clinical terms F1",
}
"""Metric -> heading of its column."""
PRECISION, RECALL = "micro-precision-13", "micro-recall-13"
_GROUPS = {**dict.fromkeys(PROTOCOLS, METRICS), "clinical": (*CLINICAL, PRECISION, RECALL)}
_IMAGES = ("black_images", "shuffled_images")


@dataclass(frozen=True)
class FindingCounts:
    """One finding in the model's reports."""

    support: int
    """Number of references with the finding."""
    predicted: int
    """Number of generated reports with the finding."""
    recall: float


@dataclass(frozen=True)
class PublishedAuroc:
    """AUROC of the classifier on the images for one finding."""

    value: float
    positives: int


@dataclass(frozen=True)
class PublishedBehaviour:
    """Diversity of the reports, and how they depend on the images."""

    distinct_by_system: dict[str, int]
    distinct_references: int
    most_common_share: float
    """Share of the studies that get the most common report."""
    black_images: ImageSensitivity
    shuffled_images: ImageSensitivity
    sentences_by_system: dict[str, SentenceQuality] = field(default_factory=dict)
    """Faults of the sentences; empty in results from before they were measured."""
    support: SupportFigures | None = None
    """None for a model without candidates, and in results from before it was measured."""


@dataclass(frozen=True)
class PublishedResults:
    """The results of a model that the pages show, and the data needed to repeat the evaluation."""

    model: str
    weights_sha256: str
    data: str
    annotation_sha256: str | None
    split: str
    studies: int
    left_out_without_reference: int
    train_studies: int
    command: str
    created_at: str
    machine: str
    versions: dict[str, str | None]
    decoding: dict[str, Any]
    protocols: dict[str, str]
    labeler: str
    intervals: str
    not_computed: dict[str, str]
    seconds_per_report: float
    figures: Figures
    findings: dict[str, FindingCounts]
    behaviour: PublishedBehaviour
    classifier_auroc: dict[str, PublishedAuroc]

    @classmethod
    def of(cls, results: Results) -> Self:
        """The published part of all results, with figures rounded to six decimals."""
        behaviour, provenance = results.behaviour, results.provenance
        return cls(
            model=results.model,
            weights_sha256=results.weights_sha256,
            data=provenance.evaluated_on.data,
            annotation_sha256=provenance.evaluated_on.annotation_sha256,
            split=provenance.evaluated_on.split,
            studies=results.studies,
            left_out_without_reference=results.left_out_without_reference,
            train_studies=provenance.train_studies,
            command=provenance.command or "",
            created_at=provenance.created_at,
            machine=provenance.machine,
            versions=provenance.versions,
            decoding=results.decoding,
            protocols=results.protocols,
            labeler=results.labeler,
            intervals=results.intervals,
            not_computed=results.not_computed,
            seconds_per_report=_rounded(results.seconds_per_report),
            figures={
                group: {
                    system: {metric: _rounded_interval(row[metric]) for metric in metrics if metric in row}
                    for system, row in results.figures[group].items()
                }
                for group, metrics in _GROUPS.items()
            },
            findings={
                finding: FindingCounts(score.support, score.predicted, _rounded(score.recall))
                for finding, score in results.findings[results.model].items()
            },
            behaviour=PublishedBehaviour(
                behaviour.distinct_by_system,
                behaviour.distinct_references,
                _rounded(behaviour.most_common_share),
                behaviour.black_images,
                behaviour.shuffled_images,
                behaviour.sentences_by_system,
                behaviour.support,
            ),
            classifier_auroc={
                finding: PublishedAuroc(_rounded(auroc.value), auroc.positives)
                for finding, auroc in results.classifier_auroc.items()
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of the file: a figure is a list of its value and the two ends of its interval."""
        figures = {
            group: {
                system: {metric: [figure.value, figure.low, figure.high] for metric, figure in row.items()}
                for system, row in rows.items()
            }
            for group, rows in self.figures.items()
        }
        record = asdict(self) | {"figures": figures}
        not_measured = [name for name in ("sentences_by_system", "support") if not record["behaviour"][name]]
        for name in not_measured:  # a file from before they were measured stays as it is
            del record["behaviour"][name]
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises InputError for a record of another shape."""
        check_keys(record, {field.name for field in fields(cls)})
        try:
            behaviour = record["behaviour"]
            images = {name: ImageSensitivity(**behaviour[name]) for name in _IMAGES}
            nested = {
                "figures": {
                    group: {
                        system: {metric: Interval(*figure) for metric, figure in row.items()}
                        for system, row in rows.items()
                    }
                    for group, rows in record["figures"].items()
                },
                "findings": {name: FindingCounts(**counts) for name, counts in record["findings"].items()},
                "behaviour": PublishedBehaviour(**{**behaviour, **images, **sentences_and_support(behaviour)}),
                "classifier_auroc": {
                    name: PublishedAuroc(**auroc) for name, auroc in record["classifier_auroc"].items()
                },
            }
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"These are not results of this version: {error}.") from error
        return cls(**{**record, **nested})

    def to_json(self) -> str:
        """JSON with one line per entry, and a figure with its interval on one line, for readable differences."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=1)
        return re.sub(r"\[\s+([^\[\]{}\"]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text) + "\n"

    def write(self, path: Path) -> None:
        """Write the file atomically; on an error an existing file stays unchanged."""
        write_text(path, self.to_json())


def read_published_results(path: Path) -> PublishedResults | None:
    """The published results in a file; None where there is no file. Raises InputError for a file of another shape."""
    record = read_record(path)
    if record is None:
        return None
    try:
        return PublishedResults.from_dict(record)
    except InputError as error:
        raise InputError(f"{path} cannot be read. {error} Delete it and run make evaluate.") from error


@dataclass(frozen=True)
class PublishedModel:
    """A model in the folder of weights, with its published results."""

    info: ModelInfo
    config: Mapping[str, Any]
    """The config.json of its weights."""
    results: PublishedResults

    @property
    def name(self) -> str:
        return self.info.name

    def row(self, group: str, system: str | None = None) -> Mapping[str, Interval]:
        """Metric -> figure of a floor; without `system` of the model itself."""
        return self.results.figures[group].get(system or self.results.model, {})

    def value(self, group: str, metric: str, system: str | None = None) -> float | None:
        figure = self.row(group, system).get(metric)
        return None if figure is None else figure.value

    def same_studies_as(self, other: PublishedModel) -> bool:
        """Whether both were evaluated on the same studies and references."""
        names = ("data", "annotation_sha256", "split", "studies")
        return all(getattr(self.results, name) == getattr(other.results, name) for name in names)


def read_published_model(info: ModelInfo, folder: Path) -> PublishedModel | None:
    """A model with weights in a folder; None without results of these weights."""
    results = read_published_results(folder / "results.json")
    if results is None or results.weights_sha256 != info.weights_sha256:
        return None
    return PublishedModel(info, json.loads((folder / "config.json").read_text(encoding="utf-8")), results)


def _rounded(value: float) -> float:
    return round(value, 6)


def _rounded_interval(figure: Interval) -> Interval:
    return Interval(_rounded(figure.value), _rounded(figure.low), _rounded(figure.high))

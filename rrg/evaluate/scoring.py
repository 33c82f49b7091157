"""Compute the results of an evaluation from texts: generated reports, references and the reports of the floors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from rrg.evaluate.behaviour import ImageSensitivity, classifier_auroc, diversity
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.floors import Floor
from rrg.evaluate.language import LanguageScores, language_scores
from rrg.evaluate.protocols import Protocol
from rrg.evaluate.results import Behaviour, Figures, Provenance, Results, Subset
from rrg.evaluate.scorers import Scorer
from rrg.evaluate.sentence_quality import SentenceQuality
from rrg.evaluate.significance import RESAMPLES, SEED, Difference, Measure, intervals, paired_difference
from rrg.evaluate.support_figures import support_figures
from rrg.labels.findings import LABELER
from rrg.report import Report


def compute_results(
    reports: Sequence[Report],
    references: Mapping[str, str],
    floors: Sequence[Floor],
    protocols: Sequence[Protocol],
    subsets: Mapping[str, np.ndarray],
    *,
    black_images: ImageSensitivity,
    shuffled_images: ImageSensitivity,
    left_out_without_reference: int,
    floors_not_computed: Mapping[str, str],
    sentences: Callable[[Iterable[str]], SentenceQuality],
    provenance: Provenance,
    scorers: Sequence[Scorer] = (),
) -> Results:
    """Score the reports of a model and of the floors against the references.

    Args:
        reports: The model's reports, at least one, in the order of the references.
        references: Study id -> reference report.
        floors: Trivial systems with a text for each study.
        protocols: How texts become tokens; each gives a group of language figures.
        subsets: Name -> bool [N], the studies of a subset; an empty subset is left out.
        black_images: Sensitivity of the model to black images.
        shuffled_images: Sensitivity of the model to images of another study.
        left_out_without_reference: Studies of the split without a reference report.
        floors_not_computed: Floor -> reason.
        sentences: Counts the faults of the sentences of a system's texts.
        provenance: What is needed to repeat the evaluation.
        scorers: Further scorers; each gives a group of figures.
    """
    model = reports[0].model
    texts = {model: {report.study_id: report.text for report in reports}}
    texts |= {floor.name: floor.texts for floor in floors}
    targets = list(references.values())
    language = {protocol.name: _language(protocol, model, reports, floors, references) for protocol in protocols}
    ordered = {system: [by_study[study] for study in references] for system, by_study in texts.items()}
    clinical = {system: clinical_scores(own, targets) for system, own in ordered.items()}
    measures = {group: {system: row.measures for system, row in rows.items()} for group, rows in language.items()}
    measures["clinical"] = {system: row.measures for system, row in clinical.items()}
    measures |= {scorer.group: scorer.measures(ordered, targets) for scorer in scorers}
    generated = diversity([report.text for report in reports])
    return Results(
        model=model,
        weights_sha256=reports[0].weights_sha256,
        decoding=reports[0].decoding,
        seconds_per_report=sum(report.seconds for report in reports) / len(reports),
        studies=len(reports),
        left_out_without_reference=left_out_without_reference,
        systems={model: "the model"} | {floor.name: floor.description for floor in floors},
        protocols={protocol.name: protocol.description for protocol in protocols},
        labeler=f"{LABELER}; uncertain counts as present; labels of the findings text",
        intervals=f"95 % percentile bootstrap over studies, {RESAMPLES} resamples, seed {SEED}",
        figures=_figures(measures),
        findings={system: row.classes for system, row in clinical.items()},
        subsets={
            name: Subset(int(selected.sum()), _figures(measures, selected))
            for name, selected in subsets.items()
            if selected.any()
        },
        model_minus_floor={group: _differences(rows, model) for group, rows in measures.items()},
        behaviour=Behaviour(
            distinct_reports=generated.distinct,
            distinct_references=diversity(targets).distinct,
            most_common_report=generated.most_common,
            most_common_share=generated.most_common_share,
            distinct_by_system={
                system: diversity(list(by_study.values())).distinct for system, by_study in texts.items()
            },
            black_images=black_images,
            shuffled_images=shuffled_images,
            sentences_by_system={
                system: sentences([by_study[study] for study in references]) for system, by_study in texts.items()
            },
            support=support_figures(reports, targets),
        ),
        classifier_auroc=classifier_auroc(reports, targets),
        not_computed={metric: why for rows in language.values() for metric, why in rows[model].not_computed.items()}
        | dict(floors_not_computed),
        warnings=tuple(sorted({text for rows in language.values() for row in rows.values() for text in row.warnings})),
        provenance=provenance,
        scorers={scorer.group: scorer.description for scorer in scorers},
    )


def _language(
    protocol: Protocol,
    model: str,
    reports: Sequence[Report],
    floors: Sequence[Floor],
    references: Mapping[str, str],
) -> dict[str, LanguageScores]:
    systems = {model: {report.study_id: protocol.tokenize_generated(report) for report in reports}}
    for floor in floors:
        systems[floor.name] = {study: protocol.tokenize_reference(text) for study, text in floor.texts.items()}
    return language_scores(systems, {study: protocol.tokenize_reference(text) for study, text in references.items()})


def _figures(
    measures: Mapping[str, Mapping[str, Mapping[str, Measure]]], selected: np.ndarray | None = None
) -> Figures:
    """All figures with their intervals; on the studies where `selected` (bool [N]) is true, if it is given."""

    def row(metrics: Mapping[str, Measure]) -> Mapping[str, Measure]:
        return metrics if selected is None else {name: measure.subset(selected) for name, measure in metrics.items()}

    return {
        group: {system: intervals(row(metrics)) for system, metrics in rows.items()} for group, rows in measures.items()
    }


def _differences(rows: Mapping[str, Mapping[str, Measure]], model: str) -> dict[str, dict[str, Difference]]:
    """Floor -> metric -> the model's figure minus that of the floor."""
    return {
        floor: {metric: paired_difference(measure, rows[floor][metric]) for metric, measure in rows[model].items()}
        for floor in rows
        if floor != model
    }

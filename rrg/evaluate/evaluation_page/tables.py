"""The facts and tables of the page from the results of a model."""

from __future__ import annotations

from collections.abc import Iterator

from rrg.evaluate.evaluation_page.content import Table, figures_table
from rrg.evaluate.language import METRICS
from rrg.evaluate.results import Results

CLINICAL = ("micro-F1-13", "macro-F1-13", "micro-F1-5", "macro-F1-5", "clinical-terms-F1", "accuracy-14")


def results_facts(results: Results) -> dict[str, str]:
    """What was evaluated, and how."""
    provenance, behaviour = results.provenance, results.behaviour
    studies = f"{results.studies} of {provenance.evaluated_on.data}, split {provenance.evaluated_on.split}"
    left_out = results.left_out_without_reference
    black, shuffled = behaviour.black_images, behaviour.shuffled_images
    return {
        "Model": f"{results.model}, weights sha256 {results.weights_sha256[:12]}",
        "Studies": f"{studies} ({left_out} more without a reference)" if left_out else studies,
        "Decoding": ", ".join(f"{name} {value}" for name, value in results.decoding.items()),
        "Findings": results.labeler,
        **{f"Scorer {group}": description for group, description in results.scorers.items()},
        "Distinct reports": f"{behaviour.distinct_reports}; {behaviour.distinct_references} distinct references; the "
        f"commonest report stands for {behaviour.most_common_share:.0%} of the studies",
        "Black images": f"change {black.changed} of {black.studies} reports that are not the commonest one",
        "Images of another study": f"change {shuffled.changed} of {shuffled.studies} reports of studies with a finding",
        "Speed": f"{results.seconds_per_report:.2f} s a report on {provenance.machine}",
        "Written": f"{provenance.created_at} by rrg {provenance.versions.get('rrg') or ''}".rstrip(),
    }


def results_tables(results: Results) -> tuple[Table, ...]:
    """The figures of the model and of the floors."""
    return tuple(_tables(results))


def _tables(results: Results) -> Iterator[Table]:
    for protocol, description in results.protocols.items():
        yield figures_table(f"Language, protocol {protocol}", description, results.figures[protocol], METRICS)
    yield figures_table("Findings", results.labeler, results.figures["clinical"], CLINICAL)
    for group, description in results.scorers.items():
        metrics = [name for name in results.figures[group][results.model] if not _is_part(name)]
        yield figures_table(f"Scorer {group}", description, results.figures[group], metrics)
    for name, subset in results.subsets.items():
        title = f"Findings in {subset.studies} studies: {name}"
        yield figures_table(title, "", subset.figures["clinical"], CLINICAL)
    scores = results.findings[results.model]
    rows = tuple(
        (name, str(s.support), str(s.predicted), f"{s.precision:.2f}", f"{s.recall:.2f}", f"{s.f1:.2f}")
        for name, s in scores.items()
    )
    header = ("", "In references", "In reports", "Precision", "Recall", "F1")
    yield Table("Each finding", "Present or uncertain. Undefined figures are 0.", header, rows)
    if results.classifier_auroc:
        auroc = tuple(
            (name, f"{one.value:.3f}", f"{one.positives} of {one.studies}")
            for name, one in results.classifier_auroc.items()
        )
        yield Table("Image classifier", "AUROC against the labels of the references.", ("", "AUROC", "Present"), auroc)


def _is_part(metric: str) -> bool:
    return "precision" in metric or "recall" in metric

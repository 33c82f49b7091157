"""Results as plain text for a terminal: the model and the floors under both protocols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rrg.evaluate.language import METRICS
from rrg.evaluate.results import Figures, Results
from rrg.evaluate.sentence_quality import SentenceQuality
from rrg.evaluate.support_figures import SupportFigures

_CLINICAL = ("micro-F1-13", "macro-F1-13", "micro-F1-5", "example-F1-14", "clinical-terms-F1", "accuracy-14")
_SUBSET = {
    "r2gen": ("BLEU-4", "ROUGE-L"),
    "raw": ("BLEU-4", "ROUGE-L"),
    "clinical": ("macro-F1-13", "clinical-terms-F1"),
}


def render(results: Results) -> str:
    """The main figures of an evaluation for a terminal."""
    return "\n".join(_lines(results))


def _lines(results: Results) -> Iterator[str]:
    yield (
        f"{results.model} on {results.provenance.evaluated_on.split}: {results.studies} studies "
        f"({results.left_out_without_reference} more without a reference report)"
    )
    for protocol, description in results.protocols.items():
        yield from ("", f"{protocol} protocol: {description}")
        yield from _rows({metric: (protocol, metric) for metric in METRICS}, results.figures)
    yield from ("", f"Findings in the text: {results.labeler}")
    yield from _rows({metric: ("clinical", metric) for metric in _CLINICAL}, results.figures)
    for group, description in results.scorers.items():
        yield from ("", f"{group}: {description}")
        metrics = results.figures[group][results.model]
        shown = [metric for metric in metrics if "precision" not in metric and "recall" not in metric]
        yield from _rows({metric: (group, metric) for metric in shown}, results.figures)
    for name, subset in results.subsets.items():
        yield from ("", f"{subset.studies} studies: {name}")
        columns = {f"{group} {metric}": (group, metric) for group, metrics in _SUBSET.items() for metric in metrics}
        yield from _rows(columns, subset.figures)
    yield ""
    behaviour = results.behaviour
    black, shuffled = behaviour.black_images, behaviour.shuffled_images
    yield (
        f"Distinct reports: {behaviour.distinct_reports} "
        f"(the radiologists': {behaviour.distinct_references}); "
        f"the most common one stands for {behaviour.most_common_share:.1%} of the studies"
    )
    yield (
        f"Black images change {black.changed} of the {black.studies} reports "
        f"that are not the most common one; images of another study change {shuffled.changed} of the "
        f"{shuffled.studies} reports of studies with a finding"
    )
    yield from _sentences(behaviour.sentences_by_system)
    if behaviour.support is not None:
        yield from _support(behaviour.support)
    if results.classifier_auroc:
        figures = (
            f"{name} {auroc.value:.3f} (n={auroc.positives})" for name, auroc in results.classifier_auroc.items()
        )
        yield "AUROC of the encoder's classifier: " + ", ".join(figures)
    for name, why in results.not_computed.items():
        yield f"{name}: {why}"
    for warning in results.warnings:
        yield f"Warning: {warning}"


def _sentences(by_system: Mapping[str, SentenceQuality]) -> Iterator[str]:
    """Faults of the sentences, a line for each system."""
    if not by_system:
        return
    yield from ("", "Sentences with a trigram that no report of train and extra has, comparisons, broken forms:")
    width = max(map(len, by_system))
    for system, quality in by_system.items():
        share = "-" if quality.unseen_share is None else f"{quality.unseen_share:.1%}"
        broken = ", ".join(f"{kind} {count}" for kind, count in quality.broken.items() if count)
        yield (
            f"{system:<{width}}  {share:>6} of {quality.sentences}, comparisons {quality.comparisons}, "
            f"broken: {broken or 'none'}"
        )
    yield ""


def _support(figures: SupportFigures) -> Iterator[str]:
    """Whether support finds contradictions, and what dropping doubtful reports gains."""
    yield (
        f"{figures.contradicted} of {figures.sentences} sentences with a finding contradict the reference "
        f"({figures.asserting_contradicted} of the {figures.asserting} that assert one)"
    )
    yield "AUROC of low values for them: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.auroc.items())
    if figures.reliability:
        bins = (f"{each.predicted:.2f} {each.observed:.2f}" for each in figures.reliability)
        yield f"Calibrated probability and share that agrees, five bins: {'; '.join(bins)}"
    kept = (f"{c.coverage:.0%} {c.micro_f1:.3f} ({c.wrong_findings:.2f})" for c in figures.coverage)
    yield f"Reports kept, micro-F1-13 (wrong findings a report): {', '.join(kept)}"


def _rows(columns: Mapping[str, tuple[str, str]], figures: Figures) -> Iterator[str]:
    """A header and a line for each system; `columns` maps a heading to its group and metric."""
    systems = list(figures["clinical"])
    width = max(map(len, systems))
    yield " " * width + "".join(f"  {heading:>9}" for heading in columns)
    for system in systems:
        line = f"{system:<{width}}"
        for heading, (group, metric) in columns.items():
            figure = figures[group][system].get(metric)
            # A missing figure is shown as missing: 0 would be a result.
            line += f"  {'-' if figure is None else format(figure.value, '.3f'):>{max(9, len(heading))}}"
        yield line

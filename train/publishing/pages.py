"""The generated blocks of README.md (a short table) and docs/results.md (all tables, and how to read them)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from publishing.figures import PROTOCOLS, PublishedModel
from publishing.tables import clinical_table, language_table, number, overview_table, protocol_line, sentence_table
from rrg.errors import InputError

OPENING = "<!-- results: written by `make evaluate` from the figures in weights/*/results.json -->"
CLOSING = "<!-- /results -->"
EMPTY_RESULTS_PAGE = f"# Results\n\n{OPENING}\n{CLOSING}\n"
"""docs/results.md before the first results are published."""
DATA = {"iu_xray": "IU X-Ray"}
"""Data folder -> name of the data set in papers."""
MIN_POSITIVES = 10
"""Positive studies below which the pages do not show an AUROC."""
_SENTENCES = (
    "Counts of sentences: with three words in a row (or at an end) that no report of train and extra has so, that "
    "compare with an earlier image, and of each kind of broken form (`rrg/evaluate/sentence_quality.py`)."
)
MIN_AUROC = 0.7
"""AUROC below which the pages warn of the classifier."""
_INTRODUCTION = """This page compares the bundled models with each other and with floors.
Floors are trivial baselines that a useful model should beat.

## How to read the tables
- **Floors.** Reports of normal studies are similar, so one constant report already gets high language metrics.
  Each floor is a row: the report of the train study with the most similar image features (nearest neighbour by image),
  a random train report, the most frequent train report, a hand-written normal report, and the two constant reports
  of the train split with the best BLEU-4 and the best CIDEr on val.
- **Language metrics** (BLEU, METEOR, ROUGE-L, CIDEr) compare the words of a report with those of its reference.
  Protocol `r2gen` is that of published tables. Protocol `raw` compares whole reports, and its figures are lower.
- **Clinical metrics** compare the findings in a report with those in its reference, both by the rule labeler of this
  project. The labels are not CheXbert's: the figures cannot be compared with published CheXbert F1.
- **Clinical terms F1** also counts findings outside the 13 classes. It is 1 for a normal report of a normal study, so
  constant normal reports are above 0.
- **Changed by black images**: of the reports that are not the model's most common one, the number that change when
  all images are black.
- **Changed by shuffled images**: of the reports of studies with a finding, the number that change with the images of
  another study.
- **Brackets** are 95 % bootstrap intervals over the studies, without the variation between training runs.
- **Bold** is the best of a column."""


def with_block(page: str, block: str, name: str) -> str:
    """Replace the results block of a page. Raises InputError if the page, called `name`, has not exactly one."""
    new, count = re.subn(r"<!-- results.*?<!-- /results -->", lambda _: block, page, flags=re.DOTALL)
    if count != 1:
        raise InputError(f"{name} needs one block between '<!-- results' and '{CLOSING}'; it has {count}.")
    return new


def readme_block(models: Sequence[PublishedModel]) -> str:
    """The block of README.md: one short table, and the comparison with the floors."""
    return "\n".join((OPENING, *_overview(models), CLOSING))


def results_block(models: Sequence[PublishedModel]) -> str:
    """The block of docs/results.md: introduction and all tables."""
    return "\n".join((OPENING, *_all_results(models), CLOSING))


def split_name(model: PublishedModel) -> str:
    """As in "val split of IU X-Ray (296 studies)"."""
    results = model.results
    return f"{results.split} split of {DATA.get(results.data, results.data)} ({results.studies} studies)"


def _overview(models: Sequence[PublishedModel]) -> Iterator[str]:
    yield f"{_source(models[0])}. Language metrics are under the protocol of R2Gen."
    yield (
        "F1 is over 13 findings, labelled by the rules of this project; it cannot be compared with published CheXbert "
        "F1. Bold is the best of a column."
    )
    yield ""
    yield from overview_table(models, _label)
    yield from ("", *_comparison(models))


def _all_results(models: Sequence[PublishedModel]) -> Iterator[str]:
    one = models[0]
    yield from (_INTRODUCTION, "", "## Tables", f"{_source(one)}; each model's card has its own command.")
    if one.results.split != "test":
        yield "The test split is not reported here."
    for protocol in PROTOCOLS:
        yield from ("", f"### Language metrics, protocol `{protocol}`", protocol_line(one, protocol), "")
        yield from language_table(models, protocol, _label)
    missing = sorted({why for model in models for why in model.results.not_computed.values()})
    if missing:
        yield from ("", f"An empty cell: {'; '.join(missing)}.")
    machines = ", ".join(dict.fromkeys(model.results.machine for model in models))
    yield from ("", "### Clinical metrics, diversity, dependence on the images, size and speed")
    yield (
        f"The references are {one.results.behaviour.distinct_references} distinct reports. "
        f"Seconds per report are measured on {machines}, in batches of 16 studies."
    )
    yield ""
    yield from clinical_table(models, _label)
    sentences = list(sentence_table(models, _label))
    if sentences:
        yield from ("", "### Sentences", _SENTENCES, "", *sentences)
        yield from ("", *_support(models))
    yield from ("", "### Comparison with the floors", *_comparison(models))
    classifier = list(_classifier(models))
    if classifier:
        yield from ("", "### Classifier on the images", *classifier)


def _support(models: Sequence[PublishedModel]) -> Iterator[str]:
    """What the support of sentences tells, and what leaving out doubtful reports gains; a line for each model."""
    for model in models:
        figures = model.results.behaviour.support
        if figures is None:
            continue
        kept = {each.coverage: each for each in figures.coverage}
        aurocs = ", ".join(f"{name} {number(value)}" for name, value in figures.auroc.items())
        yield (
            f"- `{model.name}`: {figures.contradicted} of {figures.sentences} sentences with a finding contradict the "
            f"reference; AUROC of low values for them: {aurocs}. Without the fifth of the reports with the lowest "
            f"expected contribution micro-F1 is {number(kept[0.8].micro_f1)} in place of {number(kept[1.0].micro_f1)}."
        )


def _source(model: PublishedModel) -> str:
    """The studies, and the command that evaluates all models on them."""
    words = shlex.split(model.results.command)
    name = split_name(model)
    command = f"make evaluate DATA={words[words.index('--data') + 1]} SPLIT={model.results.split}"
    return f"{name[0].upper()}{name[1:]}, by `{command}`"


def _comparison(models: Sequence[PublishedModel]) -> Iterator[str]:
    """On how many models each of three floors scores higher."""
    claims = (
        ("one constant report", "r2gen", "BLEU-4", "best constant (BLEU-4)", "BLEU-4"),
        ("another constant report", "r2gen", "CIDEr", "best constant (CIDEr)", "CIDEr"),
        ("the nearest neighbour", "clinical", "macro-F1-13", "nearest neighbour", "macro-F1 over 13 findings"),
    )
    sentences = []
    for floor_label, group, metric, floor, metric_label in claims:
        pairs = [(model.value(group, metric, floor), model.value(group, metric)) for model in models]
        known = [(of_floor, of_model) for of_floor, of_model in pairs if of_floor is not None and of_model is not None]
        if known:
            beaten = sum(of_floor > of_model for of_floor, of_model in known)
            sentences.append(f"{floor_label} beats {_count(beaten, len(known))} on {metric_label}")
    if sentences:
        yield f"Compared with the floors: {'; '.join(sentences)}."


def _count(count: int, total: int) -> str:
    if count == 0:
        return "no model"
    if count == total:
        return "the model" if total == 1 else f"all {total} models"
    return f"{count} of {total} models"


def _classifier(models: Sequence[PublishedModel]) -> Iterator[str]:
    """AUROC by finding, as a range where models have different classifiers."""
    tables = [model.results.classifier_auroc for model in models if model.results.classifier_auroc]
    if not tables:
        return
    figures, unreliable = [], []
    for finding, auroc in tables[0].items():
        if auroc.positives < MIN_POSITIVES or not all(finding in table for table in tables):
            continue
        values = [table[finding].value for table in tables]
        ends = dict.fromkeys(f"{value:.2f}".removeprefix("0") for value in (min(values), max(values)))
        figures.append(f"{finding.lower()} {' to '.join(ends)} ({auroc.positives})")
        if min(values) < MIN_AUROC:
            unreliable.append(finding.lower())
    if figures:
        yield f"AUROC of the classifier on the images (positive studies): {', '.join(figures)}."
    if unreliable:
        yield f"Do not trust it with {join_names(unreliable)}."


def join_names(names: Sequence[str]) -> str:
    """As in "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _label(model: PublishedModel) -> str:
    return f"`{model.name}`"

"""Markdown tables of models and floors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from publishing.figures import CLINICAL, PublishedModel
from rrg.evaluate.behaviour import ImageSensitivity
from rrg.evaluate.language import METRICS
from rrg.evaluate.significance import Interval
from rrg.labels.broken_forms import BROKEN_FORMS, LONE_WORD

FLOORS = {
    "nearest neighbour": "nearest neighbour by image",
    "random": "random train report",
    "most frequent": "most frequent train report",
    "normal template": "hand-written normal report",
    "best constant (BLEU-4)": "best constant report by BLEU-4",
    "best constant (CIDEr)": "best constant report by CIDEr",
}
"""Name in `results.json` -> label of the row."""
OVERVIEW = {
    "BLEU-4": ("r2gen", "BLEU-4"),
    "ROUGE-L": ("r2gen", "ROUGE-L"),
    "CIDEr": ("r2gen", "CIDEr"),
    "micro-F1": ("clinical", "micro-F1-13"),
    "macro-F1": ("clinical", "macro-F1-13"),
}
"""Column of README's table -> group and metric."""
OVERVIEW_FLOORS = tuple(floor for floor in FLOORS if floor != "random")
WITH_INTERVAL = ("BLEU-4", "ROUGE-L", "CIDEr", "macro-F1-13")
"""Metrics whose intervals the long tables show."""


@dataclass(frozen=True)
class _Cell:
    """One cell of a table."""

    text: str
    rank: float | None = None
    """The highest rank of a column is printed bold; None is never bold."""


_EMPTY = _Cell("")


def overview_table(models: Sequence[PublishedModel], label: Callable[[PublishedModel], str]) -> Iterator[str]:
    """Markdown lines: models, then floors, by the five metrics of README's table, without intervals."""

    def cells(model: PublishedModel, system: str | None) -> list[_Cell]:
        return [_figure(model.row(group, system).get(metric), False) for group, metric in OVERVIEW.values()]

    yield from _table(tuple(OVERVIEW), _rows(models, cells, label, OVERVIEW_FLOORS))


def language_table(
    models: Sequence[PublishedModel], protocol: str, label: Callable[[PublishedModel], str]
) -> Iterator[str]:
    """Markdown lines: models, then floors, by the language metrics under one protocol."""

    def cells(model: PublishedModel, system: str | None) -> list[_Cell]:
        row = model.row(protocol, system)
        return [_figure(row.get(metric), metric in WITH_INTERVAL) for metric in METRICS]

    yield from _table(METRICS, _rows(models, cells, label))


def clinical_table(models: Sequence[PublishedModel], label: Callable[[PublishedModel], str]) -> Iterator[str]:
    """Markdown lines: models, then floors, by clinical metrics, diversity, image sensitivity, size and speed."""
    headings = (
        *CLINICAL.values(),
        "distinct reports",
        "changed by black images",
        "changed by shuffled images",
        "parameters (millions)",
        "seconds per report",
    )

    def cells(model: PublishedModel, system: str | None) -> list[_Cell]:
        row, behaviour = model.row("clinical", system), model.results.behaviour
        metrics = [_figure(row.get(metric), metric in WITH_INTERVAL) for metric in CLINICAL]
        distinct = behaviour.distinct_by_system.get(system or model.results.model)
        metrics.append(_EMPTY if distinct is None else _Cell(str(distinct)))
        if system is not None:
            return [*metrics, *[_EMPTY] * 4]
        parameters, seconds = (model.info.parameters or 0) / 1e6, model.results.seconds_per_report
        return [
            *metrics,
            _share(behaviour.black_images),
            _share(behaviour.shuffled_images),
            _Cell(f"{parameters:.1f}", -round(parameters, 1)),
            _Cell(f"{seconds:.2f}", -round(seconds, 2)),
        ]

    yield from _table(headings, _rows(models, cells, label))


def sentence_table(models: Sequence[PublishedModel], label: Callable[[PublishedModel], str]) -> Iterator[str]:
    """Markdown lines: models, then floors, by the faults of their sentences; nothing where none was measured."""
    measured = [model for model in models if model.results.behaviour.sentences_by_system]
    if not measured:
        return
    headings = ("sentences", "with an unseen trigram", "comparisons", *BROKEN_FORMS, LONE_WORD)

    def cells(model: PublishedModel, system: str | None) -> list[_Cell]:
        quality = model.results.behaviour.sentences_by_system.get(system or model.results.model)
        if quality is None:
            return [_EMPTY] * len(headings)
        share = quality.unseen_share
        counts = (quality.comparisons, *(quality.broken.get(kind, 0) for kind in (*BROKEN_FORMS, LONE_WORD)))
        return [
            _Cell(str(quality.sentences)),
            _EMPTY if share is None else _Cell(f"{100 * share:.1f} %"),
            *(_Cell(str(count)) for count in counts),
        ]

    yield from _table(headings, _rows(measured, cells, label))


def protocol_line(model: PublishedModel, protocol: str) -> str:
    """What a protocol compares, for the line above its table."""
    return f"Protocol `{protocol}`: {model.results.protocols[protocol].replace('<unk>', '`<unk>`')}."


def number(value: float) -> str:
    """Three decimals without the leading zero: .123; exactly 0 is 0."""
    return "0" if value == 0 else f"{value:.3f}".removeprefix("0")


def per_cent(share: float) -> str:
    """12 %"""
    return f"{100 * share:.0f} %"


def _rows(
    models: Sequence[PublishedModel],
    cells: Callable[[PublishedModel, str | None], list[_Cell]],
    label: Callable[[PublishedModel], str],
    floors: Sequence[str] = tuple(FLOORS),
) -> Iterator[tuple[str, list[_Cell]]]:
    """Label and cells of each model, then of each floor."""
    for model in models:
        yield label(model), cells(model, None)
    for floor in floors:
        # The figures of a floor depend on a model's vocabulary and image encoder. Different ones are separate rows.
        distinct: dict[tuple[_Cell, ...], list[str]] = {}
        for model in models:
            if model.row("clinical", floor):
                distinct.setdefault(tuple(cells(model, floor)), []).append(model.name)
        for row, names in distinct.items():
            yield FLOORS[floor] if len(distinct) == 1 else f"{FLOORS[floor]}, for {', '.join(names)}", list(row)


def _table(headings: Sequence[str], rows: Iterator[tuple[str, list[_Cell]]]) -> Iterator[str]:
    yield f"| | {' | '.join(headings)} |"
    yield "|---" * (len(headings) + 1) + "|"
    labelled = list(rows)
    best = [_best(column) for column in zip(*(cells for _, cells in labelled), strict=True)]
    for label, cells in labelled:
        texts = (_marked(cell, top) for cell, top in zip(cells, best, strict=True))
        yield f"| {label} |" + "".join(f" {text} |" if text else " |" for text in texts)


def _best(column: Sequence[_Cell]) -> float | None:
    ranks = [cell.rank for cell in column if cell.rank is not None]
    return max(ranks) if len(ranks) > 1 else None


def _marked(cell: _Cell, best: float | None) -> str:
    if best is None or cell.rank != best:
        return cell.text
    value, space, interval = cell.text.partition(" [")
    return f"**{value}**{space}{interval}"


def _figure(figure: Interval | None, with_interval: bool) -> _Cell:
    if figure is None:
        return _EMPTY
    text = number(figure.value)
    if with_interval and figure.high > 0:  # an F1 of 0 has the interval 0 to 0
        text += f" [{number(figure.low)}, {number(figure.high)}]"
    return _Cell(text, round(figure.value, 3))


def _share(sensitivity: ImageSensitivity) -> _Cell:
    if sensitivity.share is None:
        return _Cell("–")
    return _Cell(f"{sensitivity.changed} of {sensitivity.studies}", round(sensitivity.share, 3))

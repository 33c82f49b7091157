"""What is published of `results.json`: the compact file beside each model's weights, and the tables made of it.

README's table and the cards show nothing but figures of these files, so that a checkout without `out/` can be checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrg.evaluate.language import METRICS
from rrg.inference.library import ModelInfo

FLOORS = {
    "nearest neighbour": "nearest neighbour by image",
    "random": "random train report",
    "most frequent": "most frequent train report",
    "normal template": "hand-written normal report",
    "best constant (BLEU-4)": "best constant report by BLEU-4",
    "best constant (CIDEr)": "best constant report by CIDEr",
}
"""Name in `results.json` -> label of the row."""
PROTOCOLS = ("r2gen", "raw")
CLINICAL = {
    "micro-F1-13": "micro-F1, 13 findings",
    "macro-F1-13": "macro-F1, 13 findings",
    "micro-F1-5": "micro-F1, 5 findings",
    "macro-F1-5": "macro-F1, 5 findings",
    "clinical-terms-F1": "clinical terms F1",
}
WITH_INTERVAL = ("BLEU-4", "ROUGE-L", "CIDEr", "macro-F1-13")
_FURTHER = ("micro-precision-13", "micro-recall-13")
_KEPT = (
    "model",
    "weights_sha256",
    "data",
    "annotation_sha256",
    "split",
    "studies",
    "left_out_without_reference",
    "train_studies",
    "command",
    "created_at",
    "machine",
    "versions",
    "decoding",
    "protocols",
    "labeler",
    "intervals",
    "not_computed",
)
_SHARED = ("data", "annotation_sha256", "split", "studies")


@dataclass(frozen=True)
class Published:
    """A model with the figures that are published of it."""

    info: ModelInfo
    config: Mapping[str, Any]
    """The config.json of its weights."""
    figures: Mapping[str, Any]
    """What `compact` gives."""

    def row(self, group: str, system: str | None = None) -> Mapping[str, Sequence[float]]:
        """Metric -> value, low, high of the model itself, or of a floor beside it."""
        return self.figures["figures"][group].get(system or self.figures["model"], {})

    def value(self, group: str, metric: str, system: str | None = None) -> float | None:
        figure = self.row(group, system).get(metric)
        return None if figure is None else figure[0]

    def measured_like(self, other: Published) -> bool:
        """On the same studies and references."""
        return all(self.figures[key] == other.figures[key] for key in _SHARED)


def compact(results: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `results.json` that the table and the card show, and what is needed to make it again."""
    groups = {**dict.fromkeys(PROTOCOLS, METRICS), "clinical": (*CLINICAL, *_FURTHER)}
    behaviour = results["behaviour"]
    return {key: results[key] for key in _KEPT} | {
        "seconds_per_report": _rounded(results["seconds_per_report"]),
        "figures": {
            group: {
                system: {
                    metric: [_rounded(row[metric][part]) for part in ("value", "low", "high")]
                    for metric in metrics
                    if metric in row
                }
                for system, row in results["figures"][group].items()
            }
            for group, metrics in groups.items()
        },
        "findings": {
            name: {part: score[part] for part in ("support", "predicted")} | {"recall": _rounded(score["recall"])}
            for name, score in results["findings"][results["model"]].items()
        },
        "behaviour": {
            "distinct_by_system": behaviour["distinct_by_system"],
            "distinct_references": behaviour["distinct_references"],
            "most_common_share": _rounded(behaviour["most_common_share"]),
            **{
                kind: {part: behaviour[kind][part] for part in ("studies", "changed")}
                for kind in ("black_images", "shuffled_images")
            },
        },
        "classifier_auroc": {
            name: {"value": _rounded(auroc["value"]), "positives": auroc["positives"]}
            for name, auroc in results["classifier_auroc"].items()
        },
    }


def to_json(figures: Mapping[str, Any]) -> str:
    """Readable differences under version control: a line each, but for a figure and its interval."""
    text = json.dumps(figures, ensure_ascii=False, indent=1)
    return re.sub(r"\[\s+([^\[\]{}\"]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text) + "\n"


def read_published(info: ModelInfo, folder: Path) -> Published | None:
    """A model with weights in `folder` and the figures beside them; nothing where there are none of these weights."""
    file = folder / "results.json"
    if not file.is_file():
        return None
    figures = json.loads(file.read_text(encoding="utf-8"))
    if figures["weights_sha256"] != info.weights_sha256:
        return None
    return Published(info, json.loads((folder / "config.json").read_text(encoding="utf-8")), figures)


# Tables ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cell:
    """One figure of a table."""

    text: str
    rank: float | None = None
    """The highest of a column is its best; None does not compete."""


_NOTHING = _Cell("")


def language_table(models: Sequence[Published], protocol: str, label: Callable[[Published], str]) -> Iterator[str]:
    """Markdown lines: models, then floors, by the metrics of one protocol."""

    def cells(model: Published, system: str | None) -> list[_Cell]:
        row = model.row(protocol, system)
        return [_figure(row.get(metric), metric in WITH_INTERVAL) for metric in METRICS]

    yield from _table(METRICS, _rows(models, cells, label))


def clinical_table(models: Sequence[Published], label: Callable[[Published], str]) -> Iterator[str]:
    """Markdown lines: what reports say clinically, how they vary, whether they depend on the image, size and speed."""
    headings = (
        *CLINICAL.values(),
        "distinct reports",
        "changed by black images",
        "changed by shuffled images",
        "parameters (millions)",
        "seconds per report",
    )

    def cells(model: Published, system: str | None) -> list[_Cell]:
        row, behaviour = model.row("clinical", system), model.figures["behaviour"]
        said = [_figure(row.get(metric), metric in WITH_INTERVAL) for metric in CLINICAL]
        distinct = behaviour["distinct_by_system"].get(system or model.figures["model"])
        said.append(_NOTHING if distinct is None else _Cell(str(distinct)))
        if system is not None:
            return [*said, *[_NOTHING] * 4]
        parameters, seconds = (model.info.parameters or 0) / 1e6, model.figures["seconds_per_report"]
        return [
            *said,
            *(_share(behaviour[kind]) for kind in ("black_images", "shuffled_images")),
            _Cell(f"{parameters:.1f}", -round(parameters, 1)),
            _Cell(f"{seconds:.2f}", -round(seconds, 2)),
        ]

    yield from _table(headings, _rows(models, cells, label))


def protocol_line(model: Published, protocol: str) -> str:
    """What is compared, above its table."""
    return f"Protocol `{protocol}`: {model.figures['protocols'][protocol].replace('<unk>', '`<unk>`')}."


def number(value: float) -> str:
    """Three digits after the point and none before it: .123; nothing at all is 0."""
    return "0" if value == 0 else f"{value:.3f}".removeprefix("0")


def per_cent(share: float) -> str:
    """12 %"""
    return f"{100 * share:.0f} %"


def _rows(
    models: Sequence[Published],
    cells: Callable[[Published, str | None], list[_Cell]],
    label: Callable[[Published], str],
) -> Iterator[tuple[str, list[_Cell]]]:
    for model in models:
        yield label(model), cells(model, None)
    for floor, name in FLOORS.items():
        # Models with another vocabulary or another image encoder have other floors: each is shown once.
        distinct: dict[tuple[_Cell, ...], list[str]] = {}
        for model in models:
            if model.row("clinical", floor):
                distinct.setdefault(tuple(cells(model, floor)), []).append(model.info.name)
        for row, of in distinct.items():
            yield (name if len(distinct) == 1 else f"{name}, for {', '.join(of)}"), list(row)


def _table(headings: Sequence[str], rows: Iterator[tuple[str, list[_Cell]]]) -> Iterator[str]:
    yield f"| | {' | '.join(headings)} |"
    yield "|---" * (len(headings) + 1) + "|"
    labelled = list(rows)
    best = [_best(column) for column in zip(*(cells for _, cells in labelled), strict=True)]
    for label, cells in labelled:
        shown = (_marked(cell, top) for cell, top in zip(cells, best, strict=True))
        yield f"| {label} |" + "".join(f" {text} |" if text else " |" for text in shown)


def _best(column: Sequence[_Cell]) -> float | None:
    ranks = [cell.rank for cell in column if cell.rank is not None]
    return max(ranks) if len(ranks) > 1 else None


def _marked(cell: _Cell, best: float | None) -> str:
    if best is None or cell.rank != best:
        return cell.text
    value, space, interval = cell.text.partition(" [")
    return f"**{value}**{space}{interval}"


def _figure(figure: Sequence[float] | None, interval: bool) -> _Cell:
    if figure is None:
        return _NOTHING
    value, low, high = figure
    # A constant system's figure of nothing has no spread to tell.
    text = f"{number(value)} [{number(low)}, {number(high)}]" if interval and high > 0 else number(value)
    return _Cell(text, round(value, 3))


def _share(count: Mapping[str, int]) -> _Cell:
    if not count["studies"]:
        return _Cell("–")
    share = count["changed"] / count["studies"]
    return _Cell(f"{count['changed']} of {count['studies']}", round(share, 3))


def _rounded(value: float) -> float:
    return round(value, 6)

"""Evaluate a model on a data folder: its reports beside the floors, in `predictions.jsonl` and `results.json`."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from rrg.data.annotation import read_annotation
from rrg.data.studies import Study
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.evaluate import floors, protocols
from rrg.evaluate.behaviour import ImageSensitivity, classifier_auroc, image_sensitivity, shuffle_sensitivity, variety
from rrg.evaluate.clinical import clinical_scores
from rrg.evaluate.language import LanguageScores, language_scores
from rrg.evaluate.significance import RESAMPLES, SEED, Measure, intervals, paired_difference
from rrg.labels.findings import LABELER, label_report
from rrg.report import Report

ABNORMAL = "reference with a finding"
PACKAGES = ("rrg", "torch", "transformers", "numpy", "pycocoevalcap", "scikit-learn")


RARE = 3
"""Occurrences in the train split that a word of the R2Gen line's vocabulary has on IU X-Ray at least."""


class Writer(Protocol):
    """What evaluation needs of a model; `rrg.inference.reporter.Reporter` is one."""

    @property
    def name(self) -> str: ...
    @property
    def weights_sha256(self) -> str: ...
    @property
    def tokenizer(self) -> ReportTokenizer: ...
    def reports(self, studies: Iterable[Study], batch_size: int = 16) -> Iterator[Report]: ...
    def features(self, study: Study) -> np.ndarray: ...
    @property
    def features_digest(self) -> str: ...


@dataclass(frozen=True, eq=False)
class _Splits:
    """The studies of a data folder that have a reference report, by what they are for."""

    evaluated: list[Study]
    without_reference: int
    train: list[Study]
    val: list[Study]

    @classmethod
    def read(cls, folder: Path, split: str, limit: int | None) -> _Splits:
        studies = read_annotation(folder)
        in_split = [study for study in studies if study.split == split]
        if not in_split:
            known = ", ".join(dict.fromkeys(study.split or "" for study in studies))
            raise InputError(f"{folder} has no study in the split {split!r}. Its splits are: {known}.")
        with_reference = [study for study in in_split if _reference(study)]
        if not with_reference:
            raise InputError(f"No study of the split {split!r} in {folder} has a report to compare with.")
        return cls(
            evaluated=with_reference[:limit],
            without_reference=len(in_split) - len(with_reference),
            train=[study for study in studies if study.split == "train" and _reference(study)],
            val=[study for study in studies if study.split == "val" and _reference(study)],
        )


def evaluate(
    reporter: Writer,
    folder: Path,
    split: str,
    out: Path,
    limit: int | None = None,
    command: str | None = None,
    features: Path | None = None,
) -> dict[str, Any]:
    """Write a report for each study of `split` in `folder`, score it, and save both under `out`; gives the results.

    Studies without a reference report are left out and counted. `limit` takes the first studies only.
    `predictions.jsonl` is written as soon as the reports exist, so a later failure does not lose them. The image
    features of the train split are kept in `features` (default: a folder in `out`) for the next time, and for other
    models with the same image encoder. Raises InputError for a folder or a split that cannot be evaluated.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit} leaves nothing to evaluate: give 1 or more, or leave it out.")
    folder, out = Path(folder), Path(out)
    splits = _Splits.read(folder, split, limit)
    out.mkdir(parents=True, exist_ok=True)
    studies = splits.evaluated
    progress = tqdm(reporter.reports(studies), total=len(studies), desc="reports", disable=None)
    written = {report.study_id: report for report in progress}
    reports = [written[study.id] for study in studies]
    lines = (json.dumps({"id": r.study_id, "text": r.text}, ensure_ascii=False) for r in reports)
    write_whole(out / "predictions.jsonl", "".join(f"{line}\n" for line in lines).encode())

    floor_rows, floors_missing = _floors(reporter, splits, features or out / "features")
    results = _results(reporter, splits, reports, floor_rows)
    results["not_computed"] |= floors_missing
    results |= evaluated_on(folder, split, limit) | {
        "train_studies": len(splits.train),
        "command": command,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
    }
    write_whole(out / "results.json", (json.dumps(results, ensure_ascii=False, indent=1) + "\n").encode())
    return results


def evaluated_on(folder: Path, split: str, limit: int | None) -> dict[str, Any]:
    """What figures were measured on, as `results.json` says it: equal for the same studies, reports and split."""
    annotation = folder / "annotation.json"
    return {
        "data": folder.name,
        "annotation_sha256": hashlib.sha256(annotation.read_bytes()).hexdigest() if annotation.is_file() else None,
        "split": split,
        "limit": limit,
    }


def _results(
    reporter: Writer, splits: _Splits, reports: Sequence[Report], floor_rows: Sequence[floors.Floor]
) -> dict[str, Any]:
    """Everything that follows from the texts."""
    model, studies = reporter.name, splits.evaluated
    references = {study.id: _reference(study) for study in studies}
    texts = {model: {report.study_id: report.text for report in reports}}
    texts |= {floor.name: floor.texts for floor in floor_rows}
    used = (_r2gen_protocol(reporter, splits), protocols.RAW)
    language = {protocol.name: _language(protocol, model, reports, floor_rows, references) for protocol in used}
    clinical = {
        system: clinical_scores([said[study] for study in references], list(references.values()))
        for system, said in texts.items()
    }
    measures = {name: {system: row.measures for system, row in rows.items()} for name, rows in language.items()}
    measures["clinical"] = {system: row.measures for system, row in clinical.items()}

    seen = variety([report.text for report in reports])
    subsets = _subsets(splits)
    black = image_sensitivity(studies, texts[model], reporter.reports)
    shuffled = shuffle_sensitivity(studies, subsets[ABNORMAL].tolist(), texts[model], reporter.reports)
    return {
        "model": model,
        "weights_sha256": reporter.weights_sha256,
        "decoding": reports[0].decoding,
        "seconds_per_report": sum(report.seconds for report in reports) / len(reports),
        "studies": len(studies),
        "left_out_without_reference": splits.without_reference,
        "systems": {model: "the model"} | {floor.name: floor.description for floor in floor_rows},
        "protocols": {protocol.name: protocol.description for protocol in used},
        "labeler": f"{LABELER}; uncertain counts as present; labels of the findings text",
        "intervals": f"95 % percentile bootstrap over studies, {RESAMPLES} resamples, seed {SEED}",
        "figures": {name: _table(rows) for name, rows in measures.items()},
        "findings": {
            system: {finding: asdict(score) for finding, score in row.classes.items()}
            for system, row in clinical.items()
        },
        "subsets": {
            name: {
                "studies": int(keep.sum()),
                "figures": {group: _table(rows, keep) for group, rows in measures.items()},
            }
            for name, keep in subsets.items()
            if keep.any()
        },
        "model_minus_floor": {
            group: {
                floor.name: {
                    metric: asdict(paired_difference(measure, rows[floor.name][metric]))
                    for metric, measure in rows[model].items()
                }
                for floor in floor_rows
            }
            for group, rows in measures.items()
        },
        "behaviour": {
            "distinct_reports": seen.distinct,
            "distinct_references": variety(list(references.values())).distinct,
            "most_common_report": seen.most_common,
            "most_common_share": seen.most_common_share,
            "distinct_by_system": {system: variety(list(said.values())).distinct for system, said in texts.items()},
            "black_images": _sensitivity(black),
            "shuffled_images": _sensitivity(shuffled),
        },
        "classifier_auroc": {
            name: asdict(auroc) for name, auroc in classifier_auroc(reports, list(references.values())).items()
        },
        "not_computed": {metric: why for rows in language.values() for metric, why in rows[model].not_computed.items()},
        "warnings": sorted({text for rows in language.values() for row in rows.values() for text in row.warnings}),
    }


def _r2gen_protocol(reporter: Writer, splits: _Splits) -> protocols.Protocol:
    """With the model's vocabulary; a model of byte pairs knows no rare words, so the train split says which are."""
    tokenizer = reporter.tokenizer
    if tokenizer.has_byte_pairs and splits.train:
        reports = [_reference(study) for study in splits.train]
        tokenizer = ReportTokenizer.build(reports, RARE, tokenizer.cleaner)
    return protocols.r2gen_protocol(tokenizer)


def _language(
    protocol: protocols.Protocol,
    model: str,
    reports: Sequence[Report],
    floor_rows: Sequence[floors.Floor],
    references: Mapping[str, str],
) -> dict[str, LanguageScores]:
    systems = {model: {report.study_id: protocol.generated(report) for report in reports}}
    for floor in floor_rows:
        systems[floor.name] = {study: protocol.written(text) for study, text in floor.texts.items()}
    return language_scores(systems, {study: protocol.written(text) for study, text in references.items()})


def _table(
    rows: Mapping[str, Mapping[str, Measure]], keep: np.ndarray | None = None
) -> dict[str, dict[str, dict[str, float]]]:
    """System -> metric -> value, low, high; on the studies of `keep` where it is given."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for system, measures in rows.items():
        chosen = measures if keep is None else {name: measure.subset(keep) for name, measure in measures.items()}
        table[system] = {name: asdict(interval) for name, interval in intervals(chosen).items()}
    return table


def _sensitivity(found: ImageSensitivity) -> dict[str, Any]:
    return asdict(found) | {"share": found.share}


def _subsets(splits: _Splits) -> dict[str, np.ndarray]:
    """Name -> which evaluated studies: those with a finding, and those no copied train report can get right."""
    known = {protocols.ptb_words(_reference(study)) for study in splits.train}
    references = [_reference(study) for study in splits.evaluated]
    abnormal = [
        any(f.name == "No Finding" and f.status != "present" for f in label_report(text)) for text in references
    ]
    subsets = {ABNORMAL: np.array(abnormal)}
    if known:
        subsets["reference not in train"] = np.array([protocols.ptb_words(text) not in known for text in references])
    return subsets


def _floors(reporter: Writer, splits: _Splits, kept: Path) -> tuple[list[floors.Floor], dict[str, str]]:
    """The floors that the data folder allows, and for the others the reason why not."""
    ids = [study.id for study in splits.evaluated]
    rows = [floors.constant("normal template", "a hand-written normal report", floors.NORMAL_TEMPLATE, ids)]
    if not splits.train:
        return rows, {"floors of the train split": "not computed: the data folder has no train split"}
    train = [_reference(study) for study in splits.train]
    rows += [floors.most_frequent(train, ids), floors.random_report(train, ids)]
    missing: dict[str, str] = {}
    if splits.val:
        protocol = _r2gen_protocol(reporter, splits)
        by_bleu, by_cider = floors.best_constants(
            {text: protocol.written(text) for text in dict.fromkeys(train)},
            [protocol.written(_reference(study)) for study in splits.val],
        )
        why = "the train report with the best {} on val (r2gen protocol), for every study"
        rows.append(floors.constant("best constant (BLEU-4)", why.format("BLEU-4"), by_bleu, ids))
        rows.append(floors.constant("best constant (CIDEr)", why.format("CIDEr"), by_cider, ids))
    else:
        missing["best constant"] = "not computed: the data folder has no val split to choose it on"
    features = np.stack([reporter.features(study) for study in splits.evaluated])
    rows.append(floors.nearest_neighbour(train, _train_features(reporter, splits.train, kept), ids, features))
    return rows, missing


def _train_features(reporter: Writer, studies: Sequence[Study], kept: Path) -> np.ndarray:
    """Image features [N, D] of the train split, kept in `kept` because they take minutes on a CPU."""
    read = "".join(f"{study.id} {study.images}" for study in studies)  # with the images' files and views
    path = kept / f"train-{hashlib.sha256(f'{reporter.features_digest} {read}'.encode()).hexdigest()[:16]}.npy"
    if path.is_file():
        return np.load(path)
    progress = tqdm(studies, desc="train features", disable=None)
    features = np.stack([reporter.features(study) for study in progress])
    kept.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        np.save(file, features)
    os.replace(temporary, path)
    return features


def _reference(study: Study) -> str:
    return (study.report or "").strip()


def _machine() -> str:
    """What the seconds a report were measured on."""
    import torch  # here, not above: it takes seconds, and the command line's help imports this module's neighbours

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"a CPU with {threads} thread{'s' if threads > 1 else ''}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def write_whole(path: Path, content: bytes) -> None:
    """All or nothing: a reader, or a crash, never meets half a file."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)

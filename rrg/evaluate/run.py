"""Evaluate a model on a data folder: generate its reports, compute the floors, and write the results.

`rrg.evaluate.scoring` turns the texts into figures.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from rrg.data.annotation import read_annotation
from rrg.data.files import replaced, write_text
from rrg.data.studies import Study
from rrg.data.text import CLEANERS, is_blank
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError
from rrg.evaluate import floors, protocols
from rrg.evaluate.behaviour import image_sensitivity, shuffle_sensitivity
from rrg.evaluate.evaluation_page import page_content, results_facts, results_tables, write_page
from rrg.evaluate.results import EvaluatedOn, Provenance, Results
from rrg.evaluate.scorers import Scorer
from rrg.evaluate.scoring import compute_results
from rrg.evaluate.sentence_quality import SentenceQuality, sentence_quality, trigrams
from rrg.evaluate.unfinished import NAME as UNFINISHED
from rrg.evaluate.unfinished import ReportModel, UnfinishedReports
from rrg.labels.findings import label_report

ABNORMAL = "reference with a finding"
PACKAGES = ("rrg", "torch", "transformers", "numpy", "pycocoevalcap", "scikit-learn")
_LISTED = 20
"""Ids of studies that a message names."""
MIN_WORD_COUNT = 3
"""Occurrences in the train split below which the vocabulary of R2Gen for IU X-Ray leaves a word out."""


class EvaluatedModel(ReportModel, Protocol):
    """What evaluation needs of a model; `rrg.inference.reporter.Reporter` is one."""

    @property
    def tokenizer(self) -> ReportTokenizer: ...
    def features(self, study: Study) -> np.ndarray: ...
    @property
    def features_digest(self) -> str: ...


@dataclass(frozen=True, eq=False)
class _Splits:
    """The studies of a data folder that have a reference report."""

    evaluated: list[Study]
    without_reference: list[str]
    """Ids of the studies of the evaluated split that were left out because they have no reference report."""
    train: list[Study]
    val: list[Study]
    extra: list[Study]
    """Studies outside train, val and test, from which the sentences of the corpus are known too."""

    @classmethod
    def read(cls, folder: Path, split: str, limit: int | None) -> _Splits:
        studies = read_annotation(folder)
        in_split = [study for study in studies if study.split == split]
        if not in_split:
            known = ", ".join(dict.fromkeys(study.split or "" for study in studies))
            raise InputError(f"{folder} has no study in the split {split!r}. Its splits are: {known}.")
        blank = [study.id for study in in_split if is_blank(study.report)]
        with_reference = [study for study in in_split if not is_blank(study.report)]
        if not with_reference:
            raise InputError(
                f"No study of the split {split!r} in {folder} has a report to compare with: {_listed(blank)} without a "
                "text in `report`. Give another split, or complete annotation.json."
            )
        return cls(
            evaluated=with_reference[:limit],
            without_reference=blank,
            train=[study for study in studies if study.split == "train" and not is_blank(study.report)],
            val=[study for study in studies if study.split == "val" and not is_blank(study.report)],
            extra=[study for study in studies if study.split == "extra" and not is_blank(study.report)],
        )


def check_references(folder: Path | str, split: str) -> None:
    """Raise InputError, with the ids, if a study of a split has no reference report."""
    folder = Path(folder)
    blank = _Splits.read(folder, split, None).without_reference
    if blank:
        raise InputError(
            f"{folder / 'annotation.json'}: {_listed(blank)} of the split {split!r} without a text in `report` to "
            "compare with. Complete or remove the records, or leave the studies out with --blank-references skip."
        )


def _empty(texts: Mapping[str, str]) -> list[str]:
    """A note on the studies whose report is empty, if any is."""
    empty = [study for study, text in texts.items() if not text.strip()]
    return [f"Empty reports: {_listed(empty)}"] if empty else []


def _listed(ids: Sequence[str]) -> str:
    """The number of studies and their ids, of many the first."""
    shown = ", ".join(ids[:_LISTED]) + (", ..." if len(ids) > _LISTED else "")
    return f"{len(ids)} {'study' if len(ids) == 1 else 'studies'} ({shown})"


def evaluate(
    model: EvaluatedModel,
    folder: Path | str,
    split: str,
    out: Path | str,
    limit: int | None = None,
    command: str | None = None,
    features: Path | None = None,
    scorers: Sequence[Scorer] = (),
    images: bool = True,
) -> Results:
    """Generate and score a report for each study of a split.

    Written are `predictions.jsonl`, `results.json`, `evaluation.html` and `evaluation.md`.

    Studies without a reference report are found before a report is generated. They are left out, counted and named in
    the warnings. `predictions.jsonl` is written before anything is scored. Until the results are written,
    all reports are also in `unfinished.jsonl`, and an evaluation that failed reuses them when it is repeated.

    Args:
        model: The model.
        folder: Folder with annotation.json and images/ or images.tar.
        split: Which studies of annotation.json.
        out: Folder for the files.
        limit: Only the first so many studies.
        command: The command line that repeats the evaluation, for the record.
        features: Cache for the image features of the train split, which models with the same image encoder share;
            without it a folder in `out`.
        scorers: Further scorers.
        images: Show the images of the worst and best studies on the page.

    Raises InputError for a folder, a split or a limit that cannot be evaluated.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit} leaves nothing to evaluate: give 1 or more, or leave it out.")
    folder, out = Path(folder), Path(out)
    splits = _Splits.read(folder, split, limit)
    left_out = f"{_listed(splits.without_reference)} left out: no text in `report` to compare with"
    if splits.without_reference:
        tqdm.write(left_out, file=sys.stderr)
    out.mkdir(parents=True, exist_ok=True)  # an unusable folder fails before the reports are generated
    studies = splits.evaluated
    unfinished = UnfinishedReports(out / UNFINISHED, model, _version("rrg"))
    reports = list(tqdm(unfinished.reports(studies), total=len(studies), desc="reports", disable=None))
    lines = (json.dumps({"id": r.study_id, "text": r.text}, ensure_ascii=False) for r in reports)
    write_text(out / "predictions.jsonl", "".join(f"{line}\n" for line in lines))

    floor_rows, floors_not_computed = _floors(model, splits, features or out / "features")
    subsets = _subsets(splits)
    texts = {report.study_id: report.text for report in reports}
    references = {study.id: _reference(study) for study in studies}
    results = compute_results(
        reports,
        references,
        floor_rows,
        (_r2gen_protocol(model, splits), protocols.RAW),
        subsets,
        black_images=image_sensitivity(studies, texts, unfinished.reports),
        shuffled_images=shuffle_sensitivity(studies, subsets[ABNORMAL].tolist(), texts, unfinished.reports),
        left_out_without_reference=len(splits.without_reference),
        floors_not_computed=floors_not_computed,
        sentences=_sentence_counter(model, splits),
        provenance=Provenance(
            evaluated_on(folder, split, limit),
            train_studies=len(splits.train),
            command=command,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=_machine(),
            versions={"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        ),
        scorers=scorers,
    )
    if splits.without_reference:
        results = replace(results, warnings=(*results.warnings, left_out))
    content = page_content(
        f"{model.name} on {split} of {folder.resolve().name}",
        results_facts(results),
        results_tables(results),
        {model.name: texts, **{floor.name: floor.texts for floor in floor_rows}},
        references,
        studies if images else (),
        reports,
        [*results.warnings, *(f"{name}: {why}" for name, why in results.not_computed.items()), *_empty(texts)],
    )
    write_page(content, out)
    results.write(out / "results.json")
    unfinished.discard()
    return results


def evaluated_on(folder: Path, split: str, limit: int | None) -> EvaluatedOn:
    """Identify the studies and references that an evaluation uses."""
    annotation = folder / "annotation.json"
    digest = hashlib.sha256(annotation.read_bytes()).hexdigest() if annotation.is_file() else None
    return EvaluatedOn(folder.name, digest, split, limit)


def _r2gen_protocol(model: EvaluatedModel, splits: _Splits) -> protocols.Protocol:
    """The protocol with the model's vocabulary.

    A vocabulary of byte pairs has no rare words. For such a model the vocabulary is counted on the train split.
    """
    tokenizer = model.tokenizer
    if tokenizer.has_byte_pairs and splits.train:
        reports = [_reference(study) for study in splits.train]
        tokenizer = ReportTokenizer.build(reports, MIN_WORD_COUNT, tokenizer.cleaner)
    return protocols.r2gen_protocol(tokenizer)


def _sentence_counter(model: EvaluatedModel, splits: _Splits) -> Callable[[Iterable[str]], SentenceQuality]:
    """Counts the faults of sentences, with the trigrams of train and extra in the cleaning of the model."""
    clean = CLEANERS[model.tokenizer.cleaner]
    known = trigrams([_reference(study) for study in (*splits.train, *splits.extra)], clean)
    return partial(sentence_quality, clean=clean, known=known)


def _subsets(splits: _Splits) -> dict[str, np.ndarray]:
    """Name -> bool [N]: studies with a finding, and studies whose reference is no report of the train split."""
    train = {protocols.ptb_words(_reference(study)) for study in splits.train}
    references = [_reference(study) for study in splits.evaluated]
    abnormal = [
        any(f.name == "No Finding" and f.status != "present" for f in label_report(text)) for text in references
    ]
    subsets = {ABNORMAL: np.array(abnormal)}
    if train:
        subsets["reference not in train"] = np.array([protocols.ptb_words(text) not in train for text in references])
    return subsets


def _floors(model: EvaluatedModel, splits: _Splits, cache: Path) -> tuple[list[floors.Floor], dict[str, str]]:
    """The floors that the data folder allows, and the reasons why others are missing."""
    ids = [study.id for study in splits.evaluated]
    rows = [floors.constant("normal template", "a hand-written normal report", floors.NORMAL_TEMPLATE, ids)]
    if not splits.train:
        return rows, {"floors of the train split": "not computed: the data folder has no train split"}
    train = [_reference(study) for study in splits.train]
    rows += [floors.most_frequent(train, ids), floors.random_report(train, ids)]
    missing: dict[str, str] = {}
    if splits.val:
        tokenize = _r2gen_protocol(model, splits).tokenize_reference
        by_bleu, by_cider = floors.best_constants(
            {text: tokenize(text) for text in dict.fromkeys(train)},
            [tokenize(_reference(study)) for study in splits.val],
        )
        description = "the train report with the best {} on val (r2gen protocol), for every study"
        rows.append(floors.constant("best constant (BLEU-4)", description.format("BLEU-4"), by_bleu, ids))
        rows.append(floors.constant("best constant (CIDEr)", description.format("CIDEr"), by_cider, ids))
    else:
        missing["best constant"] = "not computed: the data folder has no val split to choose it on"
    features = np.stack([model.features(study) for study in splits.evaluated])
    rows.append(floors.nearest_neighbour(train, _train_features(model, splits.train, cache), ids, features))
    return rows, missing


def _train_features(model: EvaluatedModel, studies: Sequence[Study], cache: Path) -> np.ndarray:
    """Image features [N, D] of the train split, cached in a folder because they take minutes on a CPU.

    Those that were computed before an error are cached too.
    """
    inputs = "".join(f"{study.id} {study.images}" for study in studies)  # with the images' files and views
    key = hashlib.sha256(f"{model.features_digest} {inputs}".encode()).hexdigest()[:16]
    path = cache / f"train-{key}.npy"
    if path.is_file():
        return np.load(path)
    unfinished = cache / f"train-{key}.unfinished.npy"
    rows: list[np.ndarray] = list(np.load(unfinished)) if unfinished.is_file() else []
    try:
        for study in tqdm(studies[len(rows) :], desc="train features", disable=None):
            rows.append(model.features(study))
    except BaseException:
        if rows:
            _save(unfinished, np.stack(rows))
        raise
    features = np.stack(rows)
    _save(path, features)
    unfinished.unlink(missing_ok=True)
    return features


def _save(path: Path, array: np.ndarray) -> None:
    with replaced(path) as temporary:
        np.save(temporary, array)


def _reference(study: Study) -> str:
    return (study.report or "").strip()


def _machine() -> str:
    """The device on which the seconds per report were measured."""
    import torch  # imported here: it takes seconds, which the help of the command line need not wait for

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"a CPU with {threads} thread{'s' if threads > 1 else ''}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

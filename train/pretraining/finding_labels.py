"""Finding labels of reference reports, computed once and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, Dataset

from monitoring.progress import Progress
from rrg.data.files import replaced
from rrg.data.studies import Study
from rrg.data.study_table import StudyTable
from rrg.labels.findings import FINDINGS
from rrg.labels.labeler import Labeler, RuleLabeler, label_vectors

_BATCH = 256
_ENOUGH_FOR_WORKERS = 2000
"""Number of reports from which worker processes are faster than their start."""


def finding_labels(studies: Sequence[Study], cache: Path, labeler: Labeler, workers: int = 1) -> np.ndarray:
    """The labels of the studies' reports, float32 [studies, 14], memory-mapped from or into the cache.

    The file is found by a hash of the reports and of the labeler's name.

    Args:
        studies: Studies with reports.
        cache: Folder of the file.
        labeler: What labels a report.
        workers: Processes that label by rules. A network labels in this process.
    """
    path = cache / f"labels-{_key(report_texts(studies), labeler)}.npy"
    if not path.is_file():
        with replaced(path) as temporary:
            np.save(temporary, _computed(studies, labeler, workers))
    return np.load(path, mmap_mode="r")


def report_texts(studies: Sequence[Study]) -> Iterable[str]:
    """The reports of studies, one by one."""
    return studies.reports() if isinstance(studies, StudyTable) else (study.report or "" for study in studies)


def _key(reports: Iterable[str], labeler: Labeler) -> str:
    digest = hashlib.sha256(labeler.name.encode())
    for report in reports:
        digest.update(f"{len(report)} {report}".encode(errors="replace"))
    return digest.hexdigest()[:16]


def _computed(studies: Sequence[Study], labeler: Labeler, workers: int) -> np.ndarray:
    in_workers = isinstance(labeler, RuleLabeler) and len(studies) >= _ENOUGH_FOR_WORKERS
    label = partial(label_vectors, labeler)
    loader = DataLoader(
        _Reports(studies),
        batch_size=_BATCH,
        num_workers=workers if in_workers else 0,
        collate_fn=label if in_workers else list,
    )
    labels = np.zeros((len(studies), len(FINDINGS)), dtype=np.float32)
    with Progress(total=len(studies), desc="labels", unit="reports") as progress:
        for batch in loader:
            rows = batch if in_workers else label(batch)
            labels[progress.n : progress.n + len(rows)] = rows
            progress.update(len(rows))
    return labels


class _Reports(Dataset[str]):
    def __init__(self, studies: Sequence[Study]):
        self.studies = studies

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> str:
        return self.studies[index].report or ""

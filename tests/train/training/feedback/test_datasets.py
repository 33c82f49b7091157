"""Data sets of corrections: pairs, features of the right study, and the share of original studies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from rrg.data.batches import StudyDataset
from rrg.data.studies import Study
from rrg.data.tokenizer import ReportTokenizer
from rrg.data.transforms import ViewTransform
from training.feature_dataset import FeatureDataset
from training.feedback.corrections import CorrectedReport, StudyCorrection
from training.feedback.datasets import REJECTED, CorrectionDataset, MixedDataset, collate_pairs

NORMAL, LONGER = "The lungs are clear.", "The lungs are clear. The heart is normal."
TOKENIZER = ReportTokenizer.build([LONGER, "Pacemaker."], threshold=1)


def correction(study_id: str, generated: str, corrected: str, reader: str = "A") -> StudyCorrection:
    line = CorrectedReport(study_id, "tiny", "0" * 64, generated, corrected, reader)
    return StudyCorrection(Study(study_id, (), corrected), line)


def texts(studies: Sequence[Study]) -> StudyDataset:
    return StudyDataset(studies, ViewTransform(64, (0.5,) * 3, (0.5,) * 3), TOKENIZER, 20)


def features(studies: Sequence[Study]) -> FeatureDataset:
    """Features that are the number in the id of the study."""
    maps = np.stack([np.full((2, 3, 1, 1), int(study.id)) for study in studies])
    return FeatureDataset(texts(studies), [maps], np.ones((len(studies), 2), dtype=bool))


def corrections(*chosen: StudyCorrection) -> CorrectionDataset:
    return CorrectionDataset(chosen, features, texts, TOKENIZER, 20)


def words(ids: torch.Tensor) -> str:
    return " ".join(TOKENIZER.decode_words([i for i in ids.tolist() if i >= 0]))


def test_each_correction_has_the_features_of_its_study_and_its_own_text() -> None:
    dataset = corrections(
        correction("3", NORMAL, LONGER), correction("3", NORMAL, NORMAL, "B"), correction("5", NORMAL, "Pacemaker.")
    )
    assert [int(dataset[i]["features"].max()) for i in range(3)] == [3, 3, 5]
    assert [words(dataset[i]["labels"]) for i in range(3)] == [
        "the lungs are clear . the heart is normal .",
        "the lungs are clear .",
        "pacemaker .",
    ]
    assert words(dataset[0][REJECTED]) == "the lungs are clear ."
    assert dataset[0]["findings"][12] == 0 and dataset[2]["findings"][12] == 1, "labels of the corrected text"


def test_texts_that_are_equal_for_the_model_are_no_pair() -> None:
    dataset = corrections(correction("1", NORMAL, "the lungs are  clear ."), correction("2", NORMAL, LONGER))
    assert dataset.pairs == 1
    assert len(dataset[0][REJECTED]) == 0


@pytest.mark.parametrize(("share", "drawn"), [(0.0, 0), (0.5, 8), (0.75, 24), (0.2, 2)])
def test_an_epoch_has_the_share_of_original_studies(share: float, drawn: int) -> None:
    original = features([Study(str(i), (), NORMAL) for i in range(100, 140)])
    mixed = MixedDataset(corrections(*(correction(str(i), NORMAL, LONGER) for i in range(8))), original, share)
    assert mixed.drawn == drawn and len(mixed) == 8 + drawn
    numbers = [int(mixed[i]["features"].max()) for i in range(len(mixed))]
    assert numbers[:8] == list(range(8))
    assert all(100 <= number < 140 for number in numbers[8:])
    if drawn > 20:
        assert numbers[8:] != [int(mixed[i]["features"].max()) for i in range(8, len(mixed))], "drawn anew"


def test_a_batch_marks_studies_without_a_pair() -> None:
    mixed = MixedDataset(corrections(correction("1", NORMAL, LONGER)), features([Study("9", (), NORMAL)]), 0.5)
    batch = collate_pairs([mixed[0], mixed[1]])
    assert (batch[REJECTED] >= 0).any(1).tolist() == [True, False]
    assert words(batch[REJECTED][0]) == "the lungs are clear ."
    assert batch["labels"].shape[0] == batch["features"].shape[0] == 2
    assert REJECTED not in collate_pairs([features([Study("9", (), NORMAL)])[0]]), "a study of an evaluation"

"""Figures before and after on the same studies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from rrg.data.batches import StudyDataset
from rrg.data.studies import Study
from rrg.data.tokenizer import ReportTokenizer
from rrg.data.transforms import ViewTransform
from tests.tiny import tiny_model
from training.feature_dataset import FeatureDataset
from training.feedback.errors import Error, Statement
from training.feedback.figures import compare, generated_texts, reference_texts, render

ERRORS = [Error("omits", Statement("Pacemaker", True)), Error("omits", Statement("Pleural Effusion", False))]
BOTH, HALF, NONE = "there is no pleural effusion . a pacemaker .", "there is no pleural effusion .", "clear ."


def test_figures_compare_the_same_studies() -> None:
    references = [BOTH, BOTH, BOTH, HALF]
    comparison = compare("val", [HALF, HALF, BOTH, HALF], [BOTH, HALF, BOTH, BOTH], references, ERRORS)
    figures = {figure.name: figure for figure in comparison.figures}
    omitted, overdone = figures['omits "Pacemaker"'], figures['adds "Pacemaker"']
    assert (omitted.before, omitted.after, omitted.studies) == (pytest.approx(2 / 3), pytest.approx(1 / 3), 3)
    assert (overdone.before, overdone.after, overdone.studies) == (0, 1, 1)
    assert figures['omits "no Pleural Effusion"'].before == 0
    for name in ("ROUGE-L", "micro-F1-13", "clinical-terms-F1"):
        assert figures[name].studies == 4
        assert figures[name].difference.value == pytest.approx(figures[name].after - figures[name].before)
        assert figures[name].difference.low <= figures[name].difference.value <= figures[name].difference.high
    same = compare("val", references, references, references, ERRORS)
    assert {f.name: f.after for f in same.figures}["ROUGE-L"] == 1


def test_the_table_has_a_row_for_each_figure() -> None:
    comparison = compare("val", [NONE, BOTH], [BOTH, BOTH], [BOTH, HALF], ERRORS)
    rows = render(comparison).splitlines()
    assert len(rows) == 2 + len(comparison.figures)
    assert {row.count("|") for row in rows} == {6}
    assert '| omits "Pacemaker" | 1 | 1.000 | 0.000 | -1.000 [' in render(comparison)


def test_reports_are_generated_by_the_settings_of_the_model_in_the_order_of_the_studies() -> None:
    tokenizer = ReportTokenizer.build(["the heart is normal . the lungs are clear . a pacemaker ."], threshold=1)
    model = tiny_model("r2gen_cmn", vocab_size=len(tokenizer))
    model.generation_config = GenerationConfig(
        num_beams=1, max_length=8, bos_token_id=0, eos_token_id=0, pad_token_id=0, decoder_start_token_id=0
    )
    transform = ViewTransform(64, (0.5,) * 3, (0.5,) * 3)
    studies = [Study(str(i), (), text) for i, text in enumerate(["The heart is normal.", "Strange pacemaker."] * 9)]
    maps = torch.randn(18, 2, model.image_encoder.num_features, 2, 2, generator=torch.Generator().manual_seed(0))
    dataset = FeatureDataset(
        StudyDataset(studies, transform, tokenizer, 8),
        [maps.relu().numpy() * 3],
        np.ones((18, 2), dtype=bool),
    )
    texts = generated_texts(model, tokenizer, None, dataset)
    alone = [
        generated_texts(
            model,
            tokenizer,
            None,
            FeatureDataset(
                StudyDataset([study], transform, tokenizer, 8),
                [maps[i : i + 1].relu().numpy() * 3],
                np.ones((1, 2), bool),
            ),
        )[0]
        for i, study in enumerate(studies)
    ]
    assert texts == alone and len(set(texts)) > 1
    assert all(len(text.split()) <= 7 for text in texts)
    assert reference_texts(tokenizer, dataset)[:2] == ["the heart is normal .", "<unk> pacemaker ."]

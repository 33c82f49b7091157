"""The log-likelihood of whole reports."""

from __future__ import annotations

import torch

from rrg.models.base import ReportModel
from tests.tiny import tiny_model
from training.likelihood import report_log_likelihood


def features(model: ReportModel, studies: int) -> torch.Tensor:
    shape = (studies, 2, model.image_encoder.num_features, 2, 2)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).relu()


def test_it_is_the_sum_over_the_words_and_the_end_without_the_padding() -> None:
    model = tiny_model("r2gen_cmn")
    encoded = model.encode(features=features(model, 1))
    padded = report_log_likelihood(model, encoded, torch.tensor([[1, 2, 0, -100, -100]]))
    logits = model(decoder_input_ids=torch.tensor([[0, 1, 2]]), encoder_outputs=encoded).logits.log_softmax(-1)
    torch.testing.assert_close(padded[0], logits[0, 0, 1] + logits[0, 1, 2] + logits[0, 2, 0])


def test_rows_of_one_study_share_its_images() -> None:
    model = tiny_model("r2gen_cmn")
    maps, labels = features(model, 2), torch.tensor([[1, 2, 0], [3, 0, -100], [4, 5, 6], [7, 0, -100]])
    together = report_log_likelihood(model, model.encode(features=maps), labels)
    for study in range(2):
        for row in (2 * study, 2 * study + 1):
            alone = report_log_likelihood(model, model.encode(features=maps[study : study + 1]), labels[row : row + 1])
            torch.testing.assert_close(together[row], alone[0])

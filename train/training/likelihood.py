"""Log-likelihood of whole reports, for losses that compare reports."""

from __future__ import annotations

from torch import Tensor

from rrg.models.base import ReportModel
from rrg.models.outputs import ReportEncoderOutput


def report_log_likelihood(model: ReportModel, encoded: ReportEncoderOutput, labels: Tensor) -> Tensor:
    """Log-probability [rows] of the reports with these labels [rows, T]: ids after BOS with EOS, -100 for padding.

    `labels` may have several rows for each study of `encoded`, one after the other.
    """
    logits = model(decoder_input_ids=model.shift_right(labels), encoder_outputs=encoded).logits  # [rows,T,vocabulary]
    valid = labels >= 0
    chosen = logits.float().log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]  # [rows,T]
    return (chosen * valid).sum(1)

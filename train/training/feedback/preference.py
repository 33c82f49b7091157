"""Direct preference optimisation (Rafailov et al., NeurIPS 2023) of report models.

Symbol      Code                  Meaning
x                                 images of a study
y_w         chosen                corrected report
y_l         rejected              report that the model generated
pi_theta    policy_*              log-probability of a report by the model that is trained
pi_ref      reference_*           log-probability of a report by the frozen model from before
beta        beta                  strength of the attraction to the reference

TRL's `DPOTrainer` (1.16) concatenates a prompt with its completions for a causal language model. It has no encoder, and
the images of a study are no prompt, so that the loss is here.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def dpo_loss(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> Tensor:
    """Loss of each pair [n] from log-probabilities of whole reports, each [n] (Rafailov et al., equation 7)."""
    margin = (policy_chosen - reference_chosen) - (policy_rejected - reference_rejected)
    return -F.logsigmoid(beta * margin)

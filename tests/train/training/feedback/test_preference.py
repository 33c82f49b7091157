"""The preference loss: by hand, by the published formula, and the direction of its gradient."""

from __future__ import annotations

import math

import pytest
import torch

from training.feedback.preference import dpo_loss


def test_the_loss_of_a_pair_computed_by_hand() -> None:
    """The chosen report gained 2 nats over the reference, the rejected one lost 1: beta * 3 = 0.3."""
    values = [torch.tensor([value], dtype=torch.float64) for value in (-8.0, -13.0, -10.0, -12.0)]
    assert dpo_loss(*values, beta=0.1).item() == pytest.approx(0.5543552444685271)  # ln(1 + e^-0.3)


def test_the_loss_equals_the_published_formula() -> None:
    """Equation 7: -log sigma(beta log(pi(w)/ref(w)) - beta log(pi(l)/ref(l))), with probabilities in place of logs."""
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(4, 50, generator=generator, dtype=torch.float64) * 0.9 + 0.05
    policy_w, policy_l, reference_w, reference_l = probabilities
    for beta in (0.05, 0.1, 1.0):
        ratio = (policy_w / reference_w) ** beta / (policy_l / reference_l) ** beta
        expected = -torch.log(ratio / (1 + ratio))  # sigma(log r) = r / (1 + r)
        torch.testing.assert_close(dpo_loss(*probabilities.log(), beta=beta), expected)


def test_a_policy_equal_to_the_reference_has_the_loss_log_2() -> None:
    chosen, rejected = torch.tensor([-3.0, -40.0]), torch.tensor([-9.0, -2.0])
    torch.testing.assert_close(dpo_loss(chosen, rejected, chosen, rejected, 0.1), torch.full((2,), math.log(2)))


def test_the_gradient_raises_the_chosen_and_lowers_the_rejected_report() -> None:
    """Its size is that of the paper: beta * sigma(reward of the rejected - reward of the chosen)."""
    chosen, rejected = (torch.tensor([value], requires_grad=True) for value in (-8.0, -13.0))
    dpo_loss(chosen, rejected, torch.tensor([-10.0]), torch.tensor([-12.0]), 0.1).sum().backward()
    assert chosen.grad is not None and rejected.grad is not None
    size = 0.1 / (1 + math.exp(0.3))
    assert chosen.grad.item() == pytest.approx(-size)  # a descent raises it
    assert rejected.grad.item() == pytest.approx(size)

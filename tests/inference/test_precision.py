"""The precision follows from the machine."""

from __future__ import annotations

import pytest
import torch

from rrg.errors import InputError
from rrg.inference import precision
from rrg.inference.precision import chosen_dtype, is_faster

CPU = torch.device("cpu")


@pytest.mark.parametrize("faster", [True, False])
def test_auto_is_bfloat16_only_where_the_probe_finds_it_faster(faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_rate", lambda *_: 2.0 if torch.is_autocast_enabled("cpu") == faster else 1.0)
    assert is_faster(torch.bfloat16, CPU) is faster
    assert chosen_dtype("auto", CPU) == (torch.bfloat16 if faster else torch.float32)


def test_a_named_precision_is_not_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "is_faster", None)
    assert chosen_dtype("fp32", CPU) == torch.float32
    assert chosen_dtype("bf16", CPU) == torch.bfloat16
    assert chosen_dtype("fp16", torch.device("cuda")) == torch.float16
    with pytest.raises(InputError, match="needs a GPU"):
        chosen_dtype("fp16", CPU)

"""Registration with ZeroGPU, with a stand-in of its package."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from rrg.ui.zero_gpu import register_zero_gpu


def test_one_function_asks_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    registered = []
    spaces = ModuleType("spaces")
    spaces.GPU = lambda function: registered.append(function) or function  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    register_zero_gpu()
    assert len(registered) == 1

"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs {name} beside the checkout (../shared/{name}), which is absent")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real radiographs, reports and reference figures; licensed, so never part of the repository."""
    return _folder("data")


@pytest.fixture(scope="session")
def parity() -> Path:
    """Inputs and outputs of the published code at tiny sizes."""
    return _folder("parity")

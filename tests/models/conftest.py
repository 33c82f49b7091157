"""Every architecture at tiny sizes."""

from __future__ import annotations

import pytest

from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel
from tests.tiny import tiny_model


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> ReportModel:
    return tiny_model(request.param)

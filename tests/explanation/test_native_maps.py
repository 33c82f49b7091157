"""Every map of an architecture's own is described in plain words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rrg.data.phantom import make_phantom
from rrg.explanation.native_maps import meaning
from rrg.inference.reporter import Reporter
from rrg.models import ARCHITECTURES


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_native_map_says_what_it_is(architecture: str, tiny_folder: Callable[[str], Path]) -> None:
    reporter = Reporter.from_pretrained(tiny_folder(architecture), device="cpu")
    study = make_phantom(3, size=96).study
    native = reporter.explain(study, reporter.report(study)).native
    assert native
    for heatmap in native:
        assert heatmap.description.endswith("."), heatmap.target
        assert heatmap.description == meaning(architecture, heatmap.target)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [("lgfm_net", "spatial gate"), ("sgrrg", "abnormal attribute probability")],
)
def test_maps_of_other_configurations_are_described_too(architecture: str, name: str) -> None:
    """The tiny models do not have these."""
    assert meaning(architecture, name)


def test_an_unknown_map_has_no_description() -> None:
    assert meaning("plain", "class map: Edema") == ""

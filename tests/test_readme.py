"""The Python examples of README.md run as they stand. Those that call the app are run by tests/ui/test_api.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rrg.data.phantom import make_phantom
from rrg.data.studies import study_of_files
from rrg.explanation.maps import Explanation
from rrg.inference.reporter import Reporter
from rrg.report import Report
from tests.data.conftest import dicom_file  # noqa: F401 - a fixture

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = [
    example for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "gradio_client" not in example
]


@pytest.fixture
def place(
    tmp_path: Path,
    tiny_weights: Path,
    dicom_file: Callable[..., bytes],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder with the files that the examples name, and a tiny model."""
    for name, radiograph in zip(("frontal", "lateral"), make_phantom(3, size=256).study.radiographs(), strict=True):
        Image.fromarray((radiograph.pixels * 255).round().astype("uint8")).save(tmp_path / f"{name}.png")
    stored = (make_phantom(3, size=256).study.radiographs()[0].pixels * 4095).astype(np.uint16)
    (tmp_path / "frontal.dcm").write_bytes(dicom_file(stored, BitsStored=12))
    (tmp_path / "weights").symlink_to(tiny_weights)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(example: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    return names


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == 2
    assert "reporter.explain" in EXAMPLES[0] and "AutoProcessor" in EXAMPLES[1]


def test_a_study_gets_its_report_and_maps(place: Path) -> None:
    names = run(EXAMPLES[0])
    assert isinstance(names["report"], Report) and names["report"].text
    assert isinstance(names["maps"], Explanation) and names["maps"].words


def test_transformers_writes_the_report_of_the_reporter(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(EXAMPLES[1])
    report = Reporter.from_pretrained("weights/r2gen_cmn").report(study_of_files("frontal.png", "lateral.png"))
    assert capsys.readouterr().out.strip() == report.text

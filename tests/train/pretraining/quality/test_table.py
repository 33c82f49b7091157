"""The page of the checks: counts, and agreement with the published heads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pretraining.quality.table import write_table
from pretraining.quality.training import QualityRecipe, train_quality
from rrg.data.quality.heads import FILE
from rrg.errors import InputError

PAGE = Path(__file__).resolve().parents[4] / "docs" / "quality.md"


@pytest.fixture
def recipe(phantoms: Path, encoder: Path, tmp_path: Path) -> QualityRecipe:
    return QualityRecipe(
        phantoms,
        encoder=encoder,
        work=tmp_path,
        table=tmp_path / "quality.md",
        samples=120,
        phantom_samples=0,
        other_samples=40,
        epochs=1,
        hidden=4,
    )


@pytest.mark.slow
def test_the_page_has_a_line_for_each_kind_with_true_counts(recipe: QualityRecipe) -> None:
    train_quality(recipe)
    write_table(recipe)
    page = recipe.table.read_text()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    sensitivity = {(cells[0], cells[1], cells[2]): cells for cells in lines if len(cells) == 6}
    blank = sensitivity["empty", "refuse", "one grey value, also with a frame or faint noise"]
    assert blank[3:5] == ["60", "100.0%"]
    assert sensitivity["noise", "refuse", "independent pixels"][4] == "100.0%"
    alarms = {(cells[0], cells[1]): cells for cells in lines if len(cells) == 4}
    assert alarms["empty", "refuse"][2] == "0.0%"
    assert alarms["too_small", "warn"][2] == "100.0%", "the phantoms have 64 pixels a side"
    assert re.search(r"Of the 4 val studies as a whole, \d would be", page)


def test_heads_of_another_encoder_are_not_measured(recipe: QualityRecipe) -> None:
    train_quality(recipe)
    content = recipe.encoder.read_bytes()
    try:
        recipe.encoder.write_bytes(content[:-4] + bytes(4))
        with pytest.raises(InputError, match="another image encoder"):
            write_table(recipe)
    finally:
        recipe.encoder.write_bytes(content)
        recipe.encoder.with_name(FILE).unlink()

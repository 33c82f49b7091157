"""What the page of an evaluation shows."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rrg.data.phantom import make_phantom
from rrg.data.studies import ImageFile
from rrg.evaluate.evaluation_page import figures_table, page_content
from rrg.evaluate.evaluation_page.content import PICTURE_SIDE, STATUSES, pictures
from rrg.evaluate.significance import Interval
from rrg.labels.findings import FINDINGS, Status

REFERENCES = {
    "a": "There is pulmonary edema.",
    "b": "The lungs are clear. No pleural effusion.",
    "c": "Large left pneumothorax.",
    "d": "The heart is enlarged.",
}
TEXTS = {"a": "There is pulmonary edema.", "b": "Left pleural effusion.", "c": "", "d": "The heart is enlarged."}
FLOOR = dict.fromkeys(REFERENCES, "The lungs are clear.")


def test_scores_outcomes_and_labels_are_those_of_the_first_system() -> None:
    content = page_content("t", {}, [], {"mine": TEXTS, "floor": FLOOR}, REFERENCES)
    assert list(content.scores["ROUGE-L"]) == ["mine", "floor"]
    assert content.scores["ROUGE-L"]["mine"][0] == pytest.approx(1)
    outcomes = dict(zip(FINDINGS, content.outcomes.tolist(), strict=True))
    assert outcomes["Edema"] == [1, 0, 0]
    assert outcomes["Pleural Effusion"] == [0, 1, 0]
    assert outcomes["Pneumothorax"] == [0, 0, 1]
    places = {status: i for i, status in enumerate(STATUSES)}
    assert content.statuses[places[Status.ABSENT], places[Status.PRESENT]] == 1, "the effusion that was denied"
    assert content.statuses.sum() == 4 * 13


def test_the_worst_and_best_studies_are_shown_with_what_differs() -> None:
    content = page_content("t", {}, [], {"mine": TEXTS}, REFERENCES)
    assert [study.study_id for study in content.worst] == ["c", "b"]
    assert {study.study_id for study in content.best} == {"a", "d"}
    assert "Pneumothorax: missed" in content.worst[0].differences
    assert "Pleural Effusion: contradicted" in content.worst[1].differences
    assert content.best[0].differences == ()
    assert content.worst[0].pictures == ()


def test_images_are_shown_where_they_can_be_read(tmp_path: Path) -> None:
    phantom = make_phantom(1, size=400).study
    broken = replace(phantom, id="b", images=(ImageFile(tmp_path / "absent.png"),))
    content = page_content("t", {}, [], {"mine": TEXTS}, REFERENCES, studies=[broken, replace(phantom, id="c")])
    by_id = {study.study_id: study.pictures for study in content.worst}
    assert len(by_id["c"]) == len(phantom.images) and by_id["b"] == ()
    prefix, _, data = by_id["c"][0].partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert prefix == "data:image/jpeg;base64" and max(image.size) == PICTURE_SIDE
    original = Image.fromarray((phantom.radiographs()[0].pixels * 255).astype(np.uint8)).resize(image.size)
    assert np.abs(np.asarray(image, float) - np.asarray(original, float)).mean() < 8
    assert pictures(broken) == ()


def test_a_missing_figure_is_not_0() -> None:
    table = figures_table("T", "n", {"mine": {"F1": Interval(0.5, 0.4, 0.6)}, "other": {}}, ["F1", "METEOR"])
    assert table.header == ("", "F1")
    assert table.rows == (("mine", "0.500 (0.400 to 0.600)"), ("other", "not computed"))

"""The values that components send to the browser: views, maps, findings."""

from __future__ import annotations

import base64
from typing import get_args

import numpy as np
import pytest

from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.explanation.maps import Explanation, Heatmap, Region
from rrg.report import Note, Remedy
from rrg.ui.components import chosen_remedy, notes_value
from rrg.ui.components.viewer import maps_value, views_value


def _radiograph(pixels: np.ndarray, spacing: tuple[float, float] | None = None) -> Radiograph:
    return Radiograph(pixels, "frontal", spacing, Provenance("PNG", 16, changes=("inverted",), removed_tags=12))


def test_a_view_is_described_without_its_pixels() -> None:
    images = (
        _radiograph(np.zeros((256, 200), np.float32)),
        _radiograph(np.zeros((1500, 3000), np.float32), (0.2, 0.1)),
    )
    frontal, other = views_value(Study("study/1 of 2", images))
    assert frontal == {
        "url": "rrg/images/study%2F1%20of%202/0",
        "width": 200,
        "height": 256,
        "aspect": 200 / 256,
        "view": "frontal",
        "title": "Frontal",
        "caption": "200 × 256 · PNG 16-bit · inverted · 12 metadata tags left out",
    }
    assert other["url"].endswith("/1")
    assert other["aspect"] == pytest.approx(1.0), "the aspect accounts for pixel spacing"


def _heatmap(values: np.ndarray, target: str = "word") -> Heatmap:
    return Heatmap(target, "cross-attention", "layer", "mean", None, values.astype(np.float32))


def _decode(sent: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(sent["data"]), np.uint8).reshape(sent["shape"])


def test_a_map_is_quantised_to_255_steps_of_its_maximum() -> None:
    values = np.random.default_rng(0).random((2, 7, 5)) * 0.03
    (sent,) = maps_value(Explanation((_heatmap(values),), (), ()))["word"]
    assert sent["max"] == pytest.approx(values.max())
    np.testing.assert_allclose(_decode(sent) / 255 * sent["max"], values, atol=sent["max"] / 255)


def test_views_of_a_map_share_one_scale() -> None:
    values = np.stack([np.full((2, 2), 0.5), np.full((2, 2), 0.1)])
    (sent,) = maps_value(Explanation((_heatmap(values),), (), ()))["word"]
    assert _decode(sent)[0].min() == 255
    assert _decode(sent)[1].max() == 51


def test_an_empty_map_is_sent_as_zero_everywhere() -> None:
    values = np.array([[[-1.0, np.nan], [0.0, -0.5]]])
    (sent,) = maps_value(Explanation((_heatmap(values),), (), ()))["word"]
    assert sent["max"] == 0
    assert not _decode(sent).any()


def test_maps_of_findings_are_at_the_index_of_their_finding() -> None:
    effusion = _heatmap(np.ones((1, 2, 2)), "Pleural Effusion")
    sent = maps_value(Explanation((), (), (effusion,)))["finding"]
    assert [place for place, heatmap in enumerate(sent) if heatmap] == [9]
    assert len(sent) == 14


def test_the_models_own_maps_have_their_order_and_grid_sizes() -> None:
    own = (_heatmap(np.ones((2, 7, 7)), "discriminative map"), _heatmap(np.full((2, 3, 4), 0.2), "regions: left lung"))
    sent = maps_value(Explanation((), (), (), own))["native"]
    assert [(heatmap["target"], heatmap["shape"]) for heatmap in sent] == [
        ("discriminative map", [2, 7, 7]),
        ("regions: left lung", [2, 3, 4]),
    ]
    assert sent[1]["max"] == pytest.approx(0.2)


def test_regions_are_sent_by_name() -> None:
    region = Region("left lung", 1, (0.5, 0.1, 0.9, 0.8))
    sent = maps_value(Explanation((), (), (), (), (region,)))["regions"]
    assert sent == [{"name": "left lung", "view": 1, "box": (0.5, 0.1, 0.9, 0.8)}]


def test_a_note_names_its_view_among_two_and_offers_its_remedy() -> None:
    images = [_radiograph(np.zeros((8, 8), np.float32))] * 2
    notes = (Note("inverted", "warn", "It is inverted.", 1, "invert"), Note("noise", "refuse", "It is noise.", 0))
    first, second = notes_value(notes, images)
    assert (first["view"], first["remedy"], first["label"], first["image"]) == ("Frontal", "invert", "Invert", 1)
    assert (second["severity"], second["remedy"], second["label"]) == ("refuse", None, "")
    assert notes_value(notes[1:], images[:1])[0]["view"] == "", "a single image needs no name"
    swapped = Note("wrong_view", "warn", "The two views look swapped.", 0, "swap_views")
    assert notes_value([swapped], images)[0]["view"] == "", "its reason is about both"


def test_each_remedy_has_a_button() -> None:
    image = _radiograph(np.zeros((8, 8), np.float32))
    for remedy in get_args(Remedy):
        assert notes_value([Note("rotated", "warn", "", 0, remedy)], [image])[0]["label"]
        assert chosen_remedy({"remedy": remedy, "image": 1}) == (remedy, 1)


@pytest.mark.parametrize(
    "sent", [None, [], {}, {"remedy": "delete", "image": 0}, {"remedy": "invert"}, {"remedy": ["invert"], "image": "0"}]
)
def test_a_remedy_from_the_browser_is_not_trusted(sent: object) -> None:
    with pytest.raises(InputError):
        chosen_remedy(sent)

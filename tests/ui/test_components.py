"""The values that components send to the browser: views, maps, findings."""

from __future__ import annotations

import base64
import io
from typing import get_args

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from rrg.data.radiographs import Provenance, Radiograph
from rrg.errors import InputError
from rrg.explanation.maps import Explanation, Heatmap
from rrg.explanation.rendering import COLORMAP
from rrg.report import Note, Remedy
from rrg.ui.components import chosen_remedy, notes_value
from rrg.ui.components.findings import disagreement
from rrg.ui.components.viewer import maps_value, views_value


def _radiograph(pixels: np.ndarray, spacing: tuple[float, float] | None = None) -> Radiograph:
    return Radiograph(pixels, "frontal", spacing, Provenance("PNG", 16, changes=("inverted",), removed_tags=12))


def test_a_view_is_a_lossless_8_bit_image_without_metadata() -> None:
    pixels = np.linspace(0, 1, 256, dtype=np.float32).repeat(256).reshape(256, 256)
    (view,) = views_value([_radiograph(pixels)])
    shown = Image.open(io.BytesIO(base64.b64decode(view["png"])))
    np.testing.assert_array_equal(np.asarray(shown), np.arange(256, dtype=np.uint8)[:, None].repeat(256, axis=1))
    assert shown.info == {}
    assert view["caption"] == "256 × 256 · PNG 16-bit · inverted · 12 metadata tags left out"


def test_a_large_view_is_scaled_down_and_its_aspect_accounts_for_pixel_spacing() -> None:
    (view,) = views_value([_radiograph(np.zeros((1500, 3000), np.float32), (0.2, 0.1))])
    assert Image.open(io.BytesIO(base64.b64decode(view["png"]))).size == (1024, 512)
    assert view["aspect"] == pytest.approx(1.0)


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


def _linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


DICHROMATS = {
    "none": np.eye(3),
    # Viénot, Brettel and Mollon 1999, linear RGB.
    "protan": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "deutan": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
}


@pytest.mark.parametrize("vision", DICHROMATS)
def test_lightness_rises_with_the_value_for_all_colour_vision_types(vision: str) -> None:
    luminance = np.array([[0.2126, 0.7152, 0.0722] @ DICHROMATS[vision] @ _linear(colour) for colour in COLORMAP])
    lightness = 116 * np.cbrt(luminance) - 16
    assert (np.diff(lightness) > 2).all()


@pytest.mark.parametrize(
    ("status", "probability", "flag"),
    [
        ("present", 0.9, ""),
        ("uncertain", 0.9, ""),
        ("absent", 0.1, ""),
        ("blank", 0.1, ""),
        ("present", 0.1, "text only"),
        ("absent", 0.9, "image only"),
        ("blank", 0.9, "image only"),
        ("present", None, ""),
    ],
)
def test_disagreement(status: str, probability: float | None, flag: str) -> None:
    assert disagreement(status, probability) == flag


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
        assert chosen_remedy(gr.EventData(None, {"remedy": remedy, "image": 1})) == (remedy, 1)


@pytest.mark.parametrize(
    "sent", [None, [], {}, {"remedy": "delete", "image": 0}, {"remedy": "invert"}, {"remedy": ["invert"], "image": "0"}]
)
def test_a_remedy_from_the_browser_is_not_trusted(sent: object) -> None:
    with pytest.raises(InputError):
        chosen_remedy(gr.EventData(None, sent))

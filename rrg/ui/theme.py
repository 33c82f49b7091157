"""Colours and fonts of the page: grey surfaces around black images, one blue accent, system fonts."""

from __future__ import annotations

from pathlib import Path

from gradio.themes import Base
from gradio.themes.utils import colors, sizes

CSS = Path(__file__).with_name("page.css")

_SYSTEM = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> Base:
    """Build the theme. It uses system fonts only, so that the page makes no external request."""
    base = Base(
        primary_hue=colors.sky,
        secondary_hue=colors.sky,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_md,
        font=_SYSTEM,
        font_mono=_MONO,
    )
    return base.set(
        body_background_fill="#f6f7f9",
        body_background_fill_dark="#0d1117",
        body_text_color="#17202b",
        body_text_color_dark="#e3e8ee",
        body_text_color_subdued="#566373",
        body_text_color_subdued_dark="#9aa6b4",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_weight="500",
        block_title_text_color="*body_text_color_subdued",
        block_title_text_color_dark="*body_text_color_subdued",
        input_background_fill="#ffffff",
        input_background_fill_dark="#0d1117",
        input_border_color="#c6ced8",
        input_border_color_dark="#394452",
        input_border_width="1px",
        button_primary_background_fill="#14608f",
        button_primary_background_fill_hover="#0f4f78",
        button_primary_background_fill_dark="#2b83b8",
        button_primary_background_fill_hover_dark="#3a95cc",
        button_primary_border_color="*button_primary_background_fill",
        button_primary_border_color_dark="*button_primary_background_fill",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#06131d",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#161d26",
        button_secondary_border_color="#c6ced8",
        button_secondary_border_color_dark="#394452",
        button_border_width="1px",
        button_large_text_weight="600",
        checkbox_background_color_selected="#14608f",
        checkbox_border_color_selected="#14608f",
        layout_gap="16px",
    )

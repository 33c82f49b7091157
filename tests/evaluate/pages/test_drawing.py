"""Figures as SVG."""

import numpy as np

from rrg.evaluate.pages.drawing import colours, error_bars, new_axes, svg


def test_equal_figures_give_equal_svg_without_a_date() -> None:
    def drawn() -> str:
        figure, axes = new_axes(2)
        axes.plot([1, 2], [3, 4])
        return svg(figure)

    text = drawn()
    assert text == drawn() and text.startswith("<svg") and "<dc:date>" not in text


def test_bars_reach_the_ends() -> None:
    bars = error_bars(np.array([1.0, 2.0]), np.array([[0.5, 2.1], [1.5, 2.5]]))
    assert bars.tolist() == [[0.5, 0.0], [0.5, 0.5]]
    assert len(set(colours(7))) == 7 and colours(8)[7] == colours(1)[0]

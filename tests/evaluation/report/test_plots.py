"""Plots put values where they belong, and numbers are written for people."""

import io
import re

import matplotlib.image
import numpy as np
import pytest

from melgpt.evaluation.report.names import interval, number, with_interval
from melgpt.evaluation.report.plots import SIDE, WIDTH, Axis, Entry, distances, intervals
from melgpt.evaluation.report.png import palette_png


@pytest.mark.parametrize(
    "values", [(0.1, 5.0), (-3.0, 2.0), (0.5, 5000.0), (7.0, 7.0), (0.0, 0.0), (-2.0, -1.0)]
)
def test_values_stay_in_the_plot_and_in_order(values: tuple[float, float]) -> None:
    axis = Axis(values)
    low, high = axis.place(values[0]), axis.place(values[1])
    assert SIDE <= low <= high <= WIDTH - SIDE
    assert values[0] == values[1] or high - low > 20
    assert all(SIDE - 0.01 <= axis.place(tick) <= WIDTH - SIDE + 0.01 for tick in axis.ticks())
    assert 1 <= len(axis.ticks()) <= 6


def test_shares_are_shown_from_nothing_to_all() -> None:
    axis = Axis([0.4, 0.5], "accuracy")
    assert axis.place(0) == SIDE
    assert axis.place(1) == WIDTH - SIDE


def test_an_axis_may_begin_where_the_values_do() -> None:
    axis = Axis([5.0, 6.0], zero=False)
    assert axis.place(5) < SIDE + 20
    assert axis.place(6) > WIDTH - SIDE - 20


def test_far_apart_values_get_a_logarithmic_axis() -> None:
    axis = Axis([1.0, 10.0, 100.0])
    assert axis.log
    assert axis.place(10) - axis.place(1) == pytest.approx(axis.place(100) - axis.place(10))
    assert not Axis([0.0, 100.0]).log


def test_an_entry_without_an_interval_has_only_its_mark() -> None:
    bare = intervals([Entry("a", {"value": 1.0, "low": None, "high": None})], "kad", what="x")
    whole = intervals([Entry("a", {"value": 1.0, "low": 0.5, "high": 1.5})], "kad", what="x")
    assert 'class="span"' not in bare
    assert whole.count('class="span"') == 1


def test_a_histogram_holds_every_clip_and_marks_the_flagged() -> None:
    made = [0.1, 0.5, 0.52, 0.9]
    plot = distances(
        made, [True, False, False, False], {"0.01": 0.2, "0.05": 0.4, "0.5": 0.6, "0.95": 0.8}, what="x"
    )
    counts = [int(count) for count in re.findall(r": (\d+) clips", plot)]
    assert sum(counts) == len(made)
    assert plot.count('class="flagged"') == 1
    assert "held-out clips, 5 to 95 %" in plot
    assert 'class="band"' not in distances(made, [False] * 4, {}, what="x")


def test_numbers_have_three_figures() -> None:
    assert number(0.12345) == "0.123"
    assert number(1234.5) == "1234"
    assert number(-0.05) == "−0.0500"
    assert number(0) == "0"
    assert number(611.6, "codes_used") == "612"
    assert number(None) == "–"
    assert number(float("nan")) == "–"
    assert number(0.9166, "accuracy") == "91.7 %"
    assert interval({"value": 1, "low": 0.5, "high": 1.25}) == "[0.500, 1.25]"
    assert with_interval({"value": 1.0, "low": None, "high": None}) == "1.00"


def test_a_picture_of_a_palette_is_a_png_of_its_colours() -> None:
    places = np.arange(12, dtype=np.uint8).reshape(3, 4)
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    pixels = matplotlib.image.imread(io.BytesIO(palette_png(places, palette)), format="png")
    np.testing.assert_array_equal((pixels[..., :3] * 255).round().astype(np.uint8), palette[places])

"""All distances of sets together: equal to the functions one by one, near 0 for equal distributions."""

import numpy as np
import pytest

from melgpt.evaluation.distances import frechet_distance, kernel_distance
from melgpt.evaluation.hearing import Heard
from melgpt.evaluation.projection import Projection, width_for
from melgpt.evaluation.set_distances import Comparison, Judged, divergence, kernel_width

ALL = {"frechet", "kad", "kid", "precision", "recall", "density", "coverage", "vendi"}


def judged(seed: int, count: int, shift: float = 0.0) -> Judged:
    random = np.random.default_rng(seed)
    heard = Heard(random.normal(shift, 1, size=(count, 8)), random.normal(size=(count, 3)))
    return Judged(heard, np.arange(count) % 3)


def measures(made: Judged, real: Judged, projection: Projection | None = None) -> dict:
    return Comparison(made, real, width=kernel_width(real.heard), projection=projection).measures(
        resamples=40, seed=0
    )


def test_each_is_the_function_of_its_name() -> None:
    made, real = judged(0, 60, 0.5), judged(1, 60)
    found = measures(made, real)
    assert found.keys() == ALL
    features = made.heard.features, real.heard.features
    assert found["frechet"].value == pytest.approx(frechet_distance(*features))
    assert found["kid"].value == pytest.approx(kernel_distance(*features, subsets=1).mean)


def test_more_shift_is_farther_by_every_distance() -> None:
    real = judged(1, 80)
    near, far, farther = (measures(judged(0, 80, shift), real) for shift in (0.0, 1.0, 2.0))
    for name in ("frechet", "kad", "kid"):
        assert near[name].value < far[name].value < farther[name].value
        assert near[name].high < farther[name].low
    assert near["kad"].low < 0 < near["kad"].high, "equal distributions are at no distance"
    assert near["coverage"].value > farther["coverage"].value


def test_few_clips_have_few_measures() -> None:
    assert measures(judged(0, 6), judged(1, 6)).keys() == {"kad", "kid", "vendi"}
    assert measures(judged(0, 2), judged(1, 2)) == {}


def test_pairs_are_of_one_class() -> None:
    made, real = judged(0, 30), judged(0, 30)
    assert divergence(made, real, resamples=20, seed=0)["kl"].value == pytest.approx(0, abs=1e-4)
    turned = Judged(real.heard, (real.labels + 1) % 3)
    assert divergence(made, turned, resamples=20, seed=0)["kl"].value > 0.3


def test_components_keep_the_most_variance() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 6)) * np.array([5, 3, 1, 0.1, 0.1, 0.1])
    projected = Projection.fit(rows, 2)(rows)
    assert projected.shape == (200, 2)
    assert projected.var(0).sum() == pytest.approx(rows.var(0)[:2].sum(), rel=0.05)
    assert np.allclose(projected.mean(0), 0, atol=1e-9)


@pytest.mark.parametrize(("clips", "width"), [(3000, None), (1000, 64), (100, 25), (5, 2)])
def test_fewer_clips_get_fewer_components(clips: int, width: int | None) -> None:
    assert width_for(clips, 128) == width

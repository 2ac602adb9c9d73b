"""The density refuses what it promises to, and what lies elsewhere."""

import numpy as np
import pytest

from training.familiarity import REFUSED, fit_density
from training.refusals import measure_refusals, unseen_source_refusals
from training.unfamiliar import Unfamiliar

SCALE = np.linspace(2, 0.1, 200)


@pytest.fixture(scope="module")
def inside():
    generator = np.random.default_rng(0)
    return lambda n: generator.normal(size=(n, 200)) * SCALE + 3.0


def test_density_refuses_as_many_as_promised_and_what_is_elsewhere(inside):
    validation = inside(1000)
    density = fit_density(inside(3000), np.ones(3000), validation, np.ones(1000), seed=0)
    assert (density.score(validation) > 1).mean() == pytest.approx(REFUSED, abs=0.002)
    assert np.median(density.score(validation)) == pytest.approx(0, abs=0.01)
    assert (density.score(inside(1000)) > 1).mean() < 0.05
    assert (density.score(inside(100) + 1.0) > 1).all()


def test_density_takes_units_out(inside):
    """A channel in other units changes no score."""
    units = np.geomspace(0.01, 100, 200)
    sets = inside(2000), inside(500), inside(50)
    plain, scaled = (
        fit_density(a, np.ones(2000), b, np.ones(500), seed=0).score(c)
        for a, b, c in (sets, [one * units for one in sets])
    )
    assert scaled == pytest.approx(plain, rel=1e-3, abs=1e-3)


def test_a_channel_that_never_stirs_does_no_harm(inside):
    dead = lambda n: np.hstack([inside(n), np.zeros((n, 3))])  # noqa: E731
    density = fit_density(dead(2000), np.ones(2000), dead(500), np.ones(500), seed=0)
    assert np.isfinite(density.score(dead(10))).all()


def test_a_source_like_no_other_is_refused_when_left_out(inside):
    features = np.concatenate([inside(400), inside(400), inside(400) + 2.0])
    sources = np.repeat(["a", "b", "strange"], 400)
    found = unseen_source_refusals(
        features,
        sources,
        np.ones(1200),
        features[::2],
        sources[::2],
        np.ones(600),
        [str(i) for i in range(1200)],
        seed=0,
    )
    assert found["strange"]["value"] == 1.0
    assert found["a"]["value"] < 0.05


def test_refusals_count_families_originals_and_files_that_were_never_decoded():
    picture = np.zeros((224, 224, 3), np.uint8)
    bright = picture + 200
    shown = [("dark", "1", picture), ("dark", "1", bright), ("bright", "2", bright)]
    images = [
        Unfamiliar(family=f, original=o, image=i) for f, o, i in (*shown, ("dark", "3", None))
    ]
    got = measure_refusals(lambda batch: batch.mean(axis=(1, 2, 3)) > 100, images)
    dark = got["families"]["dark"]
    assert (dark["n"], dark["originals"], dark["on_decoding"]) == (3, 2, 1)
    assert dark["refused"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert got["families"]["bright"]["refused"]["value"] == 1.0
    assert got["all"]["refused"]["value"] == 0.75
    drawn = Unfamiliar(family="noise", original="4", image=picture)
    with_drawn = measure_refusals(lambda batch: batch.mean(axis=(1, 2, 3)) > 100, [*images, drawn])
    assert with_drawn["all"]["refused"]["value"] == 0.6
    assert with_drawn["not_drawn"]["refused"]["value"] == 0.75

"""What a training sees: balanced, repeatable draws; every validation scan once."""

import numpy as np
import pytest

from training.alterations import Alterations, Shares
from training.propensity import coarse_propensity, inverse_propensity
from training.views import RandomViews, Views


@pytest.fixture
def some(scan_set):
    """Thirty scans told apart by their grey, a third of them tumours."""
    images = np.repeat(np.arange(30, dtype=np.uint8)[:, None, None, None] * 8, 3, axis=3)
    return scan_set(np.tile(images, (1, 224, 224, 1)), np.arange(30) < 10)


def random_views(scans, chances=None, *, draws=2000, **shares):
    chances = scans.weights() if chances is None else chances
    alterations = Alterations(scans, chances, Shares(**shares))
    return RandomViews(scans, batch_size=50, draws=draws, alterations=alterations, seed=3)


def seen(views):
    """Which scans an epoch shows, by their grey."""
    return np.concatenate([views[i][0][0][:, 0, 0, 0] // 8 for i in range(len(views))])


def test_draws_are_balanced_and_repeatable(some):
    views = random_views(some)
    targets = np.concatenate([views[i][1] for i in range(len(views))])
    assert targets.mean() == pytest.approx(0.5, abs=0.05)
    first = seen(views)
    views.draw(1)
    assert (seen(views) != first).any()
    views.draw(0)
    assert (seen(views) == first).all()


def test_draws_follow_the_chances(some):
    chances = np.zeros(30)
    chances[[4, 20]] = 3.0, 1.0
    drawn = seen(random_views(some, chances))
    assert set(drawn) == {4, 20}
    assert (drawn == 4).mean() == pytest.approx(0.75, abs=0.05)


def test_every_scan_is_validated_once_with_balancing_weights(some):
    views = Views(some, batch_size=16)
    inputs, targets, weights = zip(*views, strict=True)
    images, _, outlined = (np.concatenate(part) for part in zip(*inputs, strict=True))
    targets, weights = np.concatenate(targets), np.concatenate(weights)
    assert not outlined.any(), "nothing is learnt from them"
    assert len(images) == 32, "devices that share a batch need it whole"
    counted = weights > 0
    assert sorted(images[counted, 0, 0, 0] // 8) == list(range(30))
    truth = targets[counted, 0] == 1
    assert weights[counted][truth].sum() == pytest.approx(weights[counted][~truth].sum())


def test_a_resumed_epoch_sees_the_same_alterations(scan_set):
    generator = np.random.default_rng(0)
    images = np.full((8, 224, 224, 3), 0, np.uint8)
    images[:, 30:-30, 30:-30] = generator.integers(80, 120, (8, 164, 164, 1))
    scans = scan_set(images, np.arange(8) < 1)
    one, again = (random_views(scans, draws=50, lesions=0.5)[0] for _ in range(2))
    assert all((a == b).all() for a, b in zip(one[0], again[0], strict=True))
    tumours = one[1][:, 0] > 0.5
    changed = (one[0][0][tumours] != images[0]).any(axis=(1, 2, 3))
    assert 5 < changed.sum() < tumours.sum() - 5, "half of the tumours are drawn ones"


def test_scans_that_a_coarse_glance_tells_are_drawn_less_often(scan_set):
    """Most tumours lie on a bright field and most normal scans do not; a few go against the rule."""
    generator = np.random.default_rng(1)
    tumour = np.arange(120) % 2 == 0
    against = np.arange(120) % 10 < 2
    images = generator.integers(40, 60, (120, 224, 224, 1)).astype(np.uint8).repeat(3, axis=3)
    images[:, 20:-20, 20:-20] += 60
    images[tumour != against, 60:160, 60:110] += 90
    scans = scan_set(images, tumour)
    guessed = coarse_propensity(scans, seed=0)
    assert (guessed[tumour & ~against] > 0.6).all()
    assert (guessed[tumour & against] < 0.4).all()
    factors = inverse_propensity(scans, seed=0)
    assert factors[against].min() > 1.5 * factors[~against].max()
    assert factors[tumour].mean() == pytest.approx(1)
    assert factors[~tumour].mean() == pytest.approx(1)


def test_with_too_few_groups_to_divide_all_are_drawn_alike(scan_set):
    images = np.zeros((4, 224, 224, 3), np.uint8)
    scans = scan_set(images, [True, True, False, False], groups=["a", "a", "b", "c"])
    assert inverse_propensity(scans, seed=0).tolist() == [1.0] * 4

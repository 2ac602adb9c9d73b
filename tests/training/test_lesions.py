"""A drawn lesion stands out inside the skull; a decoy is too small, too faint or no lesion at all."""

import cv2
import numpy as np
import pytest

from training.lesions import draw_decoy, draw_lesion


@pytest.fixture
def brain():
    """A grey ellipse with a bright rim, its skull, on black."""
    grey = np.zeros((224, 224), np.uint8)
    cv2.ellipse(grey, (112, 112), (80, 100), 0, 0, 360, 255, -1)
    cv2.ellipse(grey, (112, 112), (72, 92), 0, 0, 360, 100, -1)
    noise = np.random.default_rng(0).integers(-6, 7, grey.shape)
    grey = np.where(grey > 0, grey + noise, 0).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def drawn(brain, count=40):
    generator = np.random.default_rng(1)
    made = [draw_lesion(brain, generator) for _ in range(count)]
    return [one for one in made if one is not None]


def test_most_tries_draw_a_lesion_that_can_be_seen_inside_its_outline(brain):
    lesions = drawn(brain)
    assert len(lesions) > 20
    for pixels, outline in lesions:
        assert pixels.shape == brain.shape
        assert pixels.dtype == np.uint8
        change = np.abs(pixels[..., 0].astype(int) - brain[..., 0])
        assert change[outline].mean() > 8
        assert change[outline].mean() > 2 * change[~outline].mean()


def test_lesions_lie_inside_the_skull_and_have_the_size_of_tumours(brain):
    skull = brain[..., 0] > 180
    for _, outline in drawn(brain):
        assert (outline & skull).sum() < 0.25 * outline.sum()
        assert 60 <= outline.sum() < 0.35 * (brain[..., 0] > 0).sum()


def test_lesions_differ_and_repeat_with_their_seed(brain):
    one, other, again = drawn(brain, 8), drawn(brain, 8), drawn(brain, 12)
    assert all((a[0] == b[0]).all() for a, b in zip(one, other, strict=True))
    assert len({pixels.tobytes() for pixels, _ in again}) == len(again)


def test_decoys_change_less_than_lesions(brain):
    generator = np.random.default_rng(2)
    changes = [
        (np.abs(draw_decoy(brain, generator)[..., 0].astype(int) - brain[..., 0]) > 20).sum()
        for _ in range(30)
    ]
    lesions = [
        (np.abs(pixels[..., 0].astype(int) - brain[..., 0]) > 20).sum()
        for pixels, _ in drawn(brain)
    ]
    assert max(changes) > 0
    assert np.median(changes) < 0.5 * np.median(lesions)


def test_where_there_is_no_head_nothing_is_drawn():
    generator = np.random.default_rng(0)
    blank = np.zeros((224, 224, 3), np.uint8)
    assert draw_lesion(blank, generator) is None
    assert draw_decoy(blank, generator) is None

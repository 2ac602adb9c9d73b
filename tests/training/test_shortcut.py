"""The shortcut model learns what a source leaves at the border, and nothing of the content."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.shortcut import border_statistics, shortcut_scores


def heads(n: int, seed: int) -> np.ndarray:
    """Grey discs with noise on black, uint8 `[n, 224, 224, 3]`."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:224, :224] - 112
    disc = np.hypot(x, y) < 90
    grey = disc * generator.normal(100, 20, (n, 224, 224)) * generator.uniform(0.7, 1.3, (n, 1, 1))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=3)


def test_a_border_that_tells_the_class_is_found(scan_set):
    train, test = heads(80, 0), heads(40, 1)
    of_train, of_test = np.arange(80) % 2, np.arange(40) % 2
    for images, targets in ((train, of_train), (test, of_test)):
        images[targets == 1, :12] = 90  # a scanner's banner
    scores = shortcut_scores(scan_set(train, of_train), scan_set(test, of_test))
    assert roc_auc_score(of_test, scores) > 0.99


def test_where_a_blob_lies_is_not_seen(scan_set):
    """The class is the half of the head in which a bright disc lies: content, no statistic."""
    of_train, of_test = np.arange(80) % 2, np.arange(40) % 2
    y, x = np.mgrid[:224, :224]

    def with_blob(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        for image, target in zip(images, targets, strict=True):
            image[np.hypot(x - (75 if target else 149), y - 112) < 25] = 220
        return images

    train, test = with_blob(heads(80, 0), of_train), with_blob(heads(40, 1), of_test)
    scores = shortcut_scores(scan_set(train, of_train), scan_set(test, of_test))
    assert abs(roc_auc_score(of_test, scores) - 0.5) < 0.25


def test_statistics_are_what_they_are_called():
    black = np.zeros((1, 224, 224, 3), np.uint8)
    framed = black.copy()
    framed[:, 30:-20, 40:-10] = 200
    red = black.copy()
    red[..., 0] = 120
    of_black, of_framed, of_red = (border_statistics(one)[0] for one in (black, framed, red))
    assert of_framed[8:12].tolist() == [30, 20, 40, 10]  # margins: top, bottom, left, right
    assert of_black[12] == 1.0  # share of black
    assert of_framed[12] == pytest.approx(1 - 174 * 174 / 224**2, abs=1e-3)
    assert of_red[-3] == 120  # colourfulness
    assert of_black[-3] == of_framed[-3] == 0
    assert of_framed[-2] > of_red[-2] == 0  # sharpness

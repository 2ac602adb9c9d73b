"""JPEG costs fine detail and nothing else, on the share asked for, the same way for one seed."""

import numpy as np
import pytest

from data.imaging import prepare_scan, read_scan
from training import recompress as module
from training.recompress import recompress


@pytest.fixture(scope="module")
def scans(samples):
    return np.stack([prepare_scan(read_scan(path)) for path in samples["no"][:12]])


def drawn(before, after):
    return (before != after).any(axis=(1, 2, 3))


def test_every_image_is_changed_a_little_and_stays_grey(scans):
    made = recompress(scans, share=1.0, generator=np.random.default_rng(0))
    assert made.shape == scans.shape
    assert made.dtype == np.uint8
    assert drawn(scans, made).all()
    assert (made == made[..., :1]).all()
    grey = scans.mean(axis=-1)
    off = np.abs(made[..., 0] - grey).mean(axis=(1, 2))
    assert 0 < off.min() < off.max() < 6


def test_a_lower_quality_costs_more(scans, monkeypatch):
    off = []
    for quality in (30, 60, 95):
        monkeypatch.setattr(module, "QUALITIES", (quality, quality))
        made = recompress(scans, share=1.0, generator=np.random.default_rng(0))
        off.append(np.abs(made.astype(int) - scans).mean())
    assert off[0] > off[1] > off[2] > 0


def test_the_share_is_kept_and_the_rest_is_not_touched(scans):
    many = np.repeat(scans, 40, axis=0)[:, ::4, ::4]
    before = many.copy()
    made = recompress(many, share=0.25, generator=np.random.default_rng(1))
    assert drawn(before, made).mean() == pytest.approx(0.25, abs=0.06)
    assert (many == before).all(), "the caller's images are left as they are"
    assert (recompress(many, share=0.0, generator=np.random.default_rng(1)) == before).all()


def test_one_seed_gives_one_result(scans):
    once, again, other = (
        recompress(scans, share=0.5, generator=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert (once == again).all()
    assert (once != other).any()

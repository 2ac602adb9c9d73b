"""A transplanted tumour keeps its place and its look; the rest of the host stays."""

import numpy as np
import pytest

from training.transplant import Transplants, content_box, transplant


def head(*, top: int = 30, bottom: int = 190, level: int = 90, seed: int = 0):
    """A noisy rectangle of tissue on black, uint8 `[224, 224, 3]`."""
    generator = np.random.default_rng(seed)
    grey = np.zeros((224, 224), np.uint8)
    grey[top:bottom, 40:180] = generator.integers(level - 10, level + 10, (bottom - top, 140))
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.fixture
def region():
    outline = np.zeros((224, 224), bool)
    outline[90:130, 60:100] = True
    return outline


@pytest.fixture
def donor(region):
    scan = head()
    scan[region] = 170
    return scan


def made(donor, region, host, *, visible=True, seed=0):
    return transplant(donor, region, host, np.random.default_rng(seed), visible=visible)


def test_the_tumour_arrives_and_the_rest_of_the_host_stays(donor, region):
    host = head(level=120, seed=1)
    for seed in range(5):
        new = made(donor, region, host, seed=seed)
        changed = np.abs(new[..., 0].astype(int) - host[..., 0]) > 25
        assert 0.5 * region.sum() < changed.sum() < 1.5 * region.sum()
        rows, columns = np.nonzero(changed)
        # In its place, mirrored or not, up to 6 % of the head.
        assert abs(rows.mean() - 110) < 12
        assert min(abs(columns.mean() - 80), abs(columns.mean() - 139)) < 12
        # Fitted to the host: brighter than what is around it by the contrast it had.
        assert new[changed].mean() - 120 == pytest.approx(170 - 90, abs=25)


def test_heads_seen_from_another_side_do_not_fit(donor, region):
    assert made(donor, region, head(top=80, bottom=150)) is None


def test_what_would_not_be_seen_or_lie_outside_is_refused(donor, region):
    assert made(head(), region, head(seed=1)) is None
    assert made(head(), region, head(seed=1), visible=False) is not None
    hollow = head(seed=1)
    hollow[80:140, 50:170] = 0
    assert made(donor, region, hollow) is None
    assert made(donor, region & (np.arange(224) < 63), head(seed=1)) is None, "too small"


def test_the_box_of_a_head():
    assert content_box(head()[..., 0].astype(np.float32)) == (40, 30, 180, 190)
    assert content_box(np.zeros((224, 224), np.float32)) == (0, 0, 224, 224)


def test_tumours_go_into_scans_of_other_sources_and_plain_tissue_into_them_too(
    scan_set, donor, region
):
    images = np.stack([donor, head(seed=2), head(seed=3, level=120)])
    scans = scan_set(
        images, [True, False, False], sources=["masks", "masks", "other"], masks={0: region}
    )
    generator = np.random.default_rng(0)
    transplants = Transplants(scans)
    hosts = set()
    for _ in range(20):
        new = transplants.draw(tumour=True, generator=generator)
        same = [i for i in (1, 2) if (new == images[i]).mean() > 0.8]
        assert len(same) == 1
        hosts.update(same)
        assert new.max() > 150
    assert hosts == {1, 2}
    assert transplants.draw(tumour=False, generator=generator).max() < 150


def test_without_masks_there_are_none(scan_set, donor):
    transplants = Transplants(scan_set(np.stack([donor, head()]), [True, False]))
    assert transplants.draw(tumour=True, generator=np.random.default_rng(0)) is None


def test_where_no_plain_tissue_can_be_moved_no_tumour_is(scan_set, donor, region):
    images = np.stack([donor, head(seed=2)])
    scans = scan_set(images, [True, False], sources=["masks", "other"], masks={0: region})
    for tumour in (True, False):
        generator = np.random.default_rng(0)
        assert Transplants(scans).draw(tumour=tumour, generator=generator) is None

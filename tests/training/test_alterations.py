"""What is done to a drawn scan keeps its class, and its outline where there is one."""

import numpy as np
import pytest

from training.alterations import Alterations, Shares
from training.head import AIR
from training.recompress import recompress
from training.styles import mix_style


def head(level: int, seed: int = 0):
    """A noisy square of tissue on black."""
    grey = np.zeros((224, 224), np.uint8)
    noise = np.random.default_rng(seed).integers(-8, 9, (164, 164))
    grey[30:-30, 30:-30] = np.clip(level + noise, 0, 255)
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.fixture
def region():
    outline = np.zeros((224, 224), bool)
    outline[90:130, 60:100] = True
    return outline


@pytest.fixture
def scans(scan_set, region):
    """A tumour with an outline, one without, and two normal scans of another source."""
    images = np.stack([head(100), head(100, 1), head(70, 2), head(70, 3)])
    images[0, region] = 220
    return scan_set(
        images,
        [True, True, False, False],
        sources=["masks", "plain", "other", "other"],
        masks={0: region},
    )


def views(scans, scan, count=20, **shares):
    chances = np.full(len(scans), 1 / len(scans))
    alterations = Alterations(scans, chances, Shares(**shares))
    generator = np.random.default_rng(0)
    pixels = scans.images(np.array([scan]))[0]
    return [alterations.view(scan, pixels.copy(), generator) for _ in range(count)]


def test_without_shares_a_scan_stays_as_it_is_and_its_outline_is_told(scans, region):
    for scan, outline in ((0, region), (1, None), (2, np.zeros_like(region))):
        (view,) = views(scans, scan, 1)
        assert (view.pixels == scans.images(np.array([scan]))[0]).all()
        assert view.outline is None if outline is None else (view.outline == outline).all()


def test_lesions_make_positives_of_normal_scans_and_leave_negatives_alone(scans):
    for view in views(scans, 1, lesions=1.0):
        same = [(view.pixels == scans.images(np.array([i]))[0]).mean() for i in (2, 3)]
        assert max(same) > 0.3, "the host is a normal scan"
        assert view.outline.any()
    for view in views(scans, 2, lesions=1.0):
        assert (view.pixels == scans.images(np.array([2]))[0]).all()


def test_decoys_are_drawn_into_negatives_only_and_have_no_outline(scans):
    changed = views(scans, 2, decoys=1.0)
    assert any((view.pixels != scans.images(np.array([2]))[0]).any() for view in changed)
    assert not any(view.outline.any() for view in changed)
    for view in views(scans, 0, decoys=1.0):
        assert (view.pixels == scans.images(np.array([0]))[0]).all()


def test_without_a_normal_scan_there_is_nothing_to_draw_into(scan_set):
    scans = scan_set(head(90)[None], [True])
    (view,) = views(scans, 0, 1, lesions=1.0)
    assert (view.pixels == scans.images(np.array([0]))[0]).all()


def test_mixing_styles_moves_grey_levels_and_keeps_air_and_order():
    mine, other = head(60), head(180, 1)
    half, whole = (mix_style(mine, other, share)[..., 0] for share in (0.5, 1.0))
    tissue = mine[..., 0] > AIR
    assert whole[tissue].mean() == pytest.approx(180, abs=3)
    assert half[tissue].mean() == pytest.approx(120, abs=3)
    assert (whole[~tissue] == mine[..., 0][~tissue]).all()
    order = np.argsort(mine[..., 0][tissue], kind="stable")
    assert (np.diff(whole[tissue][order].astype(int)) >= 0).all()
    blank = np.zeros_like(mine)
    assert (mix_style(mine, blank, 1.0) == mine).all()
    assert (mix_style(blank, mine, 1.0) == blank).all()


def test_recompression_leaves_a_codecs_marks():
    scan = head(100)
    coarse, fine = (recompress(scan, quality).astype(int) for quality in (20, 95))
    assert coarse.shape == scan.shape
    errors = [np.abs(made - scan).mean() for made in (coarse, fine)]
    assert 0 < errors[1] < errors[0] < 10

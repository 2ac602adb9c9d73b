"""Sagittal and coronal cuts through stacks of slices: in order, of the class asked for, with outlines."""

from dataclasses import replace

import numpy as np
import pytest

from training.reformat import Reformats, stacks

SLICES = 20


@pytest.fixture
def volume(scan_set):
    """Twenty slices of one head, brighter from below to above; a tumour in the middle third, to one side."""
    images = np.zeros((SLICES, 224, 224, 3), np.uint8)
    masks = {}
    for number in range(SLICES):
        images[number, 40:180, 50:170] = 60 + 5 * number
        if 8 <= number < 13:
            mask = np.zeros((224, 224), bool)
            mask[70:110, 60:90] = True
            images[number, mask] = 240
            masks[number] = mask
    scans = scan_set(images, [i in masks for i in range(SLICES)], masks=masks)
    named = [
        replace(scan, patient="p", sequence="t1", origin=f"no/patient_7_{i + 1:03d}_t1.png")
        for i, scan in enumerate(scans.scans)
    ]
    return replace(scans, scans=named)


def cuts(volume, *, tumour, count=12):
    generator = np.random.default_rng(0)
    reformats = Reformats(volume)
    return [reformats.draw(tumour=tumour, generator=generator) for _ in range(count)]


def test_slices_are_stacked_by_their_running_number(volume):
    shuffled = np.random.default_rng(0).permutation(SLICES)
    (stack,) = stacks([volume.scans[i] for i in shuffled])
    assert [shuffled[i] for i in stack] == list(range(SLICES))


def test_what_is_no_volume_is_not_stacked(volume):
    no_patient = [replace(scan, patient="") for scan in volume.scans]
    assert not stacks(no_patient)
    assert not stacks(volume.scans[:10])
    sparse = [replace(s, origin=f"no/p_{4 * i:03d}.png") for i, s in enumerate(volume.scans)]
    assert not stacks(sparse), "one slice in four"
    two = [replace(scan, sequence="t1" if i % 2 else "t2") for i, scan in enumerate(volume.scans)]
    assert not stacks(two), "ten slices of each sequence"


def test_a_cut_through_the_tumour_shows_it_inside_its_outline(volume):
    for pixels, outline in cuts(volume, tumour=True):
        assert pixels.shape == (224, 224, 3)
        assert outline.sum() > 100
        bright = pixels[..., 0] > 200
        assert (bright & outline).sum() > 0.7 * bright.sum()


def test_a_cut_elsewhere_shows_none_and_the_top_of_the_head_is_up(volume):
    for pixels, outline in cuts(volume, tumour=False):
        assert not outline.any()
        assert pixels.max() < 200
        rows = np.flatnonzero(pixels[..., 0].max(axis=1) > 50)
        assert 0.5 < len(rows) / 224 < 0.75
        assert pixels[rows[2]].max() > pixels[rows[-3]].max()


def test_a_tumour_without_an_outline_hides_where_a_cut_is_free_of_it(volume):
    volume.mask_file(10).unlink()
    assert len(Reformats(volume)) == 0
    assert cuts(volume, tumour=False, count=1) == [None]

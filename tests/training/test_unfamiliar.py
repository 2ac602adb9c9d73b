"""Images that are no brain MRI: repeatable, varied, and as the model would get them."""

from collections import Counter

import numpy as np
import pytest

from training import unfamiliar as room
from training.unfamiliar import FAMILIES, missing_families, unfamiliar


@pytest.fixture(scope="module")
def images():
    return list(unfamiliar(views=6))


def test_every_family_shows_as_many_as_asked_for(images):
    assert missing_families() == []
    assert Counter(one.family for one in images) == dict.fromkeys(FAMILIES, 6)


def test_they_are_as_the_model_gets_them_and_all_different(images):
    shown = [one.image for one in images if one.image is not None]
    assert len(shown) > 0.95 * len(images)
    assert {(image.shape, image.dtype.name) for image in shown} == {((224, 224, 3), "uint8")}
    assert len({image.tobytes() for image in shown}) == len(shown)


def test_a_blank_file_counts_as_refused_on_decoding(monkeypatch):
    blank = lambda _: room.Image.new("L", (224, 224), 90)  # noqa: E731
    monkeypatch.setattr(room, "FAMILIES", {"blank": blank})
    monkeypatch.setattr(room, "DRAWN", {"blank": blank})
    assert [one.image for one in unfamiliar(views=2)] == [None, None]


def test_the_same_seed_draws_the_same_and_another_does_not(images):
    some = ("noise", "document", "photo")
    first = [one for one in images if one.family in some]
    again = unfamiliar(views=6, families=some)
    other = unfamiliar(views=6, families=some, seed=1)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    drawn = [(a, b) for a, b in zip(first, other, strict=True) if a.family in room.DRAWN]
    assert not any(np.array_equal(a.image, b.image) for a, b in drawn)


def test_views_of_one_original_are_named_alike(images):
    photos = [one.original for one in unfamiliar(views=30, families=["photo"])]
    assert len(photos) == 30
    assert len(set(photos)) == 12
    assert len({one.original for one in images if one.family == "noise"}) == 6


def test_a_family_without_its_package_is_left_out_and_named(monkeypatch):
    monkeypatch.setattr(room.importlib.util, "find_spec", lambda name: None)
    assert {"photo", "ct_head"} <= set(missing_families())
    left = {one.family for one in unfamiliar(views=1)}
    assert "noise" in left
    assert not left & set(missing_families())

"""Whole units, each stratum near 70/15/15, proposals kept."""

from collections import Counter

import numpy as np
import pytest

from data.manifest import Split
from data.split import SHARES, deal


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_units_stay_whole_and_strata_are_spread(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 12, 300)
    units = np.repeat(np.arange(300), sizes).tolist()
    kinds = generator.choice(["yes/a", "no/a", "yes/b"], 300, p=[0.6, 0.3, 0.1])
    strata = [kinds[unit] for unit in units]
    splits = deal(units, strata, [None] * len(units), seed=seed)
    assert len(set(zip(units, splits, strict=True))) == 300
    sizes_of = Counter(strata)
    dealt = Counter(zip(strata, splits, strict=True))
    for stratum, size in sizes_of.items():
        for split, share in SHARES.items():
            assert abs(dealt[stratum, split] / size - share) < 0.05


def test_the_seed_decides() -> None:
    units = list(range(60))
    first, again, other = (deal(units, ["x"] * 60, [None] * 60, seed=seed) for seed in (4, 4, 5))
    assert first == again
    assert first != other


def test_a_proposal_stands_and_the_most_held_out_wins() -> None:
    units = [0, 0, 0, 1, 1, 2, 2]
    train, val, test = Split.TRAIN, Split.VAL, Split.TEST
    proposals = [train, test, val, val, train, train, None]
    splits = deal(units, ["x"] * 7, proposals, seed=0)
    assert splits == [test, test, test, val, val, train, train]


def test_units_without_proposal_fill_what_the_others_left() -> None:
    proposals = [Split.TRAIN] * 70 + [None] * 30
    splits = deal(list(range(100)), ["x"] * 100, proposals, seed=0)
    assert Counter(splits[70:]) == {Split.VAL: 15, Split.TEST: 15}


def test_a_small_dataset_still_has_all_three_splits() -> None:
    splits = deal(list(range(8)), ["yes"] * 4 + ["no"] * 4, [None] * 8, seed=0)
    assert Counter(splits) == {Split.TRAIN: 6, Split.VAL: 1, Split.TEST: 1}

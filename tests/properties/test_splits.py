"""What holds however scans are dealt: nothing that belongs together is taken apart."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from data.manifest import Split
from data.split import SHARES, deal
from tests.properties.bounds import bounded

#: Of each scan: unit, stratum, proposal.
SCANS = st.lists(
    st.tuples(
        st.integers(0, 30), st.sampled_from("abc"), st.sampled_from([None, None, None, *Split])
    ),
    max_size=80,
)


@bounded(150)
@given(SCANS, st.integers(0, 2**32))
def test_units_stay_whole_proposals_never_leak_and_the_seed_decides(scans, seed: int) -> None:
    columns = [list(column) for column in zip(*scans, strict=True)] or [[], [], []]
    splits = deal(*columns, seed=seed)
    assert len(splits) == len(scans)
    assert splits == deal(*columns, seed=seed)
    order = list(Split)
    for unit in set(columns[0]):
        mine = [i for i, one in enumerate(columns[0]) if one == unit]
        (given_to,) = {splits[i] for i in mine}
        asked = [order.index(columns[2][i]) for i in mine if columns[2][i] is not None]
        assert not asked or order.index(given_to) == max(asked)


@bounded(40)
@given(st.lists(st.integers(1, 4), min_size=60, max_size=150), st.integers(0, 2**32))
def test_shares_are_near_those_asked_for(sizes: list[int], seed: int) -> None:
    units = [unit for unit, size in enumerate(sizes) for _ in range(size)]
    dealt = Counter(deal(units, ["x"] * len(units), [None] * len(units), seed=seed))
    for split, share in SHARES.items():
        assert abs(dealt[split] - share * len(units)) <= 4

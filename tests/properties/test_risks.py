"""The bands of risk: the more probable, the higher, thresholds included; graph and page agree."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from serving.contract import Risk
from tests.properties.bounds import bounded
from tests.properties.node import call, needs_node
from training.calibrate import Operating
from training.served_graph import risks

SHARES = st.floats(0, 1, width=32)
ORDER = [risk.value for risk in Risk]


def _bands(probabilities: list[float], low: float, high: float) -> list[int]:
    found = risks(tf.constant(probabilities, tf.float32), Operating(low=low, label=low, high=high))
    return [ORDER.index(one.decode()) for one in found.numpy()]


@bounded(50)
@given(st.lists(SHARES, max_size=20), st.tuples(SHARES, SHARES).map(sorted))
def test_bands_rise_and_a_threshold_begins_its_band(shares, thresholds) -> None:
    low, high = thresholds
    shares = sorted([*shares, low, high, 0.0, 1.0])
    bands = _bands(shares, low, high)
    assert bands == sorted(bands)
    for share, band in zip(shares, bands, strict=True):
        assert band == (share >= low) + (share >= high)


@needs_node
@bounded(2)
@given(
    st.lists(
        st.tuples(st.lists(SHARES, max_size=8), st.tuples(SHARES, SHARES).map(sorted)),
        min_size=10,
        max_size=20,
    )
)
def test_the_pages_marker_lies_in_the_graphs_band(tmp_path: Path, cases) -> None:
    cases = [(sorted([*shares, low, high]), low, high) for shares, (low, high) in cases]
    expression = "given.map(([ps, low, high]) => ps.map((p) => page.position(p, { low, high })))"
    places = call(tmp_path, "risk_zones.js", expression, cases)
    for (shares, low, high), found in zip(cases, places, strict=True):
        assert (np.diff(found) >= -1e-9).all()
        for band, place in zip(_bands(shares, low, high), found, strict=True):
            assert band / 3 - 1e-9 <= place <= (band + 1) / 3 + 1e-9

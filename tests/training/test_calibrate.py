"""Calibration and thresholds on data whose truth is known."""

import numpy as np
import pytest

from training.calibrate import choose_thresholds, fit_platt
from training.familiarity import REFUSED, fit_density


def logits_and_targets(n: int = 20_000, slope: float = 0.5, intercept: float = 1.0):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, n)
    targets = generator.random(n) < 1 / (1 + np.exp(-(slope * logits + intercept)))
    return logits, targets.astype(np.float32)


def test_platt_recovers_the_truth_of_an_overconfident_network():
    logits, targets = logits_and_targets()
    platt = fit_platt(logits, targets, np.ones(len(logits)))
    assert platt.slope == pytest.approx(0.5, abs=0.02)
    assert platt.intercept == pytest.approx(1.0, abs=0.05)


def test_thresholds_keep_what_they_promise():
    logits, targets = logits_and_targets(slope=2.0, intercept=0.0)
    weights = np.ones(len(logits))
    probabilities = fit_platt(logits, targets, weights).probability(logits)
    got = choose_thresholds(probabilities, targets, weights)
    assert 0 < got.low < got.label < got.high < 1
    tumour = targets > 0.5
    assert (probabilities[tumour] >= got.low).mean() >= 0.99
    assert (probabilities[~tumour] < got.high).mean() >= 0.99
    # They are the tightest such thresholds, not merely safe ones.
    assert (probabilities[tumour] >= got.low + 0.01).mean() < 0.99
    assert (probabilities[~tumour] < got.high - 0.01).mean() < 0.99


def test_thresholds_meet_where_the_classes_do_not_overlap():
    probabilities = np.array([0.1, 0.2, 0.8, 0.9])
    got = choose_thresholds(probabilities, np.array([0, 0, 1, 1]), np.ones(4))
    assert got.low <= got.label <= got.high
    assert 0.2 < got.label <= 0.8


def test_weights_decide_which_scans_count():
    probabilities = np.array([0.05, 0.5, 0.6, 0.7, 0.2, 0.3])
    targets = np.array([1, 1, 1, 1, 0, 0])
    with_all = choose_thresholds(probabilities, targets, np.ones(6))
    without_first = choose_thresholds(probabilities, targets, np.array([1e-6, 1, 1, 1, 1, 1]))
    assert with_all.low < 0.05 < without_first.low


def test_density_refuses_as_many_as_promised_and_what_is_elsewhere():
    generator = np.random.default_rng(0)
    scale = np.linspace(2, 0.1, 200)
    inside = lambda n: generator.normal(size=(n, 200)) * scale  # noqa: E731
    validation = inside(1000)
    density = fit_density(inside(3000), np.ones(3000), validation, np.ones(1000), seed=0)
    assert (density.score(validation) > 1).mean() == pytest.approx(REFUSED, abs=0.002)
    assert np.median(density.score(validation)) == pytest.approx(0, abs=0.01)
    assert (density.score(inside(1000)) > 1).mean() < 0.06
    assert (density.score(inside(100) + 1.0) > 1).all()

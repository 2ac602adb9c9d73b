"""Calibration and thresholds on data whose truth is known."""

import numpy as np
import pytest

from training.calibrate import (
    Calibration,
    choose_calibration,
    choose_thresholds,
    fit_beta,
    fit_platt,
    fit_temperature,
    threshold_intervals,
)
from training.errors import CalibrationError


def logits_and_targets(n: int = 20_000, slope: float = 0.5, intercept: float = 1.0):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, n)
    targets = generator.random(n) < 1 / (1 + np.exp(-(slope * logits + intercept)))
    return logits, targets.astype(np.float32)


def test_platt_recovers_the_truth_of_an_overconfident_network():
    logits, targets = logits_and_targets()
    platt = fit_platt(logits, targets, np.ones(len(logits)))
    assert platt.a == platt.b == pytest.approx(0.5, abs=0.02)
    assert platt.c == pytest.approx(1.0, abs=0.05)
    assert platt.probability(np.array([-2.0]))[0] == pytest.approx(0.5, abs=0.02)


def test_temperature_recovers_the_truth_of_an_overconfident_network():
    logits, targets = logits_and_targets(intercept=0.0)
    temperature = fit_temperature(logits, targets, np.ones(len(logits)))
    assert temperature.a == temperature.b == pytest.approx(0.5, abs=0.02)
    assert temperature.c == 0


def test_beta_recovers_a_curve_of_two_slopes():
    truth = Calibration(method="beta", a=0.3, b=1.2, c=-0.5)
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, 40_000)
    targets = generator.random(40_000) < truth.probability(logits)
    got = fit_beta(logits, targets, np.ones(40_000))
    assert (got.a, got.b, got.c) == pytest.approx((0.3, 1.2, -0.5), abs=0.08)


def test_beta_never_falls():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, 2000)
    targets = generator.random(2000) < 1 / (1 + np.exp(np.abs(logits) - 2))
    got = fit_beta(logits, targets, np.ones(2000))
    assert min(got.a, got.b) >= 0
    assert (np.diff(got.probability(np.linspace(-9, 9, 50))) >= 0).all()


@pytest.mark.parametrize(
    "truth",
    [
        Calibration(method="temperature", a=0.4, b=0.4, c=0.0),
        Calibration(method="platt", a=0.5, b=0.5, c=1.5),
        Calibration(method="beta", a=0.1, b=1.5, c=0.0),
    ],
    ids=lambda one: one.method,
)
def test_the_calibrator_that_fits_is_chosen(truth):
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 3, 10_000)
    targets = (generator.random(10_000) < truth.probability(logits)).astype(np.float32)
    groups = [str(i // 10) for i in range(10_000)]
    got, scores = choose_calibration(logits, targets, np.ones(10_000), groups)
    assert set(scores) == {"temperature", "platt", "beta", "isotonic"}
    shown = np.linspace(-6, 6, 25)
    assert got.probability(shown) == pytest.approx(truth.probability(shown), abs=0.04)
    chosen, others = scores[got.method]["log_loss"], [scores[name]["log_loss"] for name in scores]
    assert chosen <= min(others[:3])
    if truth.method == "platt":
        assert scores["temperature"]["log_loss"] > chosen + 0.02


def test_extreme_logits_give_probabilities():
    platt = Calibration(method="platt", a=1.0, b=1.0, c=0.0)
    got = platt.probability(np.array([-500.0, -50.0, 0.0, 50.0, 500.0]))
    assert got == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-12)


def test_thresholds_keep_what_they_promise():
    logits, targets = logits_and_targets(slope=2.0, intercept=0.0)
    weights = np.ones(len(logits))
    probabilities = fit_platt(logits, targets, weights).probability(logits)
    got = choose_thresholds(probabilities, targets, weights)
    assert 0 < got.low < got.label == 0.5 < got.high < 1
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


def test_thresholds_keep_their_promise_where_the_classes_hardly_overlap():
    """One half may lie outside both thresholds."""
    probabilities = np.concatenate(
        [np.linspace(0.0, 0.3, 995), np.full(5, 0.6), [0.35], np.full(999, 0.9)]
    )
    targets = np.concatenate([np.zeros(1000), np.ones(1000)])
    got = choose_thresholds(probabilities, targets, np.ones(2000))
    assert (probabilities[targets > 0.5] >= got.low).mean() >= 0.99
    assert (probabilities[targets < 0.5] < got.high).mean() >= 0.99


def test_weights_decide_which_scans_count():
    probabilities = np.array([0.05, 0.5, 0.6, 0.7, 0.2, 0.3])
    targets = np.array([1, 1, 1, 1, 0, 0])
    with_all = choose_thresholds(probabilities, targets, np.ones(6))
    without_first = choose_thresholds(probabilities, targets, np.array([1e-6, 1, 1, 1, 1, 1]))
    assert with_all.low < 0.05 < without_first.low


def test_the_interval_of_a_threshold_holds_it_and_narrows_with_more_groups():
    logits, targets = logits_and_targets(n=2000, slope=2.0, intercept=0.0)
    probabilities = fit_platt(logits, targets, np.ones(2000)).probability(logits)
    chosen = choose_thresholds(probabilities, targets, np.ones(2000))

    def interval(per_group: int) -> dict:
        groups = [str(i // per_group) for i in range(2000)]
        return threshold_intervals(probabilities, targets, np.ones(2000), groups, resamples=200)

    fine, coarse = interval(1), interval(100)
    for name, figure in fine.items():
        assert figure["low"] <= getattr(chosen, name) <= figure["high"]
    assert coarse["low"]["high"] - coarse["low"]["low"] > 0
    assert fine["low"]["value"] == pytest.approx(chosen.low, abs=1e-6)


@pytest.mark.parametrize("groups", [["a"] * 4, ["a", "a", "b", "b"]])
def test_a_validation_split_that_is_too_small_is_named(groups):
    targets = np.array([1.0, 1.0, 0.0, 0.0])
    with pytest.raises(CalibrationError, match="too few to calibrate by"):
        choose_calibration(np.arange(4.0), targets, np.ones(4), groups)


def test_a_network_whose_answer_would_have_to_be_turned_round_is_refused():
    logits, targets = logits_and_targets(n=2000)
    groups = [str(i) for i in range(2000)]
    with pytest.raises(CalibrationError, match="the higher the network's logit the fewer"):
        choose_calibration(-logits, targets, np.ones(2000), groups)
    kept, _ = choose_calibration(-logits, targets, np.ones(2000), groups, allow_worthless=True)
    assert (kept.a, kept.b, kept.c) == (1.0, 1.0, 0.0), "on demand it is kept, never turned round"


def test_a_curve_that_falls_is_passed_over_for_one_that_rises():
    """Nearly all are tumours, those of low logits a little less often: only an offset makes it rise."""
    generator = np.random.default_rng(0)
    logits = generator.normal(-3, 1, 2000)
    targets = (generator.random(2000) < 1 / (1 + np.exp(-(0.5 * logits + 4)))).astype(np.float32)
    weights, groups = np.ones(2000), [str(i) for i in range(2000)]
    assert fit_temperature(logits, targets, weights).a < 0
    got, _ = choose_calibration(logits, targets, weights, groups)
    assert got.rises
    assert np.diff(got.probability(np.array([-6.0, 0.0])))[0] > 0

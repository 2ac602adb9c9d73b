"""Figures with the expected answer in them."""

import time

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from training.bootstrap import average, bootstrap, figure, figure_text
from training.metrics import calibration_bins, report, report_by_source


def test_a_report_counts_and_measures():
    targets = np.array([1, 1, 1, 0, 0], np.float32)
    probabilities = np.array([0.9, 0.8, 0.3, 0.4, 0.1])
    got = report(targets, probabilities, list("aabcd"), called=probabilities >= 0.5)
    assert (got["n"], got["groups"], got["tumor"], got["no_tumor"]) == (5, 4, 3, 2)
    assert got["auc"]["value"] == round(5 / 6, 4)
    assert got["accuracy"]["value"] == 0.8
    assert got["sensitivity"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert got["specificity"]["value"] == 1.0
    assert got["brier"]["value"] == pytest.approx((0.01 + 0.04 + 0.49 + 0.16 + 0.01) / 5, abs=1e-4)
    # Precision at each recalled tumour, by hand: 1/1, 2/2, 3/4.
    assert got["pr_auc"]["value"] == pytest.approx((1 + 1 + 3 / 4) / 3, abs=1e-4)
    assert got["sensitivity_at_90_specificity"]["value"] == pytest.approx(2 / 3, abs=1e-4)


def test_areas_and_brier_are_scikit_learns_also_with_ties():
    generator = np.random.default_rng(0)
    targets = (generator.random(400) < 0.3).astype(np.float32)
    probabilities = np.round(np.clip(generator.normal(0.4, 0.2, 400) + 0.2 * targets, 0, 1), 1)
    assert len(np.unique(probabilities)) < 12
    got = report(targets, probabilities, [str(i) for i in range(400)], called=probabilities > 0.5)
    assert got["auc"]["value"] == round(roc_auc_score(targets, probabilities), 4)
    assert got["pr_auc"]["value"] == round(average_precision_score(targets, probabilities), 4)
    assert got["brier"]["value"] == round(brier_score_loss(targets, probabilities), 4)


def test_predictive_values_follow_bayes_at_the_stated_prevalence():
    targets = np.array([1] * 10 + [0] * 10)
    called = np.array(
        [1] * 8 + [0] * 2 + [1] * 1 + [0] * 9, bool
    )  # sensitivity 0.8, specificity 0.9
    got = report(targets, called * 1.0, [str(i) for i in range(20)], called=called)
    assert got["ppv"]["0.01"]["value"] == round(0.01 * 0.8 / (0.01 * 0.8 + 0.99 * 0.1), 4)
    assert got["npv"]["0.1"]["value"] == round(0.9 * 0.9 / (0.9 * 0.9 + 0.1 * 0.2), 4)
    assert got["ppv"]["0.5"]["value"] == round(0.8 / 0.9, 4)


def test_ece_is_the_gap_between_what_is_said_and_what_is_so():
    """Ten bins of 100 scans; in each, tumours are 0.2 fewer than stated, except where that is below 0."""
    said = np.repeat(np.linspace(0.05, 0.95, 10), 100)
    share = np.clip(said - 0.2, 0, 1)
    targets = np.concatenate([np.arange(100) < round(100 * s) for s in share[::100]])
    got = report(targets, said, [str(i) for i in range(1000)], called=said > 0.5)
    assert got["ece"]["value"] == pytest.approx(np.abs(said - share).mean(), abs=1e-4)
    truthful = np.concatenate([np.arange(100) < round(100 * s) for s in said[::100]])
    assert report(truthful, said, [str(i) for i in range(1000)], called=said > 0.5)["ece"][
        "value"
    ] == pytest.approx(0, abs=1e-4)


def test_calibration_bins_hold_equally_many_and_do_not_depend_on_the_order():
    probabilities = np.random.default_rng(0).random(1000)
    assert np.bincount(calibration_bins(probabilities)).tolist() == [100] * 10
    assert len(set(calibration_bins(np.full(50, 0.5)))) == 1


def test_one_class_alone_has_no_auc_and_no_specificity():
    got = report(np.ones(3), np.array([0.9, 0.8, 0.2]), list("abc"), called=np.array([1, 1, 0]) > 0)
    assert got["auc"] == {"value": None, "low": None, "high": None}
    assert got["specificity"]["value"] is None
    assert got["pr_auc"]["value"] is None
    assert figure_text(got["auc"]) == "–"


def test_scans_of_one_group_widen_the_interval():
    """Ten copies of each of 20 pictures hold no more information than the 20."""
    generator = np.random.default_rng(0)
    called = np.repeat(generator.random(20) < 0.7, 10)
    targets = np.ones(200)
    alone = report(targets, called * 1.0, [str(i) for i in range(200)], called=called)
    grouped = report(targets, called * 1.0, [str(i // 10) for i in range(200)], called=called)
    width = lambda figure: figure["high"] - figure["low"]  # noqa: E731
    assert grouped["sensitivity"]["value"] == alone["sensitivity"]["value"]
    assert width(grouped["sensitivity"]) > 2.5 * width(alone["sensitivity"])


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for trial in range(60):
        called = generator.random(100) < 0.8
        figure = report(
            np.ones(100), called * 1.0, [str(i) for i in range(100)], called=called, seed=trial
        )["sensitivity"]
        covered += figure["low"] <= 0.8 <= figure["high"]
    assert covered >= 52


def test_the_mean_of_sources_counts_a_small_source_as_much_as_a_large_one():
    targets = np.array([1, 0] * 100 + [1, 0] * 5)
    large_right, small_wrong = targets[:200] == 1, targets[200:] == 0
    called = np.concatenate([large_right, small_wrong])
    sources = ["large"] * 200 + ["small"] * 10
    groups = [str(i) for i in range(210)]
    reports, macro = report_by_source(targets, called * 1.0, groups, sources, called=called)
    assert reports["large"]["auc"]["value"] == 1.0
    assert reports["small"]["auc"]["value"] == 0.0
    assert macro["auc"]["value"] == 0.5
    assert macro["sources"] == 2


def test_a_source_without_a_figure_does_not_enter_the_mean():
    targets = np.array([1, 0, 1, 1])
    called = np.array([1, 0, 1, 0], bool)
    _, macro = report_by_source(
        targets, called * 1.0, list("abcd"), ["both", "both", "one", "one"], called=called
    )
    assert macro["auc"]["value"] == 1.0
    assert macro["sensitivity"]["value"] == 0.75


def test_a_mean_is_surer_than_its_parts():
    flips = np.random.default_rng(0).random((4, 200)) < 0.5
    groups = [str(i) for i in range(200)]
    parts = [
        bootstrap(lambda w, row=row: {"share": w @ row / w.sum(axis=1)}, groups, seed=seed)["share"]
        for seed, row in enumerate(flips)
    ]
    width = lambda figure: figure["high"] - figure["low"]  # noqa: E731
    assert width(figure(average(parts))) == pytest.approx(width(figure(parts[0])) / 2, rel=0.15)


def test_fifteen_hundred_scans_take_seconds():
    generator = np.random.default_rng(0)
    probabilities = generator.random(1500)
    targets = generator.random(1500) < probabilities
    groups = [str(i) for i in generator.integers(0, 300, 1500)]
    began = time.process_time()
    report(targets, probabilities, groups, called=probabilities > 0.5)
    assert time.process_time() - began < 15

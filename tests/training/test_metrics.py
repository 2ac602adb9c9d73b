"""Figures with the expected answer in them."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.metrics import figure_text, report


def test_a_report_counts_and_measures():
    targets = np.array([1, 1, 1, 0, 0], np.float32)
    probabilities = np.array([0.9, 0.8, 0.3, 0.4, 0.1])
    got = report(targets, probabilities, list("aabcd"), called=probabilities >= 0.5)
    assert (got["n"], got["groups"], got["tumor"], got["no_tumor"]) == (5, 4, 3, 2)
    assert got["auc"]["value"] == round(roc_auc_score(targets, probabilities), 4)
    assert got["accuracy"]["value"] == 0.8
    assert got["sensitivity"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert got["specificity"]["value"] == 1.0


def test_one_class_alone_has_no_auc_and_no_specificity():
    got = report(np.ones(3), np.array([0.9, 0.8, 0.2]), list("abc"), called=np.array([1, 1, 0]) > 0)
    assert got["auc"] == {"value": None, "low": None, "high": None}
    assert got["specificity"]["value"] is None
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

"""Wrong labels are found where they can be wrong, by models that never saw the scan or its patient."""

import json
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from data.label_issues import LABEL_ISSUES, list_label_issues, read_label_issues
from data.labels import Label
from data.manifest import DatasetError, Scan, Split, read_manifest
from training.audit import AuditSettings, audit, find_issues, out_of_fold


def scan(i: int, label: Label, *, patient: str = "", group: str = "", source: str = "a") -> Scan:
    return Scan(
        path=f"train/{label}/{source}_{i}.png",
        label=label,
        source=source,
        split=Split.TRAIN,
        group=group or f"{source}{i}",
        patient=patient,
        sha256=str(i),
        origin="",
    )


@pytest.fixture
def mixed() -> tuple[list[Scan], np.ndarray, set[int]]:
    """400 scans whose features tell the class; ten tumours are labelled normal, ten the other way."""
    rng = np.random.default_rng(0)
    truth = np.arange(400) % 2 == 0
    features = rng.normal(size=(400, 20)).astype(np.float32)
    features[:, 0] += np.where(truth, 8.0, -8.0)
    given = truth.copy()
    missed = set(range(0, 20, 2))
    wrong = [*missed, *range(1, 20, 2)]
    given[wrong] = ~given[wrong]
    scans = [scan(i, Label.TUMOR if tumour else Label.NO_TUMOR) for i, tumour in enumerate(given)]
    return scans, features, missed


def test_tumours_labelled_normal_are_found(mixed) -> None:
    scans, features, missed = mixed
    issues = find_issues(scans, out_of_fold(features, scans, folds=5, seed=1))
    found = {int(issue.sha256) for issue in issues}
    assert found <= missed
    assert len(found) >= 7
    assert [issue.quality for issue in issues] == sorted(issue.quality for issue in issues)
    assert all(issue.probability > 0.5 for issue in issues)


def test_slices_of_a_patient_with_a_tumour_are_not_listed(mixed) -> None:
    scans, features, missed = mixed
    by_slice = [
        replace(one, patient="anna") if i in {0, 3, 2} | set(range(100, 140)) else one
        for i, one in enumerate(scans)
    ]
    issues = find_issues(by_slice, out_of_fold(features, by_slice, folds=5, seed=1))
    found = {int(issue.sha256) for issue in issues}
    assert found <= missed - {0, 2}
    assert len(found) >= 6


def test_a_source_of_one_class_is_passed_over(mixed) -> None:
    scans, features, _ = mixed
    alone = [replace(one, source="b", label=Label.TUMOR) for one in scans[:100]] + scans[100:]
    issues = find_issues(alone, out_of_fold(features, alone, folds=5, seed=1))
    assert not [issue for issue in issues if issue.source == "b"]


def test_no_model_has_seen_the_group_or_the_patient() -> None:
    """Each unit has a feature of its own: who saw one of its scans would know the others'."""
    rng = np.random.default_rng(1)
    labels = [Label.TUMOR if rng.random() < 0.5 else Label.NO_TUMOR for _ in range(60)]
    scans = [
        scan(
            4 * unit + i, label, **({"group": f"g{unit}"} if unit % 2 else {"patient": f"p{unit}"})
        )
        for unit, label in enumerate(labels)
        for i in range(4)
    ]
    features = np.repeat(np.eye(60, dtype=np.float32), 4, axis=0)
    probabilities = out_of_fold(features, scans, folds=5, seed=1)
    tumour = np.array([one.label is Label.TUMOR for one in scans])
    # Told by the class balance of the rest alone, not by the scan.
    assert np.ptp(probabilities) < 0.2
    assert abs(probabilities[tumour].mean() - probabilities[~tumour].mean()) < 0.1


def test_an_audit_goes_on_where_it_stopped_and_keeps_its_features(
    dataset: Path, tmp_path: Path
) -> None:
    dataset = Path(shutil.copytree(dataset, tmp_path / "audited"))
    console = Console(file=StringIO(), width=120)
    assert read_label_issues(dataset) == set()
    issues = audit(AuditSettings(data=dataset, folds=3, repeats=1), console)
    (kept,) = dataset.glob("features-*.npy")
    whole = np.load(kept)
    assert whole.shape == (len(read_manifest(dataset)), 1280)
    assert np.isfinite(whole).all()
    assert list_label_issues(dataset) == issues
    assert read_label_issues(dataset) == {issue.path for issue in issues}
    assert "Listed in" in console.file.getvalue()

    cut = whole.copy()
    cut[-3:] = np.nan
    kept.unlink()
    np.save(kept.with_suffix(".npy"), cut)
    kept.rename(kept.with_suffix(".partial"))
    assert audit(AuditSettings(data=dataset, folds=3, repeats=1), console) == issues
    np.testing.assert_allclose(np.load(kept), whole, atol=1e-4)


def test_a_malformed_list_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / LABEL_ISSUES).write_text(json.dumps({"path": 1}) + "\nx\n")
    with pytest.raises(DatasetError, match=r"is malformed .* run `python -m training audit` again"):
        read_label_issues(tmp_path)


def test_too_few_groups_to_judge_by_list_nothing() -> None:
    scans = [
        scan(i, Label.TUMOR if i < 6 else Label.NO_TUMOR, group=f"g{i // 6}") for i in range(12)
    ]
    features = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    assert (out_of_fold(features, scans, folds=5, seed=1) == 0.5).all()

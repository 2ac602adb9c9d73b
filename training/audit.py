"""Find scans labelled normal that probably show a tumour, by cross-validated predictions.

Every scan gets P(tumour) from logistic regressions on frozen EfficientNet-Lite0 features that saw neither
its group nor its patient. Within each source, confident learning (Northcutt, Jiang and Chuang, "Confident
learning: estimating uncertainty in dataset labels", 2021; cleanlab) tells which labels are errors rather
than hard cases: what counts as confident is measured for each class of the source.

Only `no_tumor` can be listed, where it means "nobody said tumour". A tumour has been pointed at by somebody,
and so have the tumour-free slices of a patient whose other slices show one: what a model doubts there are
hard cases, and to leave those out would flatter every figure.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from data.grouping import together
from data.label_issues import LabelIssue, write_label_issues
from data.labels import Label
from data.manifest import Scan, Split, rows_hash
from training.settings import AuditSettings

#: Side in pixels at which features are taken: half the cost of 224, and as good for finding errors.
FEATURE_SIZE: Final = 160
#: Strength of the regularisation, as scikit-learn counts it: features outnumber a source's groups.
_C: Final = 0.003
_BATCH: Final = 64
#: Fewer scans than this of the rarer class, and a source's confidence cannot be measured.
_LEAST: Final = 10


def audit(settings: AuditSettings, console: Console) -> list[LabelIssue]:
    """List the scans whose label is probably wrong in `label_issues.csv`, and print how many of each source.

    Features are computed once for a dataset; an interrupted run goes on where it stopped.

    Raises:
        DatasetError: there is no dataset.
    """
    # Keras takes seconds to import, which the help text should not.
    from training.scans import load_split

    splits = [load_split(settings.data, split, keep_doubtful=True) for split in Split]
    scans = [scan for part in splits for scan in part.scans]
    rows = np.concatenate([part.rows for part in splits])
    features = frozen_features(settings.data, scans, splits[0].packed, rows, console)
    rounds = [
        out_of_fold(features, scans, folds=settings.folds, seed=settings.seed + repeat)
        for repeat in track(
            range(settings.repeats), "Cross-validating", console=console, transient=True
        )
    ]
    probabilities = np.mean(rounds, axis=0)
    issues = find_issues(scans, probabilities)
    path = write_label_issues(settings.data, issues)
    _show(scans, probabilities, issues, console)
    console.print(f"Listed in {path}, the most doubtful first.")
    return issues


def frozen_features(
    dataset: Path,
    scans: Sequence[Scan],
    packed: NDArray[np.uint8],
    rows: NDArray[np.int_],
    console: Console,
) -> NDArray[np.float32]:
    """Pooled features of EfficientNet-Lite0 with ImageNet weights, computed once and kept.

    Args:
        dataset: folder in which they are kept.
        scans: `[N]`.
        packed: uint8 `[M, 224, 224, 3]`.
        rows: int `[N]`: where in `packed` the scans are.
        console: for progress.

    Returns:
        float32 `[N, 1280]`.
    """
    path = dataset / f"features-{rows_hash(scans)[:16]}-{FEATURE_SIZE}.npy"
    if path.exists():
        return np.load(path)
    import keras

    from training.network import build_network

    network = build_network(image_size=FEATURE_SIZE)
    last = network.get_layer("dropout").input
    extract = keras.Model(network.input, keras.layers.GlobalAveragePooling2D()(last))
    shape = (len(scans), int(extract.output.shape[-1]))
    partial = path.with_suffix(".partial")
    if not partial.exists():
        np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)[:] = np.nan
    features = np.lib.format.open_memmap(partial, mode="r+")
    # A batch that was written has no NaN left in its last row.
    starts = [
        start
        for start in range(0, len(scans), _BATCH)
        if np.isnan(features[min(start + _BATCH, len(scans)) - 1]).any()
    ]
    for start in track(starts, "Computing features, once", console=console, transient=True):
        batch = packed[rows[start : start + _BATCH]]
        features[start : start + _BATCH] = extract(batch, training=False)
    features.flush()
    partial.rename(path)
    return np.load(path)


def out_of_fold(
    features: NDArray[np.float32], scans: Sequence[Scan], *, folds: int, seed: int
) -> NDArray[np.float64]:
    """P(tumour) of each scan from a model that saw neither its group nor its patient.

    Classes weigh alike within each source, so that the model cannot answer by the source.

    Args:
        features: float32 `[N, F]`.
        scans: `[N]`.
        folds: parts of the cross-validation.
        seed: of the division into parts.

    Returns:
        float64 `[N]`, 0..1.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    tumour = np.array([scan.label is Label.TUMOR for scan in scans])
    strata = [(scan.source, scan.label) for scan in scans]
    sizes = {stratum: strata.count(stratum) for stratum in set(strata)}
    # A source weighs by the root of its size, and each of its classes alike.
    weights = np.array([sizes[stratum] ** -0.5 for stratum in strata])

    probabilities = np.full(len(scans), np.nan)
    labels = np.asarray(together(scans))
    folds = min(folds, *(len(set(labels[tumour == which])) for which in (False, True)))
    if folds < 2:  # too few patients or pictures of a class to judge by
        return np.full(len(scans), 0.5)
    division = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for seen, unseen in division.split(features, tumour, labels):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=_C, max_iter=500))
        model.fit(
            features[seen],
            tumour[seen],
            logisticregression__sample_weight=weights[seen] / weights[seen].mean(),
        )
        probabilities[unseen] = model.predict_proba(features[unseen])[:, 1]
    return probabilities


def find_issues(scans: Sequence[Scan], probabilities: NDArray[np.float64]) -> list[LabelIssue]:
    """Labels that confident learning takes for errors, source by source.

    A source with fewer than ten scans of a class is passed over: it gives no measure of confidence. So
    are tumours, and patients of whom some slices are tumours and others not.

    Args:
        scans: `[N]`.
        probabilities: float64 `[N]` from `out_of_fold`.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    labels = {(scan.person, scan.label) for scan in scans if scan.person}
    by_slice = {person for person, _ in labels if (person, Label.TUMOR) in labels}
    issues: list[LabelIssue] = []
    for source in sorted({scan.source for scan in scans}):
        members = np.array([i for i, scan in enumerate(scans) if scan.source == source])
        given = np.array([int(scans[i].label is Label.TUMOR) for i in members])
        if min(np.bincount(given, minlength=2)) < _LEAST:
            continue
        predicted = np.stack([1 - probabilities[members], probabilities[members]], axis=1)
        wrong = find_label_issues(given, predicted, filter_by="both", n_jobs=1)
        quality = get_label_quality_scores(given, predicted, method="self_confidence")
        issues += [
            LabelIssue(
                path=scans[i].path,
                sha256=scans[i].sha256,
                source=source,
                label=scans[i].label,
                probability=round(float(probabilities[i]), 4),
                quality=round(float(score), 4),
            )
            for i, flagged, score in zip(members, wrong, quality, strict=True)
            if flagged and scans[i].label is Label.NO_TUMOR and scans[i].person not in by_slice
        ]
    return sorted(issues, key=lambda issue: issue.quality)


def _show(
    scans: Sequence[Scan],
    probabilities: NDArray[np.float64],
    issues: Sequence[LabelIssue],
    console: Console,
) -> None:
    from sklearn.metrics import roc_auc_score

    table = Table(title="Scans labelled normal that probably show a tumour")
    for name in ("source", "scans", "AUC", "listed"):
        table.add_column(name, justify="left" if name == "source" else "right")
    for source in sorted({scan.source for scan in scans}):
        members = [i for i, scan in enumerate(scans) if scan.source == source]
        given: list[Any] = [scans[i].label is Label.TUMOR for i in members]
        one_class = len(set(given)) < 2
        auc = "-" if one_class else f"{roc_auc_score(given, probabilities[members]):.3f}"
        listed = sum(issue.source == source for issue in issues)
        table.add_row(source, str(len(members)), auc, str(listed))
    console.print(table)

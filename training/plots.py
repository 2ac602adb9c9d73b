"""The pictures of a model card: quiet, the same few colours everywhere, readable without colour.

Colours are Okabe and Ito's, which people with any colour vision tell apart; lines differ in dash, bars in
place. Each function draws one figure; `write_plots` writes those for which there is something to draw.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from data.labels import Label
from serving.contract import Risk
from training.appraise import Appraisal, worst_errors
from training.calibrate import Operating
from training.card_terms import showable
from training.metrics import CALIBRATION_BINS, calibration_bins

BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREY: Final = "#767676"
_DASHES: Final = ("-", "--", "-.", ":")
_STYLE: Final[dict[str, Any]] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_DPI: Final = 110
_GALLERY: Final = 12
#: Slices of one patient fail together; more of them show nothing new.
_OF_ONE_GROUP: Final = 2


def write_plots(appraisal: Appraisal, thresholds: Operating, folder: Path) -> dict[str, str]:
    """Draw a card's figures as PNG files.

    Args:
        appraisal: what was measured.
        thresholds: of the version.
        folder: an existing folder.

    Returns:
        File names by section of the card; sections with nothing to draw are left out.
    """
    drawings: dict[str, tuple[str, Callable[[], Figure | None]]] = {
        "Figures on the test split": ("curves.png", lambda: ranking(appraisal)),
        "Leave one source out": ("leave_one_source_out.png", lambda: left_out_sources(appraisal)),
        "Thresholds": ("decisions.png", lambda: decisions(appraisal, thresholds)),
        "Calibration": ("reliability.png", lambda: reliability(appraisal)),
        "Images that are no brain MRI": ("refusals.png", lambda: refusals(appraisal)),
        "Worst errors": ("worst_errors.png", lambda: gallery(appraisal)),
        "Training": ("training.png", lambda: training(appraisal)),
    }
    written = {}
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        for section, (name, draw) in drawings.items():
            drawn = draw()
            if drawn is not None:
                FigureCanvasAgg(drawn).print_png(folder / name)
                written[section] = name
    return written


def ranking(appraisal: Appraisal) -> Figure | None:
    """ROC and precision-recall curves, over all, by source, and of the shortcut floor."""
    truth, p = appraisal.test.targets > 0.5, appraisal.test.answers.probabilities
    if truth.all() or not truth.any():
        return None
    drawn = _figure(9.0, 4.2)
    roc, recall = drawn.subplots(1, 2)
    sources = np.array(appraisal.held_out.sources)
    several = [
        (source, sources == source)
        for source, report in appraisal.test.by_source.items()
        if report["auc"]["value"] is not None and len(appraisal.test.by_source) > 1
    ]
    lines = [("all sources", np.ones(len(p), bool), BLUE, "-", 2.0)]
    lines += [
        (name, where, GREY, _DASHES[i % len(_DASHES)], 1.1)
        for i, (name, where) in enumerate(several)
    ]
    for name, where, colour, dash, width in lines:
        figures = appraisal.test.whole if where.all() else appraisal.test.by_source[name]
        false, true, _ = roc_curve(truth[where], p[where])
        auc, area = figures["auc"]["value"], figures["pr_auc"]["value"]
        style = {"color": colour, "linestyle": dash, "linewidth": width}
        roc.plot(false, true, label=f"{name}, {auc:.3f}", **style)
        precision, sensitivity, _ = precision_recall_curve(truth[where], p[where])
        recall.plot(sensitivity, precision, label=f"{name}, {area:.3f}", **style)
    roc.plot([0, 1], [0, 1], color="#C0C0C0", linewidth=0.8)
    said = appraisal.test.whole
    at = 1 - _value(said["specificity"]), _value(said["sensitivity"])
    roc.plot(*at, "o", color=ORANGE, label="threshold of the label")
    roc.set(xlabel="1 - specificity", ylabel="sensitivity", title="ROC, area under the curve")
    recall.set(xlabel="sensitivity", ylabel="PPV in the split", title="Precision-recall, area")
    for axes in (roc, recall):
        axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.01))
        axes.legend(loc="lower right" if axes is roc else "lower left")
    return drawn


def left_out_sources(appraisal: Appraisal) -> Figure | None:
    """AUC on each source that training never saw; beside it an earlier recipe's and the shortcut floor."""
    found = appraisal.leave_one_source_out
    if not found:
        return None
    rows = [row for row in found["rows"] if row["report"]["auc"]["value"] is not None]
    if not rows:
        return None
    earlier = {row["source"]: row for row in (found["before"] or {"rows": []})["rows"]}
    drawn = _figure(7.0, 1.2 + 0.55 * len(rows))
    axes = drawn.subplots()
    named: set[str] = set()

    def mark(name: str, auc: dict[str, Any], y: float, colour: str, shape: str) -> None:
        _interval(axes, auc, y, colour, shape, None if name in named else name)
        named.add(name)

    for i, row in enumerate(rows):
        mark("model", row["report"]["auc"], i - 0.2, BLUE, "o")
        if row["source"] in earlier:
            mark("before", earlier[row["source"]]["report"]["auc"], i, GREY, "D")
        mark("no content (floor)", row["shortcut"]["auc"], i + 0.2, ORANGE, "s")
    names = [f"{row['source']}  (n = {row['n']})" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.axvline(0.5, color=GREY, linewidth=0.8)
    axes.set(xlabel="AUC on the source left out, 95 % interval")
    axes.set_xlim(min(0.4, axes.get_xlim()[0]), 1.0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return drawn


def decisions(appraisal: Appraisal, thresholds: Operating) -> Figure:
    """Where P(tumour) falls for either class, and what is said to them."""
    test = appraisal.test
    drawn = _figure(9.0, 3.8)
    spread, table = drawn.subplots(1, 2, width_ratios=(1.3, 1))
    truth = test.targets > 0.5
    bins = np.linspace(0, 1, 41)
    for shown, colour, name in ((~truth, BLUE, "no tumour"), (truth, ORANGE, "tumour")):
        spread.hist(
            test.answers.probabilities[shown],
            bins=list(bins),
            histtype="step",
            linewidth=1.6,
            color=colour,
            linestyle="-" if name == "tumour" else "--",
            label=name,
        )
    for name, cut in (
        ("low", thresholds.low),
        ("label", thresholds.label),
        ("high", thresholds.high),
    ):
        interval = appraisal.fitted.intervals[name]
        if interval["low"] is not None and interval["high"] is not None:
            spread.axvspan(interval["low"], interval["high"], color=GREY, alpha=0.12, linewidth=0)
        spread.axvline(cut, color=GREY, linewidth=1)
        spread.annotate(
            name, (cut, 1), xycoords=("data", "axes fraction"), rotation=90, va="top", ha="right"
        )
    spread.set_yscale("log")
    spread.set(xlabel="P(tumour)", ylabel="scans", title="Test split; thresholds with intervals")
    spread.legend(loc="upper left", bbox_to_anchor=(0.53, 1.0))
    answers = [
        *((f"risk\n{risk}", test.answers.risks == risk) for risk in Risk),
        ("label\nno tumour", ~test.answers.called),
        ("label\ntumour", test.answers.called),
    ]
    counts = np.array([[np.sum(said & row) for _, said in answers] for row in (~truth, truth)])
    _confusion(table, counts, [name for name, _ in answers])
    return drawn


def reliability(appraisal: Appraisal) -> Figure:
    """Stated probability against the share of tumours, in bins of equal mass, and by source."""
    test = appraisal.test
    drawn = _figure(4.6, 4.4)
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, label="perfect")
    said, seen, error = _binned(test.answers.probabilities, test.targets)
    axes.errorbar(said, seen, yerr=error, color=BLUE, marker="o", capsize=2, label="test split")
    ece, brier = test.whole["ece"], test.whole["brier"]
    axes.set(
        xlabel="stated P(tumour), mean of the bin",
        ylabel="share of tumours",
        title=f"ECE {_value(ece):.3f}, Brier {_value(brier):.3f}, {CALIBRATION_BINS} bins",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    axes.legend(loc="upper left")
    return drawn


def refusals(appraisal: Appraisal) -> Figure:
    """Share refused of each family that is no brain MRI, and of the scans of the test split."""
    families = sorted(
        appraisal.refusals["families"].items(), key=lambda one: _value(one[1]["refused"])
    )
    scans = list(appraisal.test.said_by_source.items())
    drawn = _figure(7.4, 1.4 + 0.24 * (len(families) + len(scans)))
    axes = drawn.subplots()
    for i, (_, row) in enumerate(families):
        _interval(axes, row["refused"], i, BLUE, "o", "no brain MRI" if not i else None)
    for i, (_, said) in enumerate(scans, start=len(families) + 1):
        name = "held-out scans" if i == len(families) + 1 else None
        _interval(axes, said["refused"]["share"], i, ORANGE, "s", name)
    axes.set_yticks(
        [*range(len(families)), *range(len(families) + 1, len(families) + 1 + len(scans))],
        [name.replace("_", " ") for name, _ in (*families, *scans)],
    )
    axes.invert_yaxis()
    axes.set(xlabel="share refused, 95 % interval", xlim=(-0.02, 1.02))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return drawn


def gallery(appraisal: Appraisal) -> Figure | None:
    """The worst errors of the test split among scans whose licence lets them be shown."""
    scans = appraisal.held_out.scans
    shown = Counter[str]()
    worst = []
    for i in worst_errors(appraisal.test, count=len(scans)):
        shown[scans[i].group] += 1
        if showable(scans[i].source) and shown[scans[i].group] <= _OF_ONE_GROUP:
            worst.append(i)
    worst = worst[:_GALLERY]
    if not worst:
        return None
    columns = min(6, len(worst))
    rows = -(-len(worst) // columns)
    drawn = _figure(1.55 * columns, 1.95 * rows + 0.35)
    grid = np.atleast_1d(np.asarray(drawn.subplots(rows, columns, squeeze=False))).ravel()
    for axes in grid:
        axes.axis("off")
    images = appraisal.held_out.images(np.array(worst))
    for axes, i, image in zip(grid, worst, images, strict=False):
        truth = "tumour" if scans[i].label == Label.TUMOR else "no tumour"
        axes.imshow(image)
        p = appraisal.test.answers.probabilities[i]
        axes.set_title(f"labelled {truth}\nP(tumour) = {p:.3f}", fontsize=7)
    owed = {str(showable(scans[i].source)) for i in worst}
    drawn.supxlabel("; ".join(sorted(owed)), fontsize=6, color=GREY)
    return drawn


def training(appraisal: Appraisal) -> Figure | None:
    """Loss and AUC of each epoch, stage after stage."""
    if not appraisal.curves:
        return None
    drawn = _figure(8.4, 3.2)
    panels = dict(zip(("loss", "auc"), drawn.subplots(1, 2), strict=True))
    for metric, axes in panels.items():
        start = 1
        for number, (stage, columns) in enumerate(appraisal.curves.items()):
            if metric not in columns:
                continue
            epochs = np.arange(start, start + len(columns[metric]))
            first = start == 1
            axes.plot(
                epochs,
                columns[metric],
                "--",
                color=GREY,
                marker=".",
                label="training" if first else None,
            )
            validation = columns[f"val_{metric}"]
            label = "validation" if first else None
            axes.plot(epochs, validation, color=BLUE, marker=".", label=label)
            axes.axvline(start - 0.5, color="#D0D0D0", linewidth=0.8)
            axes.annotate(
                stage.replace("_", " "),
                (start - 0.4, 1.0 + 0.05 * (number % 2)),  # a stage may be narrower than its name
                xycoords=("data", "axes fraction"),
                va="bottom",
                fontsize=7,
                color=GREY,
            )
            start += len(epochs)
        axes.set(xlabel="epoch", ylabel=metric.upper() if metric == "auc" else metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="best")
    return drawn


def _figure(width: float, height: float) -> Figure:
    """Inches, at `_DPI`."""
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _value(figure: Any) -> float:
    return float("nan") if figure["value"] is None else float(figure["value"])


def _interval(
    axes: Any, figure: Any, y: float, colour: str, marker: str, label: str | None
) -> None:
    value = _value(figure)
    low = value if figure["low"] is None else figure["low"]
    high = value if figure["high"] is None else figure["high"]
    axes.plot([low, high], [y, y], color=colour, linewidth=1.4)
    axes.plot(value, y, marker, color=colour, markersize=5, label=label, linestyle="none")


def _binned(
    probabilities: NDArray[np.float64], targets: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean probability, share of tumours and the latter's standard error, for each bin in use."""
    bins = calibration_bins(probabilities)
    rows = []
    for number in np.unique(bins):
        inside = bins == number
        share = targets[inside].mean()
        error = np.sqrt(share * (1 - share) / inside.sum())
        rows.append((probabilities[inside].mean(), share, 1.96 * error))
    said, seen, errors = np.array(rows).T
    return said, seen, errors


def _confusion(axes: Any, counts: NDArray[np.int_], columns: list[str]) -> None:
    shares = counts / np.maximum(1, counts[:, :3].sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        text = f"{count}\n{100 * shares[row, column]:.1f} %"
        axes.text(column, row, text, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks((0, 1), ("no tumour", "tumour"))
    axes.axvline(2.5, color="white", linewidth=6)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title("What is said to whom")

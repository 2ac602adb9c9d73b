"""The model card: what a version is, was made from, can and cannot do; as JSON and as Markdown."""

import json
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

from data.manifest import Scan, dataset_hash
from serving.contract import MODEL_NAME
from training.calibrate import HIGH_SPECIFICITY, LOW_SENSITIVITY, Operating, Platt
from training.familiarity import COMPONENTS, REFUSED
from training.metrics import METRICS, Report, figure_text

Card = dict[str, Any]

LIMITS = (
    "Not a medical device: for research and teaching, never for a decision about a patient.",
    "Single 2-D slices of adult brains only; a tumour outside the slice cannot be seen.",
    "Most tumours in the training data are gliomas, meningiomas and pituitary adenomas; metastases, "
    "children and scans after surgery are hardly represented.",
    "Web collections carry label noise: some 'no tumour' scans show other lesions.",
    "Figures below are internal: their sources also occur in training (never the same patient or "
    "picture). Expect less on scans from elsewhere.",
)
LICENCE = (
    "Code: MIT. The weights inherit the strictest terms of their training data: non-commercial "
    "research use (TCGA-LGG slices as re-published, CC BY-NC-SA 4.0), attribution (figshare 1512427, "
    "CC BY 4.0), and web collections of unknown licence. ImageNet weights: Apache-2.0."
)


def build_card(
    *,
    version: int,
    backbone: str,
    thresholds: Operating,
    platt: Platt,
    scans: list[Scan],
    validation: Report,
    test: Report,
    test_by_source: dict[str, Report],
) -> Card:
    """Everything worth knowing about a version, ready for `json.dumps`.

    Args:
        version: number of its directory.
        backbone: name of the network.
        thresholds: operating points on P(tumour).
        platt: calibration.
        scans: the whole dataset, all splits.
        validation: figures on the split that calibration was fitted on.
        test: figures on the split that nothing was fitted on.
        test_by_source: the same for each source.
    """
    counts: dict[str, dict[str, int]] = {}
    for scan in scans:
        split = counts.setdefault(scan.split, {})
        name = f"{scan.source}/{scan.label}"
        split[name] = split.get(name, 0) + 1
    return {
        "model": MODEL_NAME,
        "version": version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "intended_use": "Research and teaching on brain MRI slices. Not a medical device.",
        "network": backbone,
        "thresholds": {
            "low": round(thresholds.low, 6),
            "label": round(thresholds.label, 6),
            "high": round(thresholds.high, 6),
        },
        "thresholds_chosen_for": {
            "low": f"risk is low below it: sensitivity of at least {LOW_SENSITIVITY} on validation",
            "label": "label is tumor from it up: largest sensitivity + specificity on validation",
            "high": f"risk is high from it up: specificity of at least {HIGH_SPECIFICITY} on "
            "validation",
        },
        "calibration": {
            "method": "Platt scaling on the validation split, classes of equal weight",
            "slope": round(platt.slope, 6),
            "intercept": round(platt.intercept, 6),
        },
        "out_of_distribution": {
            "method": "probabilistic PCA of channel means and deviations half-way up the network, "
            f"{COMPONENTS} components; a score above 1 is refused",
            "share_of_validation_refused": REFUSED,
        },
        "metrics": {
            "test": test,
            "test_by_source": test_by_source,
            "validation": validation,
            "intervals": "95 %, bootstrapped by group (patient or duplicates)",
        },
        "data": {"sha256": dataset_hash(scans), "counts": counts},
        "limits": list(LIMITS),
        "licence": LICENCE,
        "git_commit": _git_commit(),
        "libraries": {name: library_version(name) for name in ("tensorflow", "keras", "numpy")},
    }


def render_json(card: Card) -> str:
    """The card as JSON text."""
    return json.dumps(card, indent=2) + "\n"


def render_markdown(card: Card) -> str:
    """The card as a page for people."""
    thresholds = card["thresholds"]
    lines = [
        f"# {card['model']}, version {card['version']}",
        "",
        f"{card['intended_use']} Made {card['created']} from commit `{card['git_commit']}`; "
        f"network {card['network']}.",
        "",
        "## Figures",
        "",
        "| scans | n | groups | AUC | accuracy | sensitivity | specificity |",
        "|---|---|---|---|---|---|---|",
        _row("test split", card["metrics"]["test"]),
        *(_row(f"… {name}", r) for name, r in sorted(card["metrics"]["test_by_source"].items())),
        _row("validation split", card["metrics"]["validation"]),
        "",
        f"In brackets: {card['metrics']['intervals']}.",
        "",
        "## Thresholds on P(tumour)",
        "",
        *(
            f"- {name} {thresholds[name]:.3f}: {card['thresholds_chosen_for'][name]}"
            for name in ("low", "label", "high")
        ),
        "",
        "## Calibration and unfamiliar images",
        "",
        f"{card['calibration']['method']}. {card['out_of_distribution']['method']}.",
        "",
        "## Data",
        "",
        f"Dataset hash `{card['data']['sha256']}`.",
        "",
        "| split | source and class | scans |",
        "|---|---|---|",
        *(
            f"| {split} | {name} | {n} |"
            for split, of_split in sorted(card["data"]["counts"].items())
            for name, n in sorted(of_split.items())
        ),
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in card["limits"]),
        "",
        "## Licence",
        "",
        card["licence"],
        "",
        "Libraries: " + ", ".join(f"{k} {v}" for k, v in card["libraries"].items()) + ".",
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, report: Report) -> str:
    figures = (report[metric] for metric in METRICS)
    cells = [name, str(report["n"]), str(report["groups"]), *map(figure_text, figures)]
    return f"| {' | '.join(cells)} |"


def _git_commit() -> str:
    """The commit of the training code, marked when the tree has changes; `unknown` outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()

"""The model card as a page for people, from the card as data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from data.manifest import Split
from training.bootstrap import Figure, figure_text
from training.metrics import PREVALENCES

_COLUMNS: Final = {
    "AUC": "auc",
    "PR-AUC": "pr_auc",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "sensitivity at 90 % specificity": "sensitivity_at_90_specificity",
    "Brier": "brier",
    "ECE": "ece",
}
_BRIEF: Final = ("AUC", "PR-AUC", "sensitivity at 90 % specificity")
_LEFT_OUT: Final = ("AUC", "sensitivity", "specificity", "sensitivity at 90 % specificity")


def render_markdown(card: Mapping[str, Any], *, plots: Mapping[str, str] | None = None) -> str:
    """The card as Markdown.

    Args:
        card: from `training.model_card.build_card`.
        plots: file of each plot, relative to the card, by the section that it belongs to; None for a
            card without pictures.
    """
    shown = plots or {}
    sections = {
        "Figures on the test split": _figures(card),
        "Leave one source out": _leave_one_source_out(card["leave_one_source_out"]),
        "Thresholds": _thresholds(card),
        "Calibration": _calibration(card["calibration"]),
        "Images that are no brain MRI": _refusals(card["out_of_distribution"]),
        "Evidence map": _evidence(card["evidence_map"]),
        "Worst errors": _worst(card["worst_errors"]),
        "Training": _training(card),
        "Data": _data(card["data"]),
        "Limits": [f"- {limit}" for limit in card["limits"]],
        "Licence": [card["licence"]],
    }
    lines = [
        f"# {card['model']}, version {card['version']}",
        "",
        f"{card['intended_use']} Made {card['created']} from commit `{card['git_commit']}`; "
        f"network {card['network']}. In brackets: {card['metrics']['intervals']}.",
    ]
    for title, body in sections.items():
        lines += ["", f"## {title}", "", *body]
        if title in shown:
            lines += ["", f"![{title}]({shown[title]})"]
    return "\n".join(lines) + "\n"


def _figures(card: Mapping[str, Any]) -> list[str]:
    metrics = card["metrics"]
    by_source = metrics["test_by_source"]
    rows = [_row("all", metrics["test"])]
    if without := metrics["test_without_label_issues"]:
        rows.append(_row("all but those that the audit lists as probably mislabelled", without))
    rows += [_row(source, figures) for source, figures in by_source.items()]
    rows.append(_row("mean of sources", metrics["test_mean_of_sources"]))
    rows.append(_row("validation split", metrics["validation"]))
    floor = metrics["shortcut_floor"]
    floor_rows = [_brief("all", floor["test"])]
    floor_rows += [_brief(source, figures) for source, figures in floor["test_by_source"].items()]
    floor_rows.append(_brief("mean of sources", floor["test_mean_of_sources"]))
    values = metrics["test"]
    return [
        *_table(("scans", "n", "groups", *_COLUMNS), rows),
        "",
        f"The shortcut floor, what a model reaches that sees no content ({floor['method']}):",
        "",
        *_table(("scans", *_BRIEF), floor_rows),
        "",
        "What an answer is worth depends on how many of those scanned have a tumour:",
        "",
        *_table(
            ("tumours among those scanned", "PPV", "NPV"),
            [
                (
                    f"{100 * p:g} %",
                    figure_text(values["ppv"][str(p)]),
                    figure_text(values["npv"][str(p)]),
                )
                for p in PREVALENCES
            ],
        ),
    ]


def _leave_one_source_out(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return ["Not measured for this version."]
    lines = [
        "Trained without the source, tested on it; the last column is the shortcut floor, trained the "
        "same way."
    ]
    for title, table in (("Now", found), ("Before", found["before"])):
        if table:
            lines += ["", f"{title}: {table['recipe']}.", "", *_left_out_table(table["rows"])]
    return lines


def _left_out_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [
        (
            row["source"],
            str(row["n"]),
            str(row["groups"]),
            *(figure_text(row["report"][_COLUMNS[name]]) for name in _LEFT_OUT),
            figure_text(row["shortcut"]["auc"]),
        )
        for row in rows
    ]
    return _table(("source left out", "n", "groups", *_LEFT_OUT, "AUC of the floor"), cells)


def _thresholds(card: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            name,
            _cut(card["thresholds"][name], card["thresholds_intervals"][name]),
            card["thresholds_chosen_for"][name],
        )
        for name in ("low", "label", "high")
    ]
    said = [
        (
            f"{risk}, {split}",
            str(row["n"]),
            figure_text(row["share"]),
            figure_text(row["tumor_rate"]),
        )
        for split, of_split in card["decisions"].items()
        for risk, row in of_split["risk"].items()
    ]
    return [
        *_table(("threshold on P(tumour)", "value", "chosen for"), rows),
        "",
        *_table(("risk said", "n", "share of scans", "tumours among them"), said),
    ]


def _cut(value: float, interval: Figure) -> str:
    return figure_text(Figure(value=value, low=interval["low"], high=interval["high"]))


def _calibration(calibration: Mapping[str, Any]) -> list[str]:
    rows = [
        (name, f"{losses['log_loss']:.4f}", f"{losses['brier']:.4f}")
        for name, losses in calibration["cross_validated"].items()
    ]
    return [
        f"Method: {calibration['method']}, fitted on {calibration['fitted_on']}: "
        f"P = sigmoid({calibration['a']:.4g} · ln s - {calibration['b']:.4g} · ln(1 - s) + "
        f"{calibration['c']:.4g}), s = sigmoid(logit). ECE has {calibration['bins_of_ece']}. Losses by "
        "cross-validation that keeps groups whole (isotonic for comparison only):",
        "",
        *_table(("calibrator", "log loss", "Brier"), rows),
    ]


def _refusals(found: Mapping[str, Any]) -> list[str]:
    unknown = found["no_brain_mri"]
    rows = [
        (family, str(row["n"]), str(row["originals"]), figure_text(row["refused"]))
        for family, row in [
            *unknown["families"].items(),
            ("all but those drawn by a program", unknown["not_drawn"]),
            ("all", unknown["all"]),
        ]
    ]
    scans = [
        (f"{source}, test split", figure_text(row["share"]))
        for source, row in found["refused_scans_of_the_test_split"].items()
    ]
    scans += [
        (f"{source}, density fitted without it", figure_text(row))
        for source, row in found["refused_scans_of_a_source_that_the_density_never_saw"].items()
    ]
    left_out = unknown["families_left_out"]
    note = f" Not measured, for want of their package: {', '.join(left_out)}." if left_out else ""
    return [
        f"{found['method'][0].upper()}{found['method'][1:]}.{note}",
        "",
        *_table(("family", "images", "originals", "share refused"), rows),
        "",
        *_table(("brain MRI", "share refused"), scans),
    ]


def _evidence(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return ["Not checked: no outlines of tumours were at hand."]
    return [
        f"On {found['n']} outlined tumour scans of {found['groups']} patients of the test split.",
        "",
        *_table(
            ("", "evidence map", "a point anywhere in the head"),
            [
                _pair("strongest cell in the outline", found, "hit_rate", "chance"),
                _pair("… or within half a cell of it", found, "hit_rate_near", "chance_near"),
                (
                    "evidence inside : outside",
                    figure_text(found["inside_outside_ratio"]),
                    "1",
                ),
                (
                    "a pixel inside has more evidence than one outside",
                    figure_text(found["separation"]),
                    "0.5",
                ),
            ],
        ),
    ]


def _pair(name: str, found: Mapping[str, Figure], value: str, chance: str) -> tuple[str, str, str]:
    return name, figure_text(found[value]), figure_text(found[chance])


def _worst(errors: Sequence[Mapping[str, Any]]) -> list[str]:
    if not errors:
        return ["None on the test split."]
    rows = [
        (
            error["scan"],
            error["label"],
            f"{error['probability']:.3f}",
            error["flag"] or "–",
            "yes" if error["refused"] else "no",
        )
        for error in errors
    ]
    return _table(("scan", "label", "P(tumour)", "doubt about the label", "refused"), rows)


def _training(card: Mapping[str, Any]) -> list[str]:
    libraries = ", ".join(f"{name} {number}" for name, number in card["libraries"].items())
    return ["```sh", *card["reproduce"], "```", "", f"With {libraries}."]


def _data(data: Mapping[str, Any]) -> list[str]:
    counts = data["counts"]
    names = sorted({name for of_split in counts.values() for name in of_split})
    splits = [split for split in Split if split in counts]
    rows = [(name, *(str(counts[split].get(name, 0)) for split in splits)) for name in names]
    return [
        f"Dataset hash `{data['sha256']}`.",
        "",
        *_table(("scans of source and class", *splits), rows),
        "",
        *_table(
            ("source", "what it is", "terms", "learnt from"),
            [
                (name, of["title"], of["licence"], "yes" if of["learnt_from"] else "no")
                for name, of in data["sources"].items()
            ],
        ),
    ]


def _row(name: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (str(figures.get("n", "")), str(figures.get("groups", "")))
    return (name, *counts, *(figure_text(figures[key]) for key in _COLUMNS.values()))


def _brief(name: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, *(figure_text(figures[_COLUMNS[column]]) for column in _BRIEF))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]

"""What a version says to a set of scans: how often low, medium and high, how often it refuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from data.labels import Label
from serving.contract import Risk
from training.bootstrap import Figure, bootstrap, figure, ratio


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """The served answers to N scans.

    Attributes:
        probabilities: float64 `[N]`, P(tumour), 0..1.
        called: bool `[N]`, the label is tumor.
        risks: str `[N]`, a `Risk` each.
        refused: bool `[N]`, `in_distribution` is false.
    """

    probabilities: NDArray[np.float64]
    called: NDArray[np.bool_]
    risks: NDArray[np.str_]
    refused: NDArray[np.bool_]

    @classmethod
    def joined(cls, batches: Sequence[dict[str, np.ndarray]]) -> Self:
        """Join the outputs of `serving_default`, one dictionary a batch, tensors as arrays."""
        parts = {
            name: np.concatenate([batch[name] for batch in batches]) if batches else np.array([])
            for name in ("probability", "label", "risk", "in_distribution")
        }
        return cls(
            probabilities=parts["probability"].astype(np.float64),
            called=parts["label"] == Label.TUMOR.encode(),
            risks=parts["risk"].astype(str),
            refused=~parts["in_distribution"].astype(bool),
        )

    def part(self, where: NDArray[np.int_]) -> Self:
        """The answers to some of the scans."""
        return type(self)(
            probabilities=self.probabilities[where],
            called=self.called[where],
            risks=self.risks[where],
            refused=self.refused[where],
        )


class Said(TypedDict):
    """One answer: to how many scans, to which share, and the share of tumours among them."""

    n: int
    share: Figure
    tumor_rate: Figure


class DecisionsReport(TypedDict):
    """How often each risk is said, and how often the model refuses; refused scans get a risk too."""

    risk: dict[str, Said]
    refused: Said


def decisions_report(
    answers: Decisions, targets: NDArray[np.floating], groups: Sequence[str]
) -> DecisionsReport:
    """Count what was said, with intervals bootstrapped by group.

    Args:
        answers: to N scans.
        targets: `[N]`, 1 for a tumour.
        groups: `[N]`, equal for scans that belong together.
    """
    truth = np.asarray(targets) > 0.5
    said = {str(risk): answers.risks == risk for risk in Risk} | {"refused": answers.refused}

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = {}
        for name, here in said.items():
            scans = weights @ here
            found[f"{name} share"] = ratio(scans, weights.sum(axis=1))
            found[f"{name} tumours"] = ratio(weights @ (here & truth), scans)
        return found

    measured = bootstrap(statistics, groups)
    rows = {
        name: Said(
            n=int(here.sum()),
            share=figure(measured[f"{name} share"]),
            tumor_rate=figure(measured[f"{name} tumours"]),
        )
        for name, here in said.items()
    }
    refused = rows.pop("refused")
    return DecisionsReport(risk=rows, refused=refused)


def decisions_by_source(
    answers: Decisions,
    targets: NDArray[np.floating],
    groups: Sequence[str],
    sources: Sequence[str],
) -> dict[str, DecisionsReport]:
    """A `decisions_report` for each source; `sources` is `[N]`."""
    of_scan = np.asarray(sources, dtype=str)
    reports = {}
    for source in np.unique(of_scan):
        where = np.flatnonzero(of_scan == source)
        members = np.asarray(groups, dtype=str)[where].tolist()
        reports[str(source)] = decisions_report(answers.part(where), targets[where], members)
    return reports

"""How often the model refuses: images that are no brain MRI, and scans of a source that it never saw."""

from collections.abc import Callable, Sequence
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from training.bootstrap import UNDEFINED, Figure, bootstrap, figure, ratio
from training.drawn import DRAWN
from training.familiarity import fit_density
from training.unfamiliar import Unfamiliar, missing_families

#: Images a call.
_BATCH: Final = 32


class Refusals(TypedDict):
    """A share of images refused; `originals` counts those that are not views of one another.

    `on_decoding` of the `n` were refused before the model, as blank or damaged.
    """

    n: int
    originals: int
    on_decoding: int
    refused: Figure


class RefusalReport(TypedDict):
    """Refusals of images that are no brain MRI, over all, over those not drawn, and by family."""

    all: Refusals
    not_drawn: Refusals
    families: dict[str, Refusals]
    families_left_out: list[str]


def measure_refusals(
    refuses: Callable[[NDArray[np.uint8]], NDArray[np.bool_]], images: Sequence[Unfamiliar]
) -> RefusalReport:
    """Show images that are no brain MRI to a model.

    Args:
        refuses: uint8 `[N, 224, 224, 3]` → bool `[N]`.
        images: from `training.unfamiliar.unfamiliar`.
    """
    refused = np.ones(len(images), bool)
    shown = [i for i, one in enumerate(images) if one.image is not None]
    for start in range(0, len(shown), _BATCH):
        batch = shown[start : start + _BATCH]
        refused[batch] = refuses(np.stack([images[i].image for i in batch]))  # type: ignore[misc]
    of_family: dict[str, list[int]] = {}
    for i, one in enumerate(images):
        of_family.setdefault(one.family, []).append(i)
    return RefusalReport(
        all=_refusals(images, refused, range(len(images))),
        not_drawn=_refusals(
            images, refused, [i for i, one in enumerate(images) if one.family not in DRAWN]
        ),
        families={family: _refusals(images, refused, which) for family, which in of_family.items()},
        families_left_out=missing_families(),
    )


def unseen_source_refusals(
    features: NDArray[np.floating],
    sources: NDArray[np.str_],
    weights: NDArray[np.floating],
    validation_features: NDArray[np.floating],
    validation_sources: NDArray[np.str_],
    validation_weights: NDArray[np.floating],
    groups: Sequence[str],
    *,
    seed: int,
) -> dict[str, Figure]:
    """Fit the density without a source, and count how many of its training scans it then refuses.

    The network itself has learnt from that source, so this is a floor of what happens to a new one.

    Args:
        features: `[N, C]`, appearance of the training split.
        sources: `[N]`.
        weights: `[N]`, balancing classes and sources.
        validation_features: `[M, C]`.
        validation_sources: `[M]`.
        validation_weights: `[M]`.
        groups: `[N]`.
        seed: of the density's draw.

    Returns:
        The share refused, by source; empty where there is only one.
    """
    found = {}
    for source in np.unique(sources) if len(np.unique(sources)) > 1 else ():
        here, there = sources == source, validation_sources == source
        if there.all():
            continue
        density = fit_density(
            features[~here],
            weights[~here],
            validation_features[~there],
            validation_weights[~there],
            seed=seed,
        )
        members = np.asarray(groups, dtype=str)[here].tolist()
        found[str(source)] = _share(density.score(features[here]) > 1, members)
    return found


def _refusals(
    images: Sequence[Unfamiliar], refused: NDArray[np.bool_], which: Sequence[int]
) -> Refusals:
    if not which:
        return Refusals(n=0, originals=0, on_decoding=0, refused=UNDEFINED)
    names = [f"{images[i].family} {images[i].original}" for i in which]
    return Refusals(
        n=len(names),
        originals=len(set(names)),
        on_decoding=sum(images[i].image is None for i in which),
        refused=_share(refused[list(which)], names),
    )


def _share(refused: NDArray[np.bool_], groups: Sequence[str]) -> Figure:
    measured = bootstrap(lambda w: {"share": ratio(w @ refused, w.sum(axis=1))}, groups)
    return figure(measured["share"])

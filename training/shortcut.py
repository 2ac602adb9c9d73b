"""The shortcut floor: how far a model gets that sees no content.

In public collections the class can be told from the source, and the source from the border, the
brightness and the sharpness of a picture. A gradient booster on such statistics alone, of pixels as
the network gets them (letterboxed, so that format and file size are gone), shows how much of a
network's figure needs no brain. A figure near this floor is worth nothing.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from training.scans import ScanSet

#: Grey level up to which a pixel counts as black: air, or padding after JPEG.
BLACK: Final = 12
#: Side of the bands at the edges, in pixels of 224.
EDGE: Final = 16
_QUANTILES: Final = np.linspace(0.05, 1.0, 20)
_BATCH: Final = 256


def shortcut_scores(train: ScanSet, test: ScanSet, *, seed: int = 0) -> NDArray[np.float64]:
    """Learn the class from `border_statistics` of one set, and predict another.

    Classes and sources count alike (`ScanSet.weights`), as in the training of the network.

    Args:
        train: what to learn from; both classes occur.
        test: what to predict.
        seed: of the booster.

    Returns:
        `[len(test)]`, P(tumour), 0..1, uncalibrated.
    """
    booster = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.06, min_samples_leaf=20, random_state=seed
    )
    of_train, of_test = statistics_of(train), statistics_of(test)
    # Its threads wait in busy loops: beside another program they take minutes for what one does in seconds.
    with threadpool_limits(1, user_api="openmp"):
        booster.fit(of_train, train.targets > 0.5, sample_weight=train.weights())
        return booster.predict_proba(of_test)[:, 1]


def statistics_of(scans: ScanSet) -> NDArray[np.float32]:
    """`border_statistics` of a whole set, read in batches: `[N, F]`."""
    parts = [border_statistics(scans.images(which)) for which in scans.batches(_BATCH)]
    return np.concatenate(parts)


def border_statistics(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What is left of a picture without its content.

    Share of black and mean grey of each edge band, width of the black margins, quantiles of the grey
    levels, colourfulness (mean difference of the channels), sharpness (mean absolute Laplacian) and its
    ratio to the contrast. Nothing tells where in the middle anything lies.

    Args:
        images: uint8 `[N, 224, 224, 3]`, RGB.

    Returns:
        float32 `[N, F]`.
    """
    grey = images.astype(np.float32).mean(axis=3)
    black = grey <= BLACK
    bands = [np.s_[:, :EDGE], np.s_[:, -EDGE:], np.s_[:, :, :EDGE], np.s_[:, :, -EDGE:]]
    by_band = [part[band].mean(axis=(1, 2)) for band in bands for part in (grey, black)]
    # First row or column, from each side, that is not all but black.
    lit_rows, lit_columns = (~black).mean(axis=2) > 0.05, (~black).mean(axis=1) > 0.05
    margins = [lit[:, ::step].argmax(axis=1) for lit in (lit_rows, lit_columns) for step in (1, -1)]
    # Every fourth pixel says as much, in a quarter of the time.
    quantiles = np.quantile(grey[:, ::2, ::2].reshape(len(grey), -1), _QUANTILES, axis=1)
    channels = images.astype(np.int16)
    colour = (channels.max(axis=3) - channels.min(axis=3)).mean(axis=(1, 2))
    laplacian = (
        4 * grey[:, 1:-1, 1:-1]
        - grey[:, :-2, 1:-1]
        - grey[:, 2:, 1:-1]
        - grey[:, 1:-1, :-2]
        - grey[:, 1:-1, 2:]
    )
    sharpness = np.abs(laplacian).mean(axis=(1, 2))
    contrast = grey.std(axis=(1, 2))
    columns = [
        *by_band,
        *margins,
        black.mean(axis=(1, 2)),
        *quantiles,
        colour,
        sharpness,
        sharpness / (contrast + 1.0),
    ]
    return np.stack(columns, axis=1).astype(np.float32)

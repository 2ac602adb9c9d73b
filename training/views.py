"""Batches for `Model.fit`: every scan once, or random draws balanced over classes and sources."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.alterations import Alterations
from training.scans import TEMPERING, ScanSet

#: Images, outlines, whether these are known; targets; weights.
Batch = tuple[tuple[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any], NDArray[Any]]


class Views(keras.utils.PyDataset):
    """Every scan of a set once, in order, weighted by class and source.

    Each batch is, for `training.network.taught_by_outlines`, uint8 `[B, 224, 224, 3]` images, uint8
    `[B, 224, 224, 1]` outlines (255 where a tumour is) and float32 `[B, 1]`, 1 where the outline is
    known; then float32 `[B, 1]` targets and float32 `[B]` weights. The last one is filled up with scans
    of weight 0. Here, where nothing is learnt, no outline is known.
    """

    def __init__(self, scans: ScanSet, *, batch_size: int) -> None:
        super().__init__()
        self._scans, self._batch_size = scans, batch_size
        self._order = np.arange(len(scans))
        self._targets = scans.targets[:, None]
        self._weights = scans.weights(tempering=TEMPERING).astype(np.float32)

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, batch: int) -> Batch:
        which = self._order[batch * self._batch_size :][: self._batch_size]
        missing = self._batch_size - len(which)
        # Devices that share a batch need it whole: what fills up the last one weighs nothing.
        which = np.pad(which, (0, missing), mode="edge")
        weights = self._weights[which]
        weights[self._batch_size - missing :] = 0.0
        return self._inputs(batch, which), self._targets[which], weights

    def _inputs(
        self, batch: int, which: NDArray[np.int_]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        images = self._scans.images(which)
        return images, np.zeros_like(images[..., :1]), np.zeros((len(which), 1), np.float32)


class RandomViews(Views):
    """Random draws with replacement, altered (see `training.alterations`).

    All depends on the seed and the epoch alone, so that a resumed run sees what an unbroken one would
    have seen.
    """

    def __init__(
        self,
        scans: ScanSet,
        *,
        batch_size: int,
        draws: int,
        alterations: Alterations,
        seed: int,
    ) -> None:
        """Wrap a set.

        Args:
            scans: what to draw from.
            batch_size: scans a batch.
            draws: scans an epoch.
            alterations: of what is drawn, and the chances of each scan to be drawn.
            seed: of the draws.
        """
        super().__init__(scans, batch_size=batch_size)
        self._draws, self._seed, self._epoch = draws, seed, 0
        self._weights = np.ones(len(scans), np.float32)
        self._alterations = alterations
        self.draw(epoch=0)

    def draw(self, epoch: int) -> None:
        """Choose the scans of an epoch."""
        self._epoch = epoch
        generator = np.random.default_rng([self._seed, epoch])
        self._order = generator.choice(
            len(self._scans), size=self._draws, p=self._alterations.chances
        )

    def _inputs(
        self, batch: int, which: NDArray[np.int_]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        images, outlines, outlined = super()._inputs(batch, which)
        generator = np.random.default_rng([self._seed, self._epoch, batch])
        for i, scan in enumerate(which):
            view = self._alterations.view(scan, images[i], generator)
            images[i] = view.pixels
            if view.outline is not None:
                outlines[i, ..., 0] = view.outline * np.uint8(255)
                outlined[i] = 1.0
        return images, outlines, outlined

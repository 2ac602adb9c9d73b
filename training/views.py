"""Batches for `Model.fit`: every scan once, or random draws balanced over classes and sources."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.scans import TEMPERING, ScanSet
from training.transplant import Transplants


class Views(keras.utils.PyDataset):
    """Every scan of a set once, in order, weighted by class and source.

    Each batch is uint8 `[B, 224, 224, 3]`, float32 `[B, 1]` targets and float32 `[B]` weights; the last
    one is filled up with scans of weight 0.
    """

    def __init__(self, scans: ScanSet, *, batch_size: int) -> None:
        super().__init__()
        self._scans, self._batch_size = scans, batch_size
        self._order = np.arange(len(scans))
        self._targets = scans.targets[:, None]
        self._weights = scans.weights(tempering=TEMPERING).astype(np.float32)

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, batch: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        which = self._order[batch * self._batch_size :][: self._batch_size]
        missing = self._batch_size - len(which)
        # Devices that share a batch need it whole: what fills up the last one weighs nothing.
        which = np.pad(which, (0, missing), mode="edge")
        weights = self._weights[which]
        weights[self._batch_size - missing :] = 0.0
        return self._scans.images(which), self._targets[which], weights


class RandomViews(Views):
    """Random draws with replacement.

    Some draws are replaced by a transplant of the same class. All depends on the seed and the epoch
    alone, so that a resumed run sees what an unbroken one would have seen.
    """

    def __init__(
        self,
        scans: ScanSet,
        *,
        batch_size: int,
        draws: int,
        chances: NDArray[np.float64],
        transplants: float,
        seed: int,
    ) -> None:
        """Wrap a set.

        Args:
            scans: what to draw from.
            batch_size: scans a batch.
            draws: scans an epoch.
            chances: `[N]`, of each scan to be drawn, up to a factor.
            transplants: share of the draws to replace, 0..1; ignored where no scan has a mask.
            seed: of the draws.
        """
        super().__init__(scans, batch_size=batch_size)
        self._draws, self._seed, self._epoch = draws, seed, 0
        self._chances = chances / chances.sum()
        self._weights = np.ones(len(scans), np.float32)
        self._transplants = Transplants(scans) if transplants else None
        self._share = transplants
        self.draw(epoch=0)

    def draw(self, epoch: int) -> None:
        """Choose the scans of an epoch."""
        self._epoch = epoch
        generator = np.random.default_rng([self._seed, epoch])
        self._order = generator.choice(len(self._scans), size=self._draws, p=self._chances)

    def __getitem__(self, batch: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        images, targets, weights = super().__getitem__(batch)
        if self._transplants:
            generator = np.random.default_rng([self._seed, self._epoch, batch])
            for i in np.flatnonzero(generator.random(len(images)) < self._share):
                made = self._transplants.draw(tumour=targets[i, 0] > 0.5, generator=generator)
                if made is not None:
                    images[i] = made
        return images, targets, weights

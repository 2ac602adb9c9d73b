"""The prepared dataset as the network takes it: a memory-mapped array and weighted draws from it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from data.labels import Label
from data.manifest import Scan, Split, dataset_hash, read_manifest
from serving.contract import IMAGE_SHAPE

#: Labels that are probably wrong or not decidable from the slice: left out of training and of the
#: choice of thresholds, kept in the test split, whose figures they may only make worse.
DOUBTFUL: Final = ("next_to_tumor", "small_mask", "ct_suspect", "lesion_suspect")
#: A source counts by the root of its size: large ones teach more, but do not drown the others.
TEMPERING: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class ScanSet:
    """Scans and their pixels.

    Attributes:
        scans: rows of the manifest.
        packed: uint8 `[M, 224, 224, 3]`, RGB: the whole dataset, memory-mapped.
        rows: int `[N]`: where in `packed` the scans are.
    """

    scans: list[Scan]
    packed: NDArray[np.uint8]
    rows: NDArray[np.int_]

    def __len__(self) -> int:
        return len(self.scans)

    def images(self, which: NDArray[np.int_]) -> NDArray[np.uint8]:
        """Pixels of some scans, uint8 `[n, 224, 224, 3]`, read from disk now."""
        return self.packed[self.rows[which]]

    @property
    def targets(self) -> NDArray[np.float32]:
        """float32 `[N]`: 1 for a tumour, 0 for none."""
        return np.array([scan.label == Label.TUMOR for scan in self.scans], dtype=np.float32)

    def weights(self, *, tempering: float = 1.0) -> NDArray[np.float64]:
        """Weights that give both classes the same total and balance the sources within a class.

        Args:
            tempering: 1 gives every source of a class the same total; 0 gives every scan the same
                weight, so that large sources dominate; 0.5 weighs a source by the root of its size.

        Returns:
            float64 `[N]`, mean 1.
        """
        strata = [(scan.label, scan.source) for scan in self.scans]
        sizes = {stratum: strata.count(stratum) for stratum in set(strata)}
        mass = {stratum: size ** (1.0 - tempering) for stratum, size in sizes.items()}
        of_class = {
            label: sum(m for (other, _), m in mass.items() if other == label) for label in Label
        }
        weights = np.array([mass[s] / of_class[s[0]] / sizes[s] for s in strata])
        return weights * len(weights) / weights.sum()


def doubtful(scan: Scan) -> bool:
    """Whether a scan's label is too uncertain to learn from."""
    return any(flag in DOUBTFUL for flag in scan.flag.split(";"))


def load_split(dataset: Path, split: Split, *, keep_doubtful: bool) -> ScanSet:
    """Map one split of a prepared dataset, packing its pixels beside it the first time.

    Args:
        dataset: folder written by `python -m data prepare`.
        split: which part.
        keep_doubtful: false leaves out scans whose `flag` makes their label doubtful.
    """
    everything = read_manifest(dataset)
    pixels = _packed(dataset, everything)
    chosen = [
        i
        for i, scan in enumerate(everything)
        if scan.split == split and (keep_doubtful or not doubtful(scan))
    ]
    return ScanSet(scans=[everything[i] for i in chosen], packed=pixels, rows=np.array(chosen, int))


def _packed(dataset: Path, scans: list[Scan]) -> NDArray[np.uint8]:
    """All pixels of a dataset as one array on disk, named by the dataset's hash."""
    path = dataset / f"pixels-{dataset_hash(scans)[:16]}.npy"
    if not path.exists():
        partial = path.with_suffix(".partial")
        packed = np.lib.format.open_memmap(
            partial, mode="w+", dtype=np.uint8, shape=(len(scans), *IMAGE_SHAPE)
        )
        for i, scan in enumerate(track(scans, f"Packing {len(scans)} scans, once")):
            with Image.open(dataset / scan.path) as image:
                packed[i] = np.asarray(image)
        packed.flush()
        partial.rename(path)
    return np.load(path, mmap_mode="r")


class Views(keras.utils.PyDataset):
    """Batches for `Model.fit`: in training random draws by weight, otherwise every scan once.

    Each batch is uint8 `[B, 224, 224, 3]`, float32 `[B, 1]` targets and float32 `[B]` weights. The draw of
    an epoch depends on the seed and the epoch alone, so that a resumed run sees what an unbroken one
    would have seen.
    """

    def __init__(
        self, scans: ScanSet, *, batch_size: int, draws: int | None = None, seed: int = 0
    ) -> None:
        """Wrap a set.

        Args:
            scans: what to draw from.
            batch_size: scans a batch.
            draws: scans an epoch, drawn with replacement, both classes alike and sources tempered by
                the root of their size; None for every scan once, in order, weighted instead.
            seed: of the draws.
        """
        super().__init__(workers=1)
        self._scans, self._batch_size, self._draws, self._seed = scans, batch_size, draws, seed
        self._order = np.arange(len(scans))
        self._targets = scans.targets[:, None]
        self._weights = np.ones(len(scans), np.float32)
        if draws is None:
            self._weights = scans.weights(tempering=TEMPERING).astype(np.float32)
        else:
            self.draw(epoch=0)

    def draw(self, epoch: int) -> None:
        """Choose the scans of an epoch."""
        chances = self._scans.weights(tempering=TEMPERING)
        generator = np.random.default_rng([self._seed, epoch])
        self._order = generator.choice(
            len(self._scans), size=self._draws, p=chances / chances.sum()
        )

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, batch: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        which = self._order[batch * self._batch_size :][: self._batch_size]
        return self._scans.images(which), self._targets[which], self._weights[which]

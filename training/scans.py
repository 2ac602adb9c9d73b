"""The prepared dataset as the network takes it: a memory-mapped array, weights, masks."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from data.grouping import together
from data.label_issues import read_label_issues
from data.labels import Label
from data.manifest import MASKS, DatasetError, Scan, Split, read_manifest, rows_hash
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
        folder: the dataset's.
    """

    scans: list[Scan]
    packed: NDArray[np.uint8]
    rows: NDArray[np.int_]
    folder: Path

    def __len__(self) -> int:
        return len(self.scans)

    def images(self, which: NDArray[np.int_]) -> NDArray[np.uint8]:
        """Pixels of some scans, uint8 `[n, 224, 224, 3]`, read from disk now."""
        return self.packed[self.rows[which]]

    def batches(self, size: int) -> list[NDArray[np.int_]]:
        """The numbers of all scans in order, in parts of `size` at most that differ by one at most."""
        return np.array_split(np.arange(len(self)), -(-len(self) // size))

    def mask_file(self, scan: int) -> Path | None:
        """Where the outline of a scan's tumour is, an image of 0 and 255, if it is known."""
        path = self.folder / MASKS / self.scans[scan].path
        return path if path.exists() else None

    @property
    def groups(self) -> list[str]:
        """`[N]`, equal for scans that belong together."""
        return [scan.group for scan in self.scans]

    @property
    def sources(self) -> list[str]:
        """`[N]`, where each scan comes from."""
        return [scan.source for scan in self.scans]

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


def read_outline(path: Path) -> NDArray[np.bool_]:
    """An outline written by `python -m data prepare`, bool `[224, 224]`."""
    with Image.open(path) as outline:
        return np.asarray(outline) > 127


def doubtful(scan: Scan) -> bool:
    """Whether a scan's label is too uncertain to learn from."""
    return any(flag in DOUBTFUL for flag in scan.flag.split(";"))


def load_split(
    dataset: Path,
    *splits: Split,
    keep_doubtful: bool,
    without: Collection[str] = (),
    only: Collection[str] = (),
) -> ScanSet:
    """Map parts of a prepared dataset, packing its pixels beside it the first time.

    Args:
        dataset: folder written by `python -m data prepare`.
        splits: which parts.
        keep_doubtful: false leaves out scans whose `flag` makes their label doubtful, and those that
            `python -m training audit` listed.
        without: sources to leave out, and with them every scan of another source that groups and
            patients link to one of theirs: it shows the same picture or the same person.
        only: the sources to take; none for all.

    Raises:
        DatasetError: a source in `without` or `only` is not in the dataset, or nothing is left.
    """
    everything = read_manifest(dataset)
    unknown = {*without, *only} - {scan.source for scan in everything}
    if unknown:
        raise DatasetError(f"{dataset} has no source called {', '.join(sorted(unknown))}.")
    issues = set() if keep_doubtful else read_label_issues(dataset)
    linked = together(everything)
    tainted = {
        link for link, scan in zip(linked, everything, strict=True) if scan.source in without
    }
    chosen = [
        i
        for i, scan in enumerate(everything)
        if scan.split in splits
        and (keep_doubtful or not doubtful(scan))
        and scan.path not in issues
        and linked[i] not in tainted
        and (not only or scan.source in only)
    ]
    if not chosen:
        raise DatasetError(f"{dataset} holds no such scans in {', '.join(splits)}.")
    return ScanSet(
        scans=[everything[i] for i in chosen],
        packed=_packed(dataset, everything),
        rows=np.array(chosen, int),
        folder=dataset,
    )


def _packed(dataset: Path, scans: list[Scan]) -> NDArray[np.uint8]:
    """All pixels of a dataset as one array on disk, named by the order of its files."""
    path = dataset / f"pixels-{rows_hash(scans)[:16]}.npy"
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

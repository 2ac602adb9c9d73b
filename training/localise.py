"""Does the evidence map point at the tumour? Checked on scans whose tumour somebody has outlined.

    python -m training localise --model models/brain_tumor/1 --source SCANS

SCANS is a folder with a `manifest.csv` whose column `path` names scans, below the folder or its `scans/`,
and whose column `mask` names, below the folder, images that are white where the tumour is. Other columns
of a SOURCE's manifest may be missing: a scan with an outline shows a tumour unless `label` denies it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

import numpy as np
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.metrics import roc_auc_score

from data.imaging import IMAGE_SIZE, letterbox, prepare_scan, read_scan
from data.labels import Label
from data.manifest import MANIFEST
from data.prepare import file_hash
from data.sources import read_rows, stated_label
from serving.contract import EXPLAIN
from training.bootstrap import Figure, bootstrap, figure, figure_text, ratio
from training.errors import EvaluationError
from training.evaluate import check_version, write_json
from training.settings import LocaliseSettings

#: Grey level above which a pixel belongs to the head, not to the air around it.
AIR: Final = 25
#: Smaller outlines, in pixels of the original, are too uncertain.
SMALLEST_MASK: Final = 60

Explain = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Outlined:
    """A scan with a tumour and its outline.

    Attributes:
        file: of the scan.
        mask: file of the outline.
        group: patient, or what else belongs together.
        sha256: of the scan's file.
        split: as the manifest proposes it.
    """

    file: Path
    mask: Path
    group: str
    sha256: str
    split: str


class Localisation(TypedDict):
    """How well evidence maps point at tumours, with 95 % intervals by patient.

    `hit_rate`: share of scans whose strongest cell has its centre in the outline; `hit_rate_near`: in
    the outline or within half a cell of it (pointing game, Zhang et al. 2018). `chance` and
    `chance_near`: the same for a point drawn anywhere in the head. `inside_outside_ratio`: mean
    evidence inside the outline over mean evidence in the rest of the head. `separation`: how often a
    pixel inside has more evidence than one in the rest of the head (AUC over pixels; chance is 0.5).
    """

    n: int
    groups: int
    hit_rate: Figure
    chance: Figure
    hit_rate_near: Figure
    chance_near: Figure
    inside_outside_ratio: Figure
    separation: Figure


def localise(settings: LocaliseSettings, console: Console) -> Localisation:
    """Check the `explain` signature of an exported version.

    Raises:
        EvaluationError: no version there, or no outlined scans.
    """
    check_version(settings.model)
    scans = outlined_scans(settings.source)
    if settings.split != "all":
        scans = [scan for scan in scans if scan.split == settings.split]
    if not scans:
        raise EvaluationError(
            f"{settings.source} has no outlined tumours in the split {settings.split}: "
            "its manifest.csv needs a column `mask`. --split all takes every split."
        )
    served = tf.saved_model.load(str(settings.model)).signatures[EXPLAIN]
    result = measure_localisation(
        lambda images: served(tf.constant(images))["heatmap"].numpy(),
        scans,
        batch_size=settings.batch_size,
    )
    write_json(result, settings.json)
    table = Table("evidence map", "value", "chance", box=box.SIMPLE_HEAD, title=_title(result))
    table.add_row("strongest cell in the outline", *_texts(result, "hit_rate", "chance"))
    table.add_row("… or half a cell from it", *_texts(result, "hit_rate_near", "chance_near"))
    table.add_row("evidence inside : outside", *_texts(result, "inside_outside_ratio"), "1")
    table.add_row("more evidence inside than outside", *_texts(result, "separation"), "0.5")
    console.print(table)
    return result


def outlined_scans(source: Path) -> list[Outlined]:
    """The tumour scans of a SOURCE with an outline of at least `SMALLEST_MASK` pixels.

    Raises:
        EvaluationError: no manifest, or one that names no outlines, or files that are not there.
        DatasetError: the manifest cannot be read.
    """
    path = source / MANIFEST
    if not path.is_file():
        raise EvaluationError(f"{source} holds no {MANIFEST}, which would name the outlines.")
    rows = read_rows(path)
    if not any("mask" in row for row in rows.values()):
        raise EvaluationError(f"{path} has no column `mask`, which would name the outlines.")
    return [
        _outlined(source, name, row)
        for name, row in rows.items()
        if row.get("mask")
        and stated_label(row.get("label", "")) != Label.NO_TUMOR
        and _pixels(row, path) >= SMALLEST_MASK
    ]


def _outlined(source: Path, name: str, row: dict[str, str]) -> Outlined:
    file, mask = _scan_file(source, name), source / row["mask"]
    for needed in (file, mask):
        if not needed.is_file():
            raise EvaluationError(f"{source / MANIFEST} names {needed}, which is not there.")
    return Outlined(
        file=file,
        mask=mask,
        group=row.get("patient") or row.get("group") or name,
        sha256=row.get("sha256") or file_hash(file),
        split=row.get("split", ""),
    )


def _pixels(row: dict[str, str], manifest: Path) -> int:
    """Size of an outline; where it is not stated it counts as large enough."""
    try:
        return int(row.get("mask_px") or SMALLEST_MASK)
    except ValueError:
        raise EvaluationError(
            f"{manifest}: {row['mask']} has {row['mask_px']!r} as `mask_px`, which is no whole number."
        ) from None


def measure_localisation(
    explain: Explain, scans: Sequence[Outlined], *, batch_size: int = 32
) -> Localisation:
    """Compare evidence maps with outlines.

    Args:
        explain: uint8 `[N, 224, 224, 3]` → evidence maps, float32 `[N, h, w]`, 0..1.
        scans: at least one.
        batch_size: scans a call.
    """
    found = np.array(list(_compare(explain, scans, batch_size)))
    scored = ~np.isnan(found).any(axis=1)
    groups = [scan.group for scan, kept in zip(scans, scored, strict=True) if kept]
    columns = dict(zip(_COLUMNS, found[scored].T, strict=True))

    def means(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        total = weights.sum(axis=1)
        return {name: ratio(weights @ column, total) for name, column in columns.items()}

    figures = {name: figure(values) for name, values in bootstrap(means, groups).items()}
    return Localisation(n=len(groups), groups=len(set(groups)), **figures)  # type: ignore[typeddict-item]


_COLUMNS: Final = (
    "hit_rate",
    "chance",
    "hit_rate_near",
    "chance_near",
    "inside_outside_ratio",
    "separation",
)


def _compare(
    explain: Explain, scans: Sequence[Outlined], batch_size: int
) -> Iterator[tuple[float, ...]]:
    """The columns of each scan; NaN where the outline leaves nothing to compare."""
    starts = range(0, len(scans), batch_size)
    for start in track(starts, f"Explaining {len(scans)} scans"):
        batch = scans[start : start + batch_size]
        images = np.stack([prepare_scan(read_scan(scan.file)) for scan in batch])
        for image, heatmap, scan in zip(images, explain(images), batch, strict=True):
            yield compare(image, heatmap, read_mask(scan.mask))


def read_mask(path: Path) -> NDArray[np.bool_]:
    """An outline as bool `[224, 224]`, letterboxed as its scan is."""
    with Image.open(path) as image:
        return letterbox(image.convert("RGB"))[..., 0] >= 128


def compare(
    image: NDArray[np.uint8], heatmap: NDArray[np.floating], mask: NDArray[np.bool_]
) -> tuple[float, ...]:
    """One scan's part of each figure of `Localisation`, in the order in which they are declared.

    Args:
        image: uint8 `[224, 224, 3]`.
        heatmap: float `[h, w]`, 0..1, of the same field of view.
        mask: bool `[224, 224]`.
    """
    head = image.max(axis=2) > AIR
    inside, outside = mask & head, head & ~mask
    if not inside.any() or not outside.any():
        return (np.nan,) * len(_COLUMNS)
    cell = IMAGE_SIZE / np.array(heatmap.shape)
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    near = _grown(mask, int(cell.max() / 2))
    at = int((row + 0.5) * cell[0]), int((column + 0.5) * cell[1])
    smooth = Image.fromarray(np.asarray(heatmap, np.float32)).resize(
        (IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR
    )
    evidence = np.asarray(smooth)
    return (
        float(mask[at]),
        float(inside.sum() / head.sum()),
        float(near[at]),
        float((near & head).sum() / head.sum()),
        float(evidence[inside].mean() / max(evidence[outside].mean(), 1e-6)),
        float(roc_auc_score(inside[head], evidence[head])),
    )


def _grown(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """A mask grown by a square of `pixels` on each side."""
    for axis in (0, 1):
        padding = [(pixels, pixels) if i == axis else (0, 0) for i in (0, 1)]
        windows = sliding_window_view(np.pad(mask, padding), 2 * pixels + 1, axis)
        mask = np.any(windows, axis=-1)
    return mask


def _scan_file(source: Path, path: str) -> Path:
    """Paths of a manifest start at its folder or at its `scans/`."""
    below = source / "scans" / path
    return below if below.is_file() else source / path


def _title(result: Localisation) -> str:
    return f"{result['n']} scans of {result['groups']} patients"


def _texts(result: Localisation, *names: str) -> list[str]:
    return [figure_text(result[name]) for name in names]  # type: ignore[literal-required]

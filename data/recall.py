"""How well near-duplicates are found: against groups that manifests state, and on altered copies."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from cyclopts import Parameter, validators
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from rich.console import Console
from rich.table import Table

from data.content import content_box
from data.duplicates import Appearance, LookAlikes, look_alikes
from data.grouping import Groups, join_near_duplicates
from data.imaging import ScanError, decode_scan, letterbox, read_scan
from data.manifest import DatasetError
from data.progress import shown_on
from data.sources import Found, find_scans

ACROSS: Final = "across sources"
ALL: Final = "all"
#: An alteration: a scan, and a generator for what is drawn at random.
Alter = Callable[[Image.Image, np.random.Generator], Image.Image]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecallSettings:
    """What is measured besides the stated groups, and where the figures go."""

    sample: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 100
    """Scans, drawn at random, of which copies are made by each alteration."""

    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 2024
    """Of the draw, and of where the copies are cropped."""

    json: Path | None = None
    """File to write the same figures to."""


@dataclass(frozen=True, kw_only=True)
class PairCount:
    """Pairs of scans in one group, as stated and as found.

    Attributes:
        scans: number of scans that could be in such pairs.
        stated: pairs that a manifest puts in one group.
        found: pairs that were found to be in one group.
        both: pairs that are in both.
    """

    scans: int
    stated: int
    found: int
    both: int


@dataclass(frozen=True, kw_only=True)
class CopyCount:
    """Altered copies of which the original, or a scan of its group, was found.

    Attributes:
        copies: how many were made.
        correlated: recognised by the correlation of all pairs alone.
        found: recognised by it or by registration.
        astray: copies that were put together with a scan of another group.
    """

    copies: int
    correlated: int
    found: int
    astray: int


@dataclass(frozen=True, kw_only=True)
class Recall:
    """Both measurements: by source, then by alteration."""

    pairs: dict[str, PairCount]
    copies: dict[str, CopyCount]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "pairs": {name: vars(count) for name, count in self.pairs.items()},
            "copies": {name: vars(count) for name, count in self.copies.items()},
        }


def measure(sources: Sequence[Path], settings: RecallSettings, console: Console) -> Recall:
    """Find near-duplicates by their looks alone and compare with what manifests state.

    Only scans whose manifest gives them a group that is a picture count: where the group is the
    patient, most of its pairs show different slices.

    Args:
        sources: folders that hold `yes/` and `no/`, with a `manifest.csv` that states groups.
        settings: how many altered copies to make.
        console: for progress.

    Raises:
        DatasetError: no manifest states groups of pictures.
    """
    progress = shown_on(console)
    found = [one for source in sources for one in find_scans(source)]
    found = [one for one in found if one.group and one.group != one.patient]
    if not found:
        raise DatasetError(
            "No manifest states which scans show one picture (column `group`, other than `patient`)."
        )
    scans, looks = [], []
    for one in progress(found, "Decoding"):
        try:
            looks.append(Appearance.of(letterbox(decode_scan(read_scan(one.file)))))
        except ScanError:
            continue
        scans.append(one)

    alike = look_alikes(looks, range(len(scans)), [None] * len(scans), progress)
    groups = Groups(len(scans))
    patients = [(one.catalogue, one.patient) if one.patient else None for one in scans]
    join_near_duplicates(groups, alike.pairs, patients)
    pairs = _count_pairs(scans, groups)
    groups.join_equal((one.catalogue, one.group) for one in scans)

    rng = np.random.default_rng(settings.seed)
    order = rng.permutation(len(scans)).tolist()
    originals, copies = [], []
    for k, name in enumerate(progress(ALTERATIONS, "Altering")):
        # Each alteration has other originals, so that copies of one scan do not hide each other.
        for i in range(min(settings.sample, len(scans))):
            original = order[(k * settings.sample + i) % len(order)]
            upright = decode_scan(read_scan(scans[original].file))
            copies.append(Appearance.of(letterbox(ALTERATIONS[name](upright, rng))))
            originals.append((name, original))
    # As two catalogues of people, copies are compared with originals and neither among themselves.
    names = [("originals", str(i)) for i in range(len(looks))]
    names += [("copies", str(i)) for i in range(len(copies))]
    alike = look_alikes(looks + copies, range(len(names)), names, progress)
    return Recall(pairs=pairs, copies=_count_copies(alike, originals, groups.labels()))


def show(recall: Recall, console: Console) -> None:
    """Print both measurements as tables."""
    table = Table(title="Pairs of scans that show one picture, against the manifests' groups")
    for name in ("", "scans", "stated pairs", "found pairs", "precision", "recall"):
        table.add_column(name, justify="right" if name else "left")
    for name, one in recall.pairs.items():
        shares = _share(one.both, one.found), _share(one.both, one.stated)
        table.add_row(name, str(one.scans), str(one.stated), str(one.found), *shares)
    console.print(table)
    table = Table(title="Altered copies whose original was found")
    for name in ("", "n", "by correlation alone", "with registration", "joined to another picture"):
        table.add_column(name, justify="right" if name else "left")
    for name, copy in recall.copies.items():
        shares = _share(copy.correlated, copy.copies), _share(copy.found, copy.copies)
        table.add_row(name, str(copy.copies), *shares, str(copy.astray))
    console.print(table)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _count_pairs(scans: Sequence[Found], groups: Groups) -> dict[str, PairCount]:
    """Pairs within each source, across sources, and all; two ways to be in one group."""
    stated = _pairs([(one.catalogue, one.group) for one in scans])
    found = _pairs(groups.labels())
    sources = [one.source for one in scans]

    def count(name: str) -> PairCount:
        def of(pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
            return {
                (one, other)
                for one, other in pairs
                if name == ALL
                or name == (sources[one] if sources[one] == sources[other] else ACROSS)
            }

        return PairCount(
            scans=len(scans) if name in (ALL, ACROSS) else sources.count(name),
            stated=len(of(stated)),
            found=len(of(found)),
            both=len(of(stated & found)),
        )

    return {name: count(name) for name in (*sorted(set(sources)), ACROSS, ALL)}


def _pairs(keys: Sequence[Any]) -> set[tuple[int, int]]:
    members: dict[Any, list[int]] = defaultdict(list)
    for scan, key in enumerate(keys):
        members[key].append(scan)
    return {pair for scans in members.values() for pair in combinations(scans, 2)}


def _count_copies(
    alike: LookAlikes, originals: Sequence[tuple[str, int]], groups: Sequence[int]
) -> dict[str, CopyCount]:
    """For each alteration; copies follow the originals in the numbering of the pairs."""
    partners: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    for (one, other), registered in zip(alike.pairs.tolist(), alike.registered, strict=True):
        if one < len(groups) <= other:
            partners[other - len(groups)].append((groups[one], not registered))
    counts = {}
    for name in ALTERATIONS:
        copies = [
            (partners[copy], groups[original])
            for copy, (alteration, original) in enumerate(originals)
            if alteration == name
        ]
        counts[name] = CopyCount(
            copies=len(copies),
            correlated=sum((group, True) in found for found, group in copies),
            found=sum(group in {other for other, _ in found} for found, group in copies),
            astray=sum(any(other != group for other, _ in found) for found, group in copies),
        )
    return counts


def _crop(share: float) -> Alter:
    """Cut a share of the head's width and height off, anywhere."""

    def alter(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        left, top, right, bottom = content_box(np.asarray(image.convert("L"), dtype=np.float32))
        width, height = right - left, bottom - top
        x, y = left + rng.uniform(0, share) * width, top + rng.uniform(0, share) * height
        edges = x, y, x + (1 - share) * width, y + (1 - share) * height
        return image.crop(tuple(map(round, edges)))  # type: ignore[arg-type]

    return alter


def _turn(degrees: float) -> Alter:
    return lambda image, _: image.rotate(degrees, Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image, _: np.random.Generator) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


def _gamma(exponent: float) -> Alter:
    return lambda image, _: image.point(
        [round(255 * (v / 255) ** exponent) for v in range(256)] * 3
    )


def _all_at_once(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return _jpeg(_gamma(0.6)(_crop(0.2)(ImageOps.mirror(image), rng), rng), rng)


ALTERATIONS: Final[dict[str, Alter]] = {
    "mirrored": lambda image, _: ImageOps.mirror(image),
    "upside down": lambda image, _: ImageOps.flip(image),
    "quarter turn": lambda image, _: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 5°": _turn(5),
    "turned by 10°": _turn(-10),
    "turned by 20°": _turn(20),
    "cropped by 10 %": _crop(0.1),
    "cropped by 20 %": _crop(0.2),
    "JPEG, quality 30": _jpeg,
    "gamma 0.5": _gamma(0.5),
    "gamma 2": _gamma(2.0),
    "contrast × 0.5": lambda image, _: ImageEnhance.Contrast(image).enhance(0.5),
    "contrast × 1.5": lambda image, _: ImageEnhance.Contrast(image).enhance(1.5),
    "blurred, 1 % of its side": lambda image, _: image.filter(
        ImageFilter.GaussianBlur(max(image.size) / 100)
    ),
    "sharpened": lambda image, _: ImageEnhance.Sharpness(image).enhance(4),
    "negative": lambda image, _: ImageOps.invert(image),
    "mirrored, cropped by 20 %, gamma 0.6, JPEG": _all_at_once,
}

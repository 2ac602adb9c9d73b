"""Tumours moved into tumour-free scans of other sources, so that the source no longer tells the class.

In public collections the scans with a tumour come from elsewhere than those without: a network learns the
scanner. A tumour with a mask, put where it would lie in the head of another scan and fitted to the grey
levels around it, makes a positive scan of every source that has only negative ones (copy and paste as in
Ghiasi et al. 2021, arXiv:2012.07177; for lesions, Dvornik et al. and TumorCP, arXiv:2107.09843).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from training.scans import TEMPERING, ScanSet, read_outline

Grey = NDArray[np.float32]

#: Grey levels (of 255) up to which a pixel is air.
AIR: Final = 20
#: A lesion must differ from what surrounds it by this much (of 255), or nobody could see it.
_VISIBLE: Final = 25.0
#: Share of a transplanted tumour that must lie on tissue.
_INSIDE: Final = 0.9
_SMALLEST: Final = 150
#: Heads seen from another side differ in height to width; this factor tells an axial from a sagittal slice.
_SAME_VIEW: Final = 1.15


class Transplants:
    """Transplants within one set of scans."""

    def __init__(self, scans: ScanSet) -> None:
        """Find what can give and take.

        Args:
            scans: those with a mask give their tumour; those without a tumour, of the sources that
                have masks, give plain tissue; all without a tumour take, sources in balance.
        """
        masks = {i: path for i in range(len(scans)) if (path := scans.mask_file(i))}
        sources = {scans.scans[i].source for i in masks}
        negative = np.flatnonzero(scans.targets < 0.5)
        self._scans = scans
        self._masks = [(i, np.packbits(read_outline(path))) for i, path in masks.items()]
        self._hosts = negative
        chances = scans.weights(tempering=TEMPERING)[negative]
        self._chances = chances / chances.sum() if len(negative) else chances
        self._plain = np.array([i for i in negative if scans.scans[i].source in sources], int)

    def draw(
        self, *, tumour: bool, generator: np.random.Generator, tries: int = 8
    ) -> NDArray[np.uint8] | None:
        """One random transplant.

        Args:
            tumour: true for a tumour in a scan without one; false for tumour-shaped plain tissue in
                such a scan, so that the seam does not give the tumour away.
            generator: of the choice.
            tries: pairs to try before giving up.

        Returns:
            uint8 `[224, 224, 3]`, or None where no pair fits.
        """
        # Without plain tissue to move as well, the seam alone would tell a tumour.
        if not self._masks or not len(self._plain):
            return None
        for _ in range(tries):
            donor, packed = self._masks[generator.integers(len(self._masks))]
            host = generator.choice(self._hosts, p=self._chances)
            if not tumour:
                donor = generator.choice(self._plain)
            giving, taking = self._scans.images(np.array([donor, host]))
            region = np.unpackbits(packed).reshape(giving.shape[:2]).astype(bool)
            made = transplant(giving, region, taking, generator, visible=tumour)
            if made is not None:
                return made
        return None


def transplant(
    donor: NDArray[np.uint8],
    region: NDArray[np.bool_],
    host: NDArray[np.uint8],
    generator: np.random.Generator,
    *,
    visible: bool,
) -> NDArray[np.uint8] | None:
    """Put a region of one scan, usually its tumour, into another.

    The donor's head is stretched over the host's, so that the region keeps its place in the head, then
    moved a little; its grey levels are matched by mean and deviation of the tissue around it.

    Args:
        donor: uint8 `[H, W, 3]`, the scan to take from.
        region: bool `[H, W]`, what to take.
        host: uint8 `[H, W, 3]`, the scan to put it into.
        generator: of mirroring and shift.
        visible: whether the region must stand out against what is around it, as a tumour must.

    Returns:
        uint8 `[H, W, 3]`, grey, or None where the two heads are seen from different sides, or the
        region would lie outside the head or not stand out.
    """
    theirs, mine = _grey(host), _grey(donor)
    left, top, right, bottom = content_box(theirs)
    size = (right - left, bottom - top)
    box = content_box(mine)
    aspects = (size[1] / size[0]) / ((box[3] - box[1]) / (box[2] - box[0]))
    if not 1 / _SAME_VIEW < aspects < _SAME_VIEW:
        return None
    stretched = Image.fromarray(mine).resize(size, Image.Resampling.BILINEAR, box)
    outline = Image.fromarray(region.astype(np.float32)).resize(
        size, Image.Resampling.BILINEAR, box
    )
    tumour, alpha = np.asarray(stretched), np.asarray(outline)
    if generator.random() < 0.5:
        tumour, alpha = tumour[:, ::-1], alpha[:, ::-1]
    shift = generator.uniform(-0.06, 0.06, 2) * (size[1], size[0])
    tumour, alpha = (np.roll(part, shift.astype(int), (0, 1)) for part in (tumour, alpha))

    inside = alpha > 0.5
    around = _dilated(inside) & ~inside
    field = theirs[top:bottom, left:right]
    near, far = around & (tumour > AIR), around & (field > AIR)
    if inside.sum() < _SMALLEST or min(near.sum(), far.sum()) < _SMALLEST // 2:
        return None
    if (field[inside] > AIR).mean() < _INSIDE:
        return None
    scale = np.clip(field[far].std() / (tumour[near].std() + 1.0), 0.6, 1.8)
    fitted = (tumour - tumour[near].mean()) * scale + field[far].mean()
    if visible and abs(fitted[inside].mean() - field[far].mean()) < _VISIBLE:
        return None
    soft = Image.fromarray((inside * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(2.0))
    weight = np.asarray(soft, dtype=np.float32) / 255.0
    grey = theirs.copy()
    grey[top:bottom, left:right] = field + weight * (fitted - field)
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def content_box(grey: Grey) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the head on black; the whole image if there is next to nothing."""
    tissue = grey > AIR
    rows = np.flatnonzero(tissue.mean(axis=1) > 0.03)
    columns = np.flatnonzero(tissue.mean(axis=0) > 0.03)
    height, width = grey.shape
    if min(len(rows), len(columns)) < width // 4:
        return 0, 0, width, height
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _grey(pixels: NDArray[np.uint8]) -> Grey:
    return np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)


def _dilated(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask grown by 6 pixels."""
    grown = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(13))
    return np.asarray(grown) > 0

"""What is done to a drawn scan before it reaches the network, on the CPU and in raw pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.lesions import draw_decoy, draw_lesion
from training.recompress import recompress
from training.reformat import Reformats
from training.scans import ScanSet, read_outline
from training.styles import mix_style

#: JPEG qualities from visible blocks to next to none.
_QUALITIES = (25, 95)
#: Tries to draw a lesion before the scan is left as it is.
_TRIES = 6


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How many of the drawn views are altered how, each 0..1.

    Attributes:
        lesions: of the positives, replaced by a normal scan with a drawn lesion.
        decoys: of the negatives, given what is no tumour.
        styles: of all, given the grey levels of another scan.
        jpeg: of all, compressed.
        reformats: of all, replaced by a cut through a volume; of the hosts of lesions too.
    """

    lesions: float = 0.0
    decoys: float = 0.0
    styles: float = 0.0
    jpeg: float = 0.0
    reformats: float = 0.0


@dataclass(kw_only=True)
class View:
    """A drawn scan on its way to the network.

    Attributes:
        pixels: uint8 `[H, W, 3]`.
        outline: bool `[H, W]`, where the tumour is; None where that is not known.
    """

    pixels: NDArray[np.uint8]
    outline: NDArray[np.bool_] | None


class Alterations:
    """Alterations within one set of scans."""

    def __init__(
        self,
        scans: ScanSet,
        chances: NDArray[np.float64],
        shares: Shares,
        *,
        volumes: ScanSet | None = None,
    ) -> None:
        """Find what can be altered into what.

        Args:
            scans: the training split.
            chances: `[N]`, of each scan to be drawn, up to a factor; normal scans that lesions are drawn
                into are chosen by them too.
            shares: see there.
            volumes: the same split with its doubtful scans, so that its volumes are whole.
        """
        self._scans, self._shares = scans, shares
        self.chances = chances / chances.sum()
        self._is_tumour = scans.targets > 0.5
        self._hosts = np.flatnonzero(~self._is_tumour & (chances > 0))
        self._host_chances = chances[self._hosts] / chances[self._hosts].sum()
        self._outlines = {
            i: np.packbits(read_outline(path))
            for i in range(len(scans))
            if (path := scans.mask_file(i)) is not None
        }
        self._reformats = Reformats(volumes) if volumes and shares.reformats else None

    def view(self, scan: int, pixels: NDArray[np.uint8], generator: np.random.Generator) -> View:
        """Alter one drawn scan; its class stays."""
        tumour = bool(self._is_tumour[scan])
        made = View(pixels=pixels, outline=self._outline(scan, pixels, tumour=tumour))
        chance = generator.random(5)
        cut = None
        if self._reformats and chance[4] < self._shares.reformats:
            cut = self._reformats.draw(tumour=tumour, generator=generator)
        if cut is not None:
            made = View(pixels=cut[0], outline=cut[1])
        elif tumour and chance[0] < self._shares.lesions:
            made = self._with_lesion(generator) or made
        elif not tumour and chance[1] < self._shares.decoys:
            decoy = draw_decoy(pixels, generator)
            if decoy is not None:
                made.pixels = decoy
        if chance[2] < self._shares.styles:
            other = self._scans.images(generator.integers(len(self._scans), size=1))[0]
            made.pixels = mix_style(made.pixels, other, float(generator.uniform(0.3, 1.0)))
        if chance[3] < self._shares.jpeg:
            made.pixels = recompress(made.pixels, int(generator.integers(*_QUALITIES)))
        return made

    def _outline(
        self, scan: int, pixels: NDArray[np.uint8], *, tumour: bool
    ) -> NDArray[np.bool_] | None:
        if not tumour:
            return _nothing(pixels)
        packed = self._outlines.get(scan)
        if packed is None:
            return None
        return np.unpackbits(packed).reshape(pixels.shape[:2]).astype(bool)

    def _host(self, generator: np.random.Generator) -> NDArray[np.uint8]:
        """A normal scan to draw a lesion into."""
        if self._reformats and generator.random() < self._shares.reformats:
            cut = self._reformats.draw(tumour=False, generator=generator)
            if cut is not None:
                return cut[0]
        return self._scans.images(generator.choice(self._hosts, size=1, p=self._host_chances))[0]

    def _with_lesion(self, generator: np.random.Generator) -> View | None:
        if not len(self._hosts):
            return None
        for _ in range(_TRIES):
            drawn = draw_lesion(self._host(generator), generator)
            if drawn is not None:
                return View(pixels=drawn[0], outline=drawn[1])
        return None


def _nothing(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.zeros(pixels.shape[:2], bool)

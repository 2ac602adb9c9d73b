"""Tumours drawn into scans without one, so that a source's own normal scans become its positives.

In public collections the scans with a tumour come from elsewhere than those without, and a network learns
the scanner. A lesion drawn into a normal scan makes two scans that differ by the lesion alone: nothing but
the lesion tells their classes apart, whatever the source. Drawn lesions train tumour detectors nearly as
well as real ones (Hu et al. 2023, arXiv:2303.14869, for the liver; Tan et al. 2020, arXiv:2011.04197).

A drawn lesion is a blob with a ragged edge, brighter or darker than its surroundings, plain, mottled,
ringed or necrotic, soft or sharp, often with a halo (oedema), and it may push the tissue aside. Decoys are
drawn the same way but too small, too faint or too smooth to be a tumour: small spots, as in white-matter
disease, shading as by a coil, and a bulge without a lesion.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.head import AIR, Grey, head_box

#: Radius of a lesion as a share of the head's mean diameter: 5 % is 8 mm in an adult.
_RADII: Final = (0.05, 0.2)
#: Radius of a spot that is no tumour.
_SPOTS: Final = (0.008, 0.02)
#: Difference between a lesion and its surroundings, as a share of these. Low-grade gliomas are faint on T1.
_CONTRASTS: Final = (0.15, 1.2)
#: A lesion must change the scan by this much (of 255) on average, or nobody could see it.
_VISIBLE: Final = 9.0
#: Share of the pixels that are made white before anything is drawn, as the network does later.
_BRIGHTEST: Final = 0.005
#: Share of the head's mean diameter that is skull and scalp.
_RIM: Final = 0.09
#: Share of a lesion that must lie inside the skull.
_INSIDE: Final = 0.75


def draw_lesion(
    pixels: NDArray[np.uint8], generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
    """Draw a lesion into a scan.

    Args:
        pixels: uint8 `[H, W, 3]`, a scan without a tumour.
        generator: of all that is random about it.

    Returns:
        uint8 `[H, W, 3]`, grey, and the lesion's outline, bool `[H, W]`; None where there was no room for
        it, or it would hardly be seen.
    """
    plain = grey = _stretched(pixels)
    place = _place(grey, generator, _RADII)
    if place is None:
        return None
    centre, radius, room = place
    inside = _blob(grey.shape, centre, radius, generator) & (grey > AIR // 2)
    if inside.sum() < 60 or room[inside].mean() < _INSIDE:
        return None
    if generator.random() < 0.5:
        grey = _pushed(grey, centre, radius, float(generator.uniform(0.1, 0.5)))
    if generator.random() < 0.4:
        halo = _blob(grey.shape, centre, radius * generator.uniform(1.3, 2.0), generator) & room
        grey = _blended(grey, halo, _level(grey, halo, generator, 0.5), generator.uniform(1.5, 5.0))
    grey = _filled(grey, inside, radius, generator)
    if np.abs(grey - plain)[inside].mean() < _VISIBLE:
        return None
    return _to_pixels(grey), inside


def draw_decoy(
    pixels: NDArray[np.uint8], generator: np.random.Generator
) -> NDArray[np.uint8] | None:
    """Draw what is no tumour into a scan; arguments and result as of `draw_lesion`, without outline."""
    grey = _stretched(pixels)
    place = _place(grey, generator, _RADII)
    if place is None:
        return None
    centre, radius, _ = place
    kind = generator.integers(3)
    if kind == 0:
        for _ in range(generator.integers(1, 6)):
            spot = _place(grey, generator, _SPOTS)
            if spot is not None:
                inside = _blob(grey.shape, spot[0], spot[1], generator)
                grey = _blended(grey, inside, _level(grey, inside, generator, 1.0), 0.8)
    elif kind == 1:
        shade = _distance(grey.shape, centre) / (radius * generator.uniform(2.0, 4.0))
        amount = generator.choice((-1, 1)) * generator.uniform(0.1, 0.3)
        grey = grey * (1.0 + amount * np.exp(-(shade**2)))
    else:
        grey = _pushed(grey, centre, radius, float(generator.uniform(0.1, 0.5)))
    return _to_pixels(grey)


def _stretched(pixels: NDArray[np.uint8]) -> Grey:
    """Grey levels 0..255 that are used whole: dim scans would hide what is drawn into them."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    rank = int((1.0 - _BRIGHTEST) * grey.size)
    white = max(25.0, float(np.partition(grey, rank, axis=None)[rank]))
    return np.minimum(grey * (255.0 / white), 255.0)


def _place(
    grey: Grey, generator: np.random.Generator, radii: tuple[float, float]
) -> tuple[tuple[float, float], float, NDArray[np.bool_]] | None:
    """A centre `(x, y)`, a radius in pixels, and the room inside the skull."""
    left, top, right, bottom = head_box(grey)
    size = (right - left + bottom - top) / 2
    head = (grey > AIR).astype(np.uint8)
    reach = max(3, int(size * 0.06)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    closed = cv2.morphologyEx(head, cv2.MORPH_CLOSE, kernel)
    depth = cv2.distanceTransform(closed, cv2.DIST_L2, 3)
    room = depth > _RIM * size
    places = np.flatnonzero(room)
    if len(places) < 200:
        return None
    low, high = np.log(radii[0]), np.log(radii[1])
    radius = size * float(np.exp(generator.uniform(low, high)))
    y, x = np.unravel_index(generator.choice(places), grey.shape)
    return (float(x), float(y)), radius, room


def _distance(shape: tuple[int, ...], centre: tuple[float, float]) -> Grey:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.hypot(x - centre[0], y - centre[1])


def _noise(shape: tuple[int, ...], cell: float, generator: np.random.Generator) -> Grey:
    """Smooth noise of deviation 1 whose waves are about `cell` pixels wide."""
    cells = [max(2, round(side / cell) + 1) for side in shape]
    coarse = generator.standard_normal(cells).astype(np.float32)
    fine = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return fine / (fine.std() + 1e-6)


def _blob(
    shape: tuple[int, ...],
    centre: tuple[float, float],
    radius: float,
    generator: np.random.Generator,
) -> NDArray[np.bool_]:
    """An ellipse with a ragged edge."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    angle, stretch = generator.uniform(0, np.pi), np.exp(generator.uniform(-0.35, 0.35))
    along = (np.cos(angle) * (x - centre[0]) + np.sin(angle) * (y - centre[1])) * stretch
    across = (np.cos(angle) * (y - centre[1]) - np.sin(angle) * (x - centre[0])) / stretch
    edge = generator.uniform(0.05, 0.35) * _noise(shape, max(3.0, 0.7 * radius), generator)
    return np.hypot(along, across) / radius + edge < 1.0


def _level(
    grey: Grey, inside: NDArray[np.bool_], generator: np.random.Generator, share: float
) -> float:
    """A grey level that stands out from what is around."""
    around = cv2.dilate(inside.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool) & ~inside
    tissue = around & (grey > AIR)
    base = float(grey[tissue].mean()) if tissue.any() else 80.0
    contrast = share * base * np.exp(generator.uniform(*np.log(_CONTRASTS)))
    brighter = generator.random() < (0.65 if base < 150 else 0.3)
    return float(np.clip(base + contrast if brighter else base - contrast, 3.0, 252.0))


def _filled(
    grey: Grey, inside: NDArray[np.bool_], radius: float, generator: np.random.Generator
) -> Grey:
    """The lesion itself: plain, mottled, ringed or with a core of another level."""
    level = _level(grey, inside, generator, 1.0)
    fill = np.full_like(grey, level)
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    if generator.random() < 0.45:  # a rim that takes up contrast around a core that does not
        rim = radius * generator.uniform(0.15, 0.6)
        core = _level(grey, inside, generator, generator.uniform(0.3, 1.0))
        fill += (core - level) * (
            1.0 / (1.0 + np.exp(-(depth - rim) / generator.uniform(0.5, 2.0)))
        )
    mottle = generator.uniform(0.0, 16.0)
    fill += mottle * _noise(grey.shape, max(2.0, radius * generator.uniform(0.15, 0.6)), generator)
    # What lay there shows through, so that the texture is the scan's own.
    texture = grey - cv2.GaussianBlur(grey, (0, 0), max(1.5, radius / 3))
    fill += generator.uniform(0.2, 1.0) * texture
    opacity = generator.uniform(0.7, 1.0)
    return _blended(grey, inside, fill, generator.uniform(0.5, 2.5), opacity)


def _blended(
    grey: Grey,
    inside: NDArray[np.bool_],
    fill: Grey | float,
    softness: float,
    opacity: float = 1.0,
) -> Grey:
    """Lay `fill` over the scan inside an outline; `softness` is its edge's deviation in pixels."""
    weight = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), softness) * opacity
    return grey + weight * (fill - grey)


def _pushed(grey: Grey, centre: tuple[float, float], radius: float, strength: float) -> Grey:
    """Tissue moved away from a centre, by up to `strength` of the radius at its edge (mass effect)."""
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]].astype(np.float32)
    away = np.hypot(x - centre[0], y - centre[1]) / radius
    pull = 1.0 - strength * away * np.exp(1.0 - away) * 0.5 / np.maximum(away, 0.25)
    map_x = centre[0] + (x - centre[0]) * pull
    map_y = centre[1] + (y - centre[1]) * pull
    moved = cv2.remap(grey, map_x, map_y, cv2.INTER_LINEAR)
    return np.asarray(moved, np.float32)


def _to_pixels(grey: Grey) -> NDArray[np.uint8]:
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1)

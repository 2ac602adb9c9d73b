"""Images that are no brain MRI, to measure how often the model refuses them.

Nothing is downloaded: photographs, microscopy and other modalities come out of the wheels of packages
that ship sample data; documents, drawings, charts, textures, noise and gradients are drawn here from a
seed. A family has few originals, so each is shown in several views (crop, flip, turn, contrast), and
whoever counts must draw whole originals (`Unfamiliar.original`).
"""

import importlib.util
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from data.imaging import ScanError, prepare_scan
from training.drawn import DRAWN

#: Views of a family; each original gets an equal share.
VIEWS: Final = 48


@dataclass(frozen=True, kw_only=True)
class Unfamiliar:
    """One image that is no brain MRI.

    Attributes:
        family: `photo`, `document`, … (`FAMILIES`).
        original: what it is a view of; views of one original are not independent.
        image: uint8 `[224, 224, 3]`, as the model would get it, or None where the decoder already
            refused the file (`data.imaging.ScanError`), which counts as refused.
    """

    family: str
    original: str
    image: NDArray[np.uint8] | None


def unfamiliar(
    *, seed: int = 0, views: int = VIEWS, families: Collection[str] | None = None
) -> Iterator[Unfamiliar]:
    """Yield `views` images of each family that the installed packages allow, repeatably.

    Args:
        seed: of drawings and views.
        views: of each family.
        families: some of `FAMILIES`; None for all.
    """
    for number, (family, make) in enumerate(FAMILIES.items()):
        if not _available(family) or (families is not None and family not in families):
            continue
        generator = np.random.default_rng([seed, number])
        if family in DRAWN:
            for i in range(views):
                yield _made(family, f"{family} {i}", DRAWN[family](generator))
            continue
        originals = make()
        for i in range(views):
            name, image = originals[i % len(originals)]
            yield _made(family, name, image if i < len(originals) else _view(image, generator))


def missing_families() -> list[str]:
    """Families left out because the package with their images is not installed."""
    return [family for family in FAMILIES if not _available(family)]


def _available(family: str) -> bool:
    package = _PACKAGE_OF.get(family)
    return package is None or importlib.util.find_spec(package) is not None


def _made(family: str, original: str, image: Image.Image) -> Unfamiliar:
    encoded = BytesIO()
    image.save(encoded, "PNG", compress_level=1)
    try:
        return Unfamiliar(family=family, original=original, image=prepare_scan(encoded.getvalue()))
    except ScanError:
        return Unfamiliar(family=family, original=original, image=None)


def _view(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """A crop of 50 to 100 % of each side, flipped, turned, with other contrast; one in three grey."""
    image = image.convert("RGB")
    width, height = (round(side * generator.uniform(0.5, 1.0)) for side in image.size)
    left = int(generator.integers(0, image.width - width + 1))
    top = int(generator.integers(0, image.height - height + 1))
    image = image.crop((left, top, left + width, top + height))
    if generator.random() < 0.5:
        image = ImageOps.mirror(image)
    image = image.rotate(90 * int(generator.integers(0, 4)), expand=True)
    image = ImageEnhance.Brightness(image).enhance(generator.uniform(0.7, 1.3))
    image = ImageEnhance.Contrast(image).enhance(generator.uniform(0.7, 1.3))
    return image.convert("L") if generator.random() < 1 / 3 else image


def _skimage_files(*names: str) -> list[tuple[str, Image.Image]]:
    """Files that lie inside scikit-image's wheel."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return [(name, _opened(folder / name)) for name in names]


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _photos() -> list[tuple[str, Image.Image]]:
    from matplotlib import get_data_path
    from sklearn.datasets import load_sample_images

    return [
        *_skimage_files(
            "astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png"
        ),
        *_skimage_files("rocket.jpg", "hubble_deep_field.jpg", "moon.png", "coins.png"),
        *(
            (name, Image.fromarray(photo))
            for name, photo in zip(("china", "flower"), load_sample_images().images, strict=True)
        ),
        ("grace_hopper.jpg", _opened(Path(get_data_path()) / "sample_data" / "grace_hopper.jpg")),
    ]


def _faces() -> list[tuple[str, Image.Image]]:
    """Grey faces of the subset of Labeled Faces in the Wild in scikit-image, 25 pixels wide."""
    import skimage

    faces = np.load(Path(skimage.__file__).parent / "data" / "lfw_subset.npy")[:100]
    levels = (np.clip(faces, 0, 1) * 255).astype(np.uint8)
    return [
        (f"face {i}", Image.fromarray(level).resize((224, 224), Image.Resampling.BICUBIC))
        for i, level in enumerate(levels)
    ]


def _microscopy() -> list[tuple[str, Image.Image]]:
    return _skimage_files("cell.png", "ihc.png", "microaneurysms.png", "retina.jpg")


def _textures() -> list[tuple[str, Image.Image]]:
    return _skimage_files("brick.png", "grass.png", "gravel.png", "chessboard_GRAY.png")


def _printed() -> list[tuple[str, Image.Image]]:
    return _skimage_files("page.png", "text.png", "horse.png", "logo.png")


def _digits() -> list[tuple[str, Image.Image]]:
    """Handwritten digits of 8 × 8 pixels, enlarged."""
    from sklearn.datasets import load_digits

    images = load_digits().images[:VIEWS]
    return [
        (f"digit {i}", Image.fromarray((digit * 15.9).astype(np.uint8)).resize((224, 224)))
        for i, digit in enumerate(images)
    ]


def _dicom(*windows: tuple[str, float, float]) -> list[tuple[str, Image.Image]]:
    """Files inside pydicom's wheel, grey from the `low` to the `high` stored value.

    Colour files are taken as they are.
    """
    from pydicom import dcmread
    from pydicom.data import get_testdata_file

    originals = []
    for name, low, high in windows:
        path = get_testdata_file(name, download=False)
        pixels = dcmread(str(path)).pixel_array
        if pixels.ndim == 2:
            levels = np.clip((pixels - low) / (high - low), 0, 1)
            pixels = (levels * 255).astype(np.uint8)
        originals.append((name, Image.fromarray(pixels)))
    return originals


#: Every family: those drawn here take a generator, the others return named originals.
FAMILIES: Final[dict[str, Callable[..., Any]]] = {
    **DRAWN,
    "digit": _digits,
    "photo": _photos,
    "face": _faces,
    "texture": _textures,
    "printed": _printed,
    "microscopy": _microscopy,
    "ct_head": lambda: _dicom(
        ("693_J2KI.dcm", 1004, 1104),
        ("693_J2KI.dcm", 500, 2500),
        ("J2K_pixelrep_mismatch.dcm", -10, 90),
        ("J2K_pixelrep_mismatch.dcm", -500, 1500),
    ),
    "ct_body": lambda: _dicom(("CT_small.dcm", 900, 1300), ("CT_small.dcm", 128, 2191)),
    "mri_body": lambda: _dicom(("MR_small.dcm", 0, 1400), ("examples_overlay.dcm", 0, 845)),
    "ultrasound": lambda: _dicom(
        ("examples_rgb_color.dcm", 0, 255), ("examples_palette.dcm", 0, 255)
    ),
    "bone_scan": lambda: _dicom(("JPEG2000.dcm", 0, 120)),
}
_PACKAGE_OF: Final = {
    **dict.fromkeys(("photo", "face", "texture", "printed", "microscopy"), "skimage"),
    **dict.fromkeys(("ct_head", "ct_body", "mri_body", "ultrasound", "bone_scan"), "pydicom"),
}

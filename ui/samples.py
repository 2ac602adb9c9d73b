"""The samples that the page offers: cleared scans of `data/samples`, shown by what they are."""

from dataclasses import dataclass
from html import escape
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Final

from PIL import Image

from ui.pictures import data_url

FOLDER: Final = Path(__file__).resolve().parent.parent / "data" / "samples"
THUMBNAIL: Final = 128
#: Every third of a folder: all three kinds of tumour, all sources of normal scans.
STEP: Final = 3

ATTRIBUTION: Final = (
    "Samples. Tumours: Jun Cheng, brain tumor dataset, figshare 1512427, CC BY 4.0. "
    "Normal scans: IXI dataset, CC BY-SA 3.0; Colin 27 and ICBM 2009a, "
    "McConnell Brain Imaging Centre, Montreal Neurological Institute."
)
_PLANES: Final = {"a": "axial", "c": "coronal", "s": "sagittal"}


@dataclass(frozen=True)
class Sample:
    """One scan of the gallery.

    Attributes:
        payload: the whole file.
        caption: what it shows.
    """

    payload: bytes
    caption: str


def load_samples(folder: Path = FOLDER) -> list[Sample]:
    """Tumours and normal scans in turn; empty where the samples are not installed."""
    tumours = sorted((folder / "yes").glob("*.jpg"))[::STEP]
    normals = sorted((folder / "no").glob("*.jpg"))[::STEP]
    pairs = zip(tumours, normals, strict=False)
    return [Sample(path.read_bytes(), _caption(path)) for path in chain.from_iterable(pairs)]


def gallery(samples: list[Sample]) -> str:
    """The samples as buttons; `samples.js` listens to them."""
    buttons = "".join(
        f'<li><button type="button" data-sample="{number}">'
        f'<img src="{_thumbnail(sample.payload)}" alt="" width="{THUMBNAIL}" height="{THUMBNAIL}">'
        f"<span>{escape(sample.caption)}</span></button></li>"
        for number, sample in enumerate(samples)
    )
    return (
        f'<h2>Or try a sample</h2><ul class="gallery">{buttons}</ul>'
        f'<p class="attribution">{escape(ATTRIBUTION)}</p>'
    )


def _caption(path: Path) -> str:
    """`cheng_0721_glioma` is a glioma, `ixi012_a52` a normal axial slice."""
    last = path.stem.rsplit("_", 1)[-1]
    if path.parent.name == "yes":
        return "Pituitary tumour" if last == "pituitary" else last.capitalize()
    return f"Normal, {_PLANES[last[0]]}"


def _thumbnail(payload: bytes) -> str:
    with Image.open(BytesIO(payload)) as image:
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        return data_url(image.convert("RGB"), "WEBP")

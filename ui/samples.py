"""The samples that the page offers: cleared scans of `data/samples`, shown by what they are."""

from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Final

from PIL import Image

from data.planes import Plane
from ui.pictures import data_url

FOLDER: Final = Path(__file__).resolve().parent.parent / "data" / "samples"
THUMBNAIL: Final = 128
#: Every third of a folder: all three kinds of tumour, all sources of normal scans.
STEP: Final = 3

ATTRIBUTION: Final = (
    "Tumours: Jun Cheng, brain tumor dataset, figshare 1512427, CC BY 4.0. "
    "Normal scans: IXI dataset, CC BY-SA 3.0; Colin 27 and ICBM 2009a, "
    "McConnell Brain Imaging Centre, Montreal Neurological Institute."
)
_PLANES: Final = {plane[0]: plane for plane in Plane}


@dataclass(frozen=True)
class Sample:
    """One scan of the gallery.

    Attributes:
        payload: the whole file, a JPEG.
        kind: what it shows, a word the page has a caption for: "glioma", "normal_axial".
        thumbnail: a `data:` address.
    """

    payload: bytes
    kind: str
    thumbnail: str


def load_samples(folder: Path = FOLDER) -> list[Sample]:
    """Tumours and normal scans in turn; empty where the samples are not installed."""
    tumours = sorted((folder / "yes").glob("*.jpg"))[::STEP]
    normals = sorted((folder / "no").glob("*.jpg"))[::STEP]
    pairs = zip(tumours, normals, strict=False)
    return [_sample(path) for path in chain.from_iterable(pairs)]


def _sample(path: Path) -> Sample:
    payload = path.read_bytes()
    return Sample(payload, _kind(path), _thumbnail(payload))


def _kind(path: Path) -> str:
    """`cheng_0721_glioma` is a glioma, `ixi012_a52` a normal axial slice."""
    last = path.stem.rsplit("_", 1)[-1]
    return last if path.parent.name == "yes" else f"normal_{_PLANES[last[0]]}"


def _thumbnail(payload: bytes) -> str:
    with Image.open(BytesIO(payload)) as image:
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        return data_url(image.convert("RGB"), "WEBP")

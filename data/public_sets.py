"""The public collections of scans, and how each becomes folders that `prepare` reads.

`arrange` functions take the unpacked download and yield scans one by one, so that a download by hand is
arranged by the same code.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.imaging import SUFFIXES
from data.labels import LABEL_OF_FOLDER, Label
from data.manifest import DatasetError
from data.terms import Terms, Use

#: A mask under this many pixels is hardly a tumour one can see; next to a tumour it may be one.
_SMALL_MASK: Final = 60
_NEIGHBOURS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Arranged:
    """A scan in its new place.

    Attributes:
        name: of the file, unique in its class.
        label: its class.
        content: the file to copy, or uint8 `[H, W]` to write as PNG.
        group: what shows one person or picture, or empty.
        patient: as the collection names it, or empty.
        sequence: `t1c`, `flair` and the like, or empty.
        flag: doubts about the label, or empty.
        origin: where in the download it comes from.
    """

    name: str
    label: Label
    content: Path | NDArray[np.uint8]
    group: str = ""
    patient: str = ""
    sequence: str = ""
    flag: str = ""
    origin: str

    def write(self, folder: Path) -> Path:
        """Write the scan to a folder and tell where it is."""
        target = folder / self.name
        if isinstance(self.content, Path):
            shutil.copyfile(self.content, target)
        else:
            Image.fromarray(self.content).save(target)
        return target


@dataclass(frozen=True, kw_only=True)
class PublicSet:
    """A public collection.

    Attributes:
        terms: what and whose it is, and what it may be used for.
        page: where one downloads it by hand.
        kaggle: its handle on Kaggle, or empty.
        doi: on figshare, or empty.
        arrange: from the unpacked download to scans.
    """

    terms: Terms
    page: str
    kaggle: str = ""
    doi: str = ""
    arrange: Callable[[Path], Iterator[Arranged]]


def _yes_and_no(download: Path) -> Iterator[Arranged]:
    """Scans of the topmost folders named `yes` and `no`; published archives hold them twice."""
    for word, label in LABEL_OF_FOLDER.items():
        folders = [path for path in download.rglob("*") if path.is_dir() and path.name == word]
        if not folders:
            raise DatasetError(f"{download} holds no folder `{word}`: it is not this collection.")
        folder = min(folders, key=lambda path: (len(path.parts), path))
        for file in _scans(folder):
            yield Arranged(
                name=file.name, label=label, content=file, origin=_inside(file, download)
            )


def _four_classes(download: Path) -> Iterator[Arranged]:
    """`Training/` and `Testing/`, each with a folder a diagnosis."""
    classes = [path for path in sorted(download.rglob("*_tumor")) if path.is_dir()]
    if not classes:
        raise DatasetError(f"{download} holds no folders like `glioma_tumor`.")
    for folder in classes:
        label = Label.NO_TUMOR if folder.name == "no_tumor" else Label.TUMOR
        prefix = f"{folder.parent.name}_{folder.name.removesuffix('_tumor')}".lower()
        for file in _scans(folder):
            yield Arranged(
                name=f"{prefix}_{file.name}",
                label=label,
                content=file,
                origin=_inside(file, download),
            )


def _tcga_lgg(download: Path) -> Iterator[Arranged]:
    """Slices as RGB TIFFs of three sequences, each with a mask; a folder a patient.

    A sequence that a patient lacks repeats FLAIR in the files and is left out.
    """
    folders = sorted({file.parent for file in download.rglob("TCGA_*_mask.tif")})
    if not folders:
        raise DatasetError(f"{download} holds no files like `TCGA_*_mask.tif`.")
    for folder in folders:
        patient = "_".join(folder.name.split("_")[:3])
        areas: dict[int, int] = {}
        for file in folder.glob("*_mask.tif"):
            numbered = re.search(r"_(\d+)_mask$", file.stem)
            if numbered:
                with Image.open(file) as mask:
                    areas[int(numbered[1])] = int(np.count_nonzero(np.asarray(mask.convert("L"))))
        for number, area in sorted(areas.items()):
            file = folder / f"{folder.name}_{number}.tif"
            with Image.open(file) as image:
                channels = np.asarray(image.convert("RGB"))
            near = range(number - _NEIGHBOURS, number + _NEIGHBOURS + 1)
            flag = ""
            if 0 < area < _SMALL_MASK:
                flag = "small_mask"
            elif not area and any(areas.get(other) for other in near):
                flag = "next_to_tumor"
            for channel, sequence in enumerate(("t1", "flair", "t1c")):
                if sequence != "flair" and np.array_equal(channels[..., channel], channels[..., 1]):
                    continue
                yield Arranged(
                    name=f"{patient}_{number:03}_{sequence}.png",
                    label=Label.TUMOR if area else Label.NO_TUMOR,
                    content=np.ascontiguousarray(channels[..., channel]),
                    group=patient,
                    patient=patient,
                    sequence=sequence,
                    flag=flag,
                    origin=_inside(file, download),
                )


def _cheng(download: Path) -> Iterator[Arranged]:
    """MATLAB 7.3 files, one a slice: 16-bit image, diagnosis and patient."""
    import h5py  # comes with Keras, and only this collection needs it

    diagnoses = {1: "meningioma", 2: "glioma", 3: "pituitary"}
    files = sorted(
        (file for file in download.rglob("*.mat") if file.stem.isdigit()),
        key=lambda file: int(file.stem),
    )
    if not files:
        raise DatasetError(
            f"{download} holds no files like `1.mat`; unpack the archives in it too."
        )
    for file in files:
        try:
            with h5py.File(file) as content:
                data = content["cjdata"]
                # MATLAB stores columns first.
                image = np.asarray(data["image"], dtype=np.float64).T
                diagnosis = diagnoses[int(data["label"][0, 0])]
                person = "".join(chr(code) for code in np.asarray(data["PID"]).ravel())
        except (KeyError, OSError) as error:
            raise DatasetError(f"{file} is no slice of this collection: {error}.") from None
        span = max(float(np.ptp(image)), 1.0)
        yield Arranged(
            name=f"cheng_{int(file.stem):04}_{diagnosis}.png",
            label=Label.TUMOR,
            content=np.round((image - image.min()) / span * 255).astype(np.uint8),
            patient=person,
            sequence="t1c",
            origin=_inside(file, download),
        )


def _scans(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.suffix.lower() in SUFFIXES:
            yield file


def _inside(file: Path, download: Path) -> str:
    return file.relative_to(download).as_posix()


_ON_KAGGLE: Final = "https://www.kaggle.com/datasets/"
_NAV, _BR35H, _SARTAJ, _LGG = (
    "navoneel/brain-mri-images-for-brain-tumor-detection",
    "ahmedhamada0/brain-tumor-detection",
    "sartajbhuvaji/brain-tumor-classification-mri",
    "mateuszbuda/lgg-mri-segmentation",
)

_UNCHECKED: Final = "nobody has checked the labels: some 'no tumour' scans show other lesions"

PUBLIC_SETS: Final[dict[str, PublicSet]] = {
    "nav": PublicSet(
        terms=Terms(
            title="Navoneel Chakrabarty, 253 web images",
            licence="unknown: do not redistribute",
            use=Use.UNKNOWN,
            limit=_UNCHECKED,
        ),
        page=_ON_KAGGLE + _NAV,
        kaggle=_NAV,
        arrange=_yes_and_no,
    ),
    "br35h": PublicSet(
        terms=Terms(
            title="Br35H, Ahmed Hamada, 3,000 images, many made from nav's",
            licence="unclear: do not redistribute",
            use=Use.UNKNOWN,
            limit=_UNCHECKED,
        ),
        page=_ON_KAGGLE + _BR35H,
        kaggle=_BR35H,
        arrange=_yes_and_no,
    ),
    "sartaj": PublicSet(
        terms=Terms(
            title="Sartaj Bhuvaji and others, 3,264 images of four classes",
            licence="unclear: do not redistribute",
            use=Use.UNKNOWN,
            limit=_UNCHECKED,
        ),
        page=_ON_KAGGLE + _SARTAJ,
        kaggle=_SARTAJ,
        arrange=_four_classes,
    ),
    "tcga_lgg": PublicSet(
        terms=Terms(
            title="TCGA-LGG slices with masks, Mateusz Buda, 110 patients",
            licence="CC BY-NC-SA 4.0 (originals by The Cancer Imaging Archive, CC BY)",
            use=Use.NON_COMMERCIAL,
            limit="low-grade gliomas; the slices without tumour are of the same patients",
            showable=True,
        ),
        page=_ON_KAGGLE + _LGG,
        kaggle=_LGG,
        arrange=_tcga_lgg,
    ),
    "cheng": PublicSet(
        terms=Terms(
            title="Jun Cheng, brain tumor dataset, 3,064 T1-contrast slices of 233 patients",
            licence="CC BY 4.0",
            use=Use.ATTRIBUTION,
            limit="tumours only: gliomas, meningiomas, pituitary adenomas",
            showable=True,
        ),
        page="https://figshare.com/articles/dataset/brain_tumor_dataset/1512427",
        doi="10.6084/m9.figshare.1512427.v5",
        arrange=_cheng,
    ),
}

"""Public collections, in the form in which they are published, become folders that prepare reads."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
from PIL import Image

from data.__main__ import main
from data.fetch import FetchSettings, fetch
from data.manifest import DatasetError
from data.public_sets import PUBLIC_SETS
from data.sources import find_scans

Unpack = Callable[[Path], None]


def picture(seed: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)


def unpack_nav(folder: Path) -> None:
    """As on Kaggle: both classes, and both again one level below."""
    for place in (folder, folder / "brain_tumor_dataset"):
        for word, names in {"yes": ["Y1.jpg", "Y2.JPG"], "no": ["1 no.jpeg"]}.items():
            (place / word).mkdir(parents=True, exist_ok=True)
            for seed, name in enumerate(names):
                Image.fromarray(picture(seed)).save(place / word / name, "JPEG")


def unpack_sartaj(folder: Path) -> None:
    for split in ("Training", "Testing"):
        for seed, kind in enumerate(("glioma_tumor", "no_tumor", "pituitary_tumor")):
            (folder / split / kind).mkdir(parents=True)
            Image.fromarray(picture(seed)).save(folder / split / kind / "image(1).jpg")


def unpack_tcga_lgg(folder: Path) -> None:
    """Five slices of a patient without T1 before contrast: its channel repeats FLAIR."""
    patient = folder / "lgg-mri-segmentation" / "kaggle_3m" / "TCGA_CS_4941_19960909"
    patient.mkdir(parents=True)
    areas = {1: 0, 2: 0, 3: 0, 4: 30, 5: 200}
    for number, area in areas.items():
        flair = picture(number)
        rgb = np.stack([flair, flair, picture(100 + number)], axis=-1)
        Image.fromarray(rgb).save(patient / f"{patient.name}_{number}.tif")
        mask = np.zeros((64, 64), np.uint8)
        mask.ravel()[:area] = 255
        Image.fromarray(mask).save(patient / f"{patient.name}_{number}_mask.tif")


def unpack_cheng(folder: Path) -> None:
    """MATLAB 7.3 is HDF5, columns first, text as 16-bit codes."""
    folder.mkdir(exist_ok=True)
    for number, (diagnosis, person) in enumerate(((1, "100360"), (3, "MR0402"))):
        levels = picture(number).astype(np.int16) * 7
        levels[0, :] = 0
        levels[0, 1] = 7 * 255
        with h5py.File(folder / f"{number + 1}.mat", "w") as file:
            data = file.create_group("cjdata")
            data["image"] = levels.T
            data["label"] = np.array([[float(diagnosis)]])
            data["PID"] = np.array([[ord(c)] for c in person], np.uint16)
    with h5py.File(folder / "cvind.mat", "w") as file:
        file["cvind"] = np.ones((1, 2))


UNPACK: dict[str, Unpack] = {
    "nav": unpack_nav,
    "br35h": unpack_nav,
    "sartaj": unpack_sartaj,
    "tcga_lgg": unpack_tcga_lgg,
    "cheng": unpack_cheng,
}


@pytest.fixture
def arranged(tmp_path: Path, console) -> Callable[[str], dict[str, dict[str, str]]]:
    def arrange(name: str) -> dict[str, dict[str, str]]:
        UNPACK[name](tmp_path / "unpacked")
        settings = FetchSettings(out=tmp_path / "scans", unpacked=tmp_path / "unpacked")
        (folder,) = fetch([name], settings, console)
        assert folder == tmp_path / "scans" / name
        with (folder / "manifest.csv").open() as file:
            return {row["path"]: row for row in csv.DictReader(file)}

    return arrange


def test_every_collection_becomes_a_source(tmp_path: Path, console) -> None:
    assert UNPACK.keys() == PUBLIC_SETS.keys()
    for name, unpack in UNPACK.items():
        unpack(tmp_path / name)
        fetch([name], FetchSettings(out=tmp_path / "out", unpacked=tmp_path / name), console)
    found = find_scans(tmp_path / "out")
    assert {one.source for one in found} == set(PUBLIC_SETS)
    assert all(one.catalogue for one in found)
    assert "CC BY 4.0" in console.file.getvalue()


def test_doubled_folders_count_once(arranged, tmp_path) -> None:
    assert set(arranged("nav")) == {"yes/Y1.jpg", "yes/Y2.JPG", "no/1 no.jpeg"}
    copy = tmp_path / "scans" / "nav" / "yes" / "Y1.jpg"
    assert copy.read_bytes() == (tmp_path / "unpacked" / "yes" / "Y1.jpg").read_bytes()


def test_four_classes_become_two(arranged) -> None:
    assert set(arranged("sartaj")) == {
        f"{folder}/{split}_{kind}_image(1).jpg"
        for split in ("training", "testing")
        for folder, kind in (("yes", "glioma"), ("yes", "pituitary"), ("no", "no"))
    }


def test_slices_are_labelled_by_their_mask(arranged, tmp_path) -> None:
    rows = arranged("tcga_lgg")
    # Two sequences of five slices: the third would repeat FLAIR.
    assert {path: row["flag"] for path, row in rows.items()} == {
        f"{folder}/TCGA_CS_4941_{number:03}_{sequence}.png": flag
        for number, folder, flag in (
            (1, "no", ""),
            (2, "no", "next_to_tumor"),
            (3, "no", "next_to_tumor"),
            (4, "yes", "small_mask"),
            (5, "yes", ""),
        )
        for sequence in ("flair", "t1c")
    }
    assert {(row["patient"], row["group"]) for row in rows.values()} == {("TCGA_CS_4941",) * 2}
    with Image.open(tmp_path / "scans" / "tcga_lgg" / "yes" / "TCGA_CS_4941_005_t1c.png") as image:
        np.testing.assert_array_equal(np.asarray(image), picture(105))


def test_matlab_slices_become_upright_8_bit_images(arranged, tmp_path) -> None:
    rows = arranged("cheng")
    assert {path: row["patient"] for path, row in rows.items()} == {
        "yes/cheng_0001_meningioma.png": "100360",
        "yes/cheng_0002_pituitary.png": "MR0402",
    }
    expected = picture(0)
    expected[0, :] = 0
    expected[0, 1] = 255
    with Image.open(tmp_path / "scans" / "cheng" / "yes" / "cheng_0001_meningioma.png") as image:
        np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_another_collection_is_told_apart(name: str, tmp_path: Path, console) -> None:
    (tmp_path / "unpacked").mkdir()
    settings = FetchSettings(out=tmp_path / "scans", unpacked=tmp_path / "unpacked")
    with pytest.raises(DatasetError, match="holds no"):
        fetch([name], settings, console)
    assert not (tmp_path / "scans" / name).exists()


def test_what_is_there_is_not_fetched_again(arranged, tmp_path, console) -> None:
    arranged("nav")
    fetch(["nav"], FetchSettings(out=tmp_path / "scans"), console)
    assert "is there already" in console.file.getvalue()


def test_offline_it_says_how_to_get_it_by_hand(tmp_path, capsys, monkeypatch) -> None:
    client = ModuleType("kagglehub")

    def refuse(handle: str) -> str:
        raise ConnectionError(f"no route to {handle}")

    client.dataset_download = refuse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kagglehub", client)
    assert main(["fetch", "nav", "--out", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "nav could not be downloaded (no route to navoneel/" in line
    assert "https://www.kaggle.com/datasets/navoneel/" in line
    assert f"python -m data fetch nav --unpacked FOLDER --out {tmp_path}" in line


def test_a_missing_client_is_named(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert main(["fetch", "cheng", "--out", str(tmp_path)]) == 1
    assert "pooch is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch", "brats", "--out", "x"], "No collection is called 'brats'; known: nav,"),
        (["fetch", "--out", "x", "--unpacked", "."], "name that one"),
        (["fetch", "nav", "--out", "x", "--unpacked", "nowhere"], "nowhere is not a folder"),
    ],
)
def test_mistakes_are_told(arguments, message, capsys) -> None:
    assert main(arguments) == 1
    assert message in capsys.readouterr().err

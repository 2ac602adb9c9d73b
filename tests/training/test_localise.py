"""The pointing game, with maps that point where the test wants."""

import csv
import hashlib

import numpy as np
import pytest
from PIL import Image

from data.manifest import DatasetError
from training.errors import EvaluationError
from training.localise import compare, measure_localisation, outlined_scans, read_mask


def scene(row: int, column: int):
    """A head that fills the left half, a tumour of 32 × 32 pixels, one hot cell of 7 × 7."""
    image = np.zeros((224, 224, 3), np.uint8)
    image[:, :112] = 120
    mask = np.zeros((224, 224), bool)
    mask[64:96, 32:64] = True
    heatmap = np.full((7, 7), 0.1, np.float32)
    heatmap[row, column] = 0.9
    return image, heatmap, mask


def test_a_map_that_points_at_the_tumour_hits():
    hit, chance, near, chance_near, ratio, separation = compare(*scene(2, 1))
    assert (hit, near) == (1.0, 1.0)
    assert chance == pytest.approx(32 * 32 / (224 * 112))
    assert chance_near == pytest.approx(64 * 64 / (224 * 112))
    assert ratio > 3
    assert separation > 0.97


def test_a_map_that_points_beside_the_tumour_is_near_only_within_half_a_cell():
    image, heatmap, mask = scene(2, 1)
    shifted = np.roll(mask, 20, axis=0)  # the cell's centre is now 4 pixels above the tumour
    assert compare(image, heatmap, shifted)[:3:2] == (0.0, 1.0)
    assert compare(*scene(5, 1))[:3:2] == (0.0, 0.0)
    assert compare(*scene(5, 1))[4] < 1
    assert compare(*scene(5, 1))[5] < 0.5


def test_an_outline_outside_the_head_is_left_out():
    image, heatmap, mask = scene(2, 1)
    assert np.isnan(compare(image, heatmap, np.roll(mask, 112, axis=1))).all()


@pytest.fixture
def source(tmp_path, samples):
    """A SOURCE of four outlined tumours of two patients, one outline too small, one normal scan."""
    (tmp_path / "scans" / "yes").mkdir(parents=True)
    (tmp_path / "masks").mkdir()
    rows = []
    for i, path in enumerate(samples["yes"][:5]):
        (tmp_path / "scans" / "yes" / path.name).write_bytes(path.read_bytes())
        with Image.open(path) as scan:
            outline = Image.new("1", scan.size)
            outline.paste(1, (scan.width // 4, scan.height // 4, scan.width // 2, scan.height // 2))
        outline.save(tmp_path / "masks" / f"{i}.png")
        rows.append(
            {
                "path": f"yes/{path.name}",
                "label": "yes",
                "patient": f"patient {i // 2}",
                "split": "test" if i < 4 else "train",
                "mask": f"masks/{i}.png",
                "mask_px": 30 if i == 3 else 5000,
            }
        )
    rows.append({"path": "no/a.png", "label": "no", "patient": "x", "split": "test", "mask_px": 0})
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


def test_outlined_scans_are_tumours_with_an_outline_that_is_not_tiny(source):
    scans = outlined_scans(source)
    assert [scan.split for scan in scans] == ["test", "test", "test", "train"]
    mask = read_mask(scans[0].mask)
    assert mask.shape == (224, 224)
    assert mask.mean() == pytest.approx(1 / 16, abs=0.01)


def test_perfect_maps_hit_always_and_blind_ones_never(source):
    scans = outlined_scans(source)
    maps = np.zeros((7, 7), np.float32)
    maps[2:4, 2:4] = 0.8
    right = measure_localisation(lambda images: np.stack([maps] * len(images)), scans)
    assert (right["n"], right["groups"]) == (4, 3)
    assert right["hit_rate"]["value"] == 1.0
    assert right["inside_outside_ratio"]["value"] > 2
    assert right["chance"]["value"] < 0.3
    wrong = measure_localisation(lambda images: np.stack([maps[::-1, ::-1]] * len(images)), scans)
    assert wrong["hit_rate"]["value"] == 0.0


def test_a_folder_without_outlines_says_so(tmp_path):
    with pytest.raises(EvaluationError, match=r"holds no manifest\.csv"):
        outlined_scans(tmp_path)


def rewritten(source, columns):
    """The manifest with these columns only."""
    with (source / "manifest.csv").open(newline="") as file:
        rows = [{name: row[name] for name in columns} for row in csv.DictReader(file)]
    with (source / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def test_scans_and_outlines_are_all_that_a_manifest_must_name(source):
    known = {scan.file: scan.mask for scan in outlined_scans(source)}
    rewritten(source, ["path", "mask"])
    scans = outlined_scans(source)
    assert known.items() < {scan.file: scan.mask for scan in scans}.items()
    assert len(scans) == 5, "an outline of unknown size counts"
    for scan in scans:
        assert scan.sha256 == hashlib.sha256(scan.file.read_bytes()).hexdigest()
        assert scan.group == f"yes/{scan.file.name}"


def test_a_scan_that_is_said_to_be_normal_has_no_tumour_to_find(source):
    path = source / "manifest.csv"
    path.write_text(path.read_text().replace(",yes,", ",no_tumor,"))
    assert outlined_scans(source) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mask,mask_px", "outline,mask_px", "has no column `mask`"),
        ("path,", "file,", "has no column `path`"),
        ("masks/0.png", "masks/9.png", "masks/9.png, which is not there"),
        ("5000", "large", "'large' as `mask_px`, which is no whole number"),
    ],
)
def test_a_manifest_that_cannot_be_followed_says_why(source, old, new, message):
    path = source / "manifest.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises((EvaluationError, DatasetError), match=message):
        outlined_scans(source)

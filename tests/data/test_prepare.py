"""From a pile of scans to a dataset: nothing leaks, nothing is lost, nothing is half done."""

import csv
import json
import os
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from rich.console import Console

import data.prepare
from data.imaging import prepare_scan
from data.manifest import MASKS, DatasetError, Scan, Split, dataset_hash, read_manifest
from data.prepare import PrepareSettings, prepare
from data.report import crossing, describe


def reasons(out: Path) -> dict[str, str]:
    with (out / "invalid_images" / "reasons.csv").open() as file:
        return {row["origin"]: row["code"] for row in csv.DictReader(file)}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def by_origin(scans: list[Scan]) -> dict[str, Scan]:
    return {scan.origin: scan for scan in scans}


def test_pngs_are_the_prepared_pixels_under_safe_names(pile, run_prepare, tmp_path) -> None:
    (pile / "no" / "colin27_a50.png").rename(pile / "no" / "Ä scan, (1).png")
    shutil.copy(pile / "no" / "mni152_c50.png", pile / "no" / "x.png")
    originals = tree(pile)
    scans = run_prepare(pile)
    assert len(scans) == 8
    assert tree(pile) == originals
    for scan in scans:
        with Image.open(tmp_path / "out" / scan.path) as image:
            pixels = np.asarray(image)
        np.testing.assert_array_equal(pixels, prepare_scan((pile / scan.origin).read_bytes()))
        folder = "yes" if scan.label == "tumor" else "no"
        assert scan.path.startswith(f"{scan.split}/{folder}/pile_")
        assert scan.path.isascii()
        assert " " not in scan.path
    on_disk = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png")}
    assert on_disk == {scan.path for scan in scans}


def test_rejects_of_sources_of_one_name_lie_apart(pile, run_prepare, tmp_path) -> None:
    for i, folder in enumerate(("a", "b", "c-2")):
        source = tmp_path / folder / ("scans-2" if "-2" in folder else "scans")
        (source / "no").mkdir(parents=True)
        (source / "no" / "bad.png").write_bytes(b"no image %d" % i)
    run_prepare(
        pile, tmp_path / "a" / "scans", tmp_path / "b" / "scans", tmp_path / "c-2" / "scans-2"
    )
    rejects = tmp_path / "out" / "invalid_images"
    with (rejects / "reasons.csv").open() as file:
        copies = [row["file"] for row in csv.DictReader(file)]
    assert len(set(copies)) == 3
    contents = [(rejects / copy).read_bytes() for copy in copies]
    assert contents == [b"no image 0", b"no image 1", b"no image 2"]


def test_names_that_are_no_utf_8_are_told_in_writing(pile, run_prepare, tmp_path) -> None:
    def named(name: bytes) -> Path:
        return Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))

    try:
        pile = pile.rename(named(b"h\xe4user"))
    except OSError:
        pytest.skip("this file system has no such names")
    named(b"h\xe4user/no/klinik\xe4").mkdir()
    (pile / "no" / "colin27_a50.png").rename(named(b"h\xe4user/no/klinik\xe4/gr\xf6\xdfe.png"))
    refused = b"na\xefve" * 40 + b".png"
    named(b"h\xe4user/yes/" + refused).write_bytes(b"no image")
    scan = by_origin(run_prepare(pile))[r"no/klinik\xe4/gr\xf6\xdfe.png"]
    assert scan.source == r"klinik\xe4"
    assert scan.path.isascii()
    assert reasons(tmp_path / "out") == {"yes/" + r"na\xefve" * 40 + ".png": "unsupported_format"}
    assert named(b"out/invalid_images/h\xe4user/yes/" + refused).is_file()


def test_copies_share_a_group_and_no_group_crosses_a_split(pile, run_prepare) -> None:
    family = defaultdict(set)
    for path in sorted(pile.rglob("*.png")):
        family[path.stem].add(path.relative_to(pile).as_posix())
        with Image.open(path) as image:
            copies = {
                "mirror.png": ImageOps.mirror(image),
                "turned.jpg": image.rotate(90, expand=True),
                "bright.jpg": ImageEnhance.Brightness(image).enhance(1.3),
                "margin.webp": ImageOps.expand(image, border=30),
            }
        for name, copy in copies.items():
            target = path.with_name(f"{path.stem}_{name}")
            copy.save(target, quality=80)
            family[path.stem].add(target.relative_to(pile).as_posix())
    scans = by_origin(run_prepare(pile, keep_splits=False))
    groups = {name: {scans[origin].group for origin in members} for name, members in family.items()}
    assert all(len(names) == 1 for names in groups.values())
    assert len(set.union(*groups.values())) == 8
    assert crossing(list(scans.values())) == []
    assert {scan.split for scan in scans.values()} == set(Split)


def test_rejects_are_copied_with_their_reason(pile, run_prepare, tmp_path) -> None:
    (pile / "no" / "notes.txt").write_text("not a scan")
    (pile / "no" / "empty.png").touch()
    (pile / "yes" / "sub").mkdir()
    Image.new("L", (8, 8)).save(pile / "yes" / "sub" / "tiny.png")
    whole = (pile / "yes" / "cheng_0015_meningioma.png").read_bytes()
    (pile / "yes" / "half.png").write_bytes(whole[: len(whole) // 2])
    (pile / "yes" / "gone.png").symlink_to(tmp_path / "nowhere")
    assert len(run_prepare(pile)) == 8
    out = tmp_path / "out"
    assert reasons(out) == {
        "no/empty.png": "empty",
        "no/notes.txt": "unsupported_format",
        "yes/gone.png": "unreadable",
        "yes/half.png": "corrupt",
        "yes/sub/tiny.png": "too_small",
    }
    copied = out / "invalid_images" / "pile" / "yes" / "half.png"
    assert copied.read_bytes() == (pile / "yes" / "half.png").read_bytes()
    assert describe(out).rejects == dict.fromkeys(reasons(out).values(), 1)


def test_one_of_identical_copies_stays(pile, run_prepare, tmp_path) -> None:
    shutil.copy(pile / "no" / "mni152_c50.png", pile / "no" / "again.png")
    with Image.open(pile / "no" / "ixi012_a60.png") as image:
        image.save(pile / "no" / "other_bytes.png", compress_level=0)
    scans = run_prepare(pile)
    assert len(scans) == 8
    record = json.loads((tmp_path / "out" / "prepared.json").read_text())
    assert (record["found"], record["duplicates"], record["rejected"]) == (10, 2, 0)
    assert record["dataset"] == dataset_hash(scans)


def test_a_picture_under_both_labels_is_refused_twice(pile, run_prepare, tmp_path) -> None:
    with Image.open(pile / "no" / "mni152_c50.png") as image:
        image.save(pile / "yes" / "same_pixels.png", compress_level=0)
    assert len(run_prepare(pile)) == 7
    assert reasons(tmp_path / "out") == {
        "no/mni152_c50.png": "contradictory_label",
        "yes/same_pixels.png": "contradictory_label",
    }


def test_look_alikes_under_both_labels_are_refused(pile, run_prepare, tmp_path) -> None:
    with Image.open(pile / "no" / "mni152_c50.png") as image:
        ImageOps.mirror(image).save(pile / "yes" / "mirror.png")
        image.rotate(10).save(pile / "no" / "turned.png")
    assert len(run_prepare(pile)) == 7
    assert set(reasons(tmp_path / "out")) == {
        "no/mni152_c50.png",
        "no/turned.png",
        "yes/mirror.png",
    }
    record = json.loads((tmp_path / "out" / "prepared.json").read_text())
    assert (record["contradictions"], record["rejected"]) == (3, 3)
    with (tmp_path / "out" / "invalid_images" / "reasons.csv").open() as file:
        messages = {row["origin"]: row["message"] for row in csv.DictReader(file)}
    assert "see no/mni152_c50.png in pile" in messages["yes/mirror.png"]


def test_slices_of_one_patient_may_differ_in_the_diagnosis(pile, run_prepare) -> None:
    with Image.open(pile / "no" / "mni152_c50.png") as image:
        ImageOps.mirror(image).save(pile / "yes" / "next_slice.png")
    (pile / "manifest.csv").write_text(
        "path,patient\nno/mni152_c50.png,anna\nyes/next_slice.png,anna\n"
    )
    assert len(run_prepare(pile)) == 9


def test_the_quality_of_images_is_told_or_refused(pile, run_prepare, tmp_path) -> None:
    with Image.open(pile / "no" / "mni152_c50.png") as image:
        image.point([v // 6 for v in range(256)] * 3).save(pile / "no" / "dim.png")
        image.resize((400, 90)).save(pile / "no" / "strip.png")
    scans = by_origin(run_prepare(pile))
    assert scans["no/dim.png"].quality == "few_grey_levels;low_contrast"
    assert {scan.quality for origin, scan in scans.items() if origin != "no/dim.png"} == {""}
    assert reasons(tmp_path / "out") == {"no/strip.png": "aspect"}


def test_pairs_that_no_source_knew_are_listed(pile, run_prepare, tmp_path) -> None:
    with Image.open(pile / "no" / "mni152_c50.png") as image:
        ImageOps.mirror(image).save(pile / "no" / "mirror.png")
        image.rotate(10).save(pile / "no" / "turned.png")
    scans = by_origin(run_prepare(pile))
    with (tmp_path / "out" / "duplicates.csv").open() as file:
        rows = {frozenset((row["path"], row["other"])): row for row in csv.DictReader(file)}
    paths = {name: scans[f"no/{name}.png"].path for name in ("mni152_c50", "mirror", "turned")}
    mirrored = rows[frozenset((paths["mni152_c50"], paths["mirror"]))]
    assert (mirrored["registered"], mirrored["joined"]) == ("False", "True")
    assert float(mirrored["correlation"]) > 0.9
    turned = [row for pair, row in rows.items() if paths["turned"] in pair]
    assert turned
    assert {row["registered"] for row in turned} == {"True"}


def test_a_manifest_is_checked_and_kept(pile, run_prepare, tmp_path) -> None:
    names = {path.stem: path.relative_to(pile).as_posix() for path in pile.rglob("*.png")}
    (pile / "manifest.csv").write_text(
        "path,label,split,group,patient,sha256\n"
        f"{names['colin27_a50']},no,val,g1,anna,\n"
        f"{names['mni152_c50']},no,train,g2,anna,\n"
        f"{names['ixi012_a60']},yes,,,,\n"
        f"{names['mni152_s45']},no,,,,00\n"
        f"{names['cheng_0015_meningioma']},yes,train,,ben,\n"
    )
    scans = by_origin(run_prepare(pile))
    assert reasons(tmp_path / "out") == {
        names["ixi012_a60"]: "contradictory_label",
        names["mni152_s45"]: "changed",
    }
    first, second = scans[names["colin27_a50"]], scans[names["mni152_c50"]]
    assert (first.group, second.group) == ("g1", "g2")
    assert first.split == second.split == Split.VAL  # one patient: the more held-out split
    ben = scans[names["cheng_0015_meningioma"]]
    assert (ben.group, ben.patient, ben.split) == ("ben", "ben", Split.TRAIN)


def test_held_out_sources_take_their_copies_along(pile, run_prepare, tmp_path) -> None:
    shown = tmp_path / "shown"
    for path in sorted(pile.rglob("*.png"))[::3]:
        target = shown / path.relative_to(pile)
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            ImageOps.mirror(image).save(target)
    (pile / "manifest.csv").write_text(
        "path,split\n"
        + "".join(f"{path.relative_to(pile).as_posix()},train\n" for path in pile.rglob("*.png"))
    )
    scans = run_prepare(pile, shown, hold_out=["shown"])
    held = {scan.origin for scan in scans if scan.source == "shown"}
    assert len(held) == 3
    for scan in scans:
        assert scan.split == (Split.TEST if scan.origin in held else Split.TRAIN)
    with pytest.raises(DatasetError, match="No source is called 'hidden'; there are pile, shown"):
        run_prepare(pile, shown, hold_out=["hidden"])


def test_the_same_inputs_change_nothing(pile, run_prepare, tmp_path, console) -> None:
    scans = run_prepare(pile)
    marks = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    assert run_prepare(pile) == scans
    assert "Nothing changed." in console.file.getvalue()
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == marks
    (pile / "no" / "mni152_c50.png").unlink()
    assert len(run_prepare(pile)) == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "pile"]


def test_options_and_sources_decide_the_dataset_and_nothing_else(pile, tmp_path, console) -> None:
    def build(out: str, workers: int) -> dict[str, bytes]:
        settings = PrepareSettings(out=tmp_path / out, seed=5, workers=workers)
        prepare([pile], settings, console)
        return tree(tmp_path / out)

    assert build("one", 1) == build("two", 2)


def test_processes_give_what_one_gives(pile, tmp_path, console, monkeypatch) -> None:
    monkeypatch.setattr(data.prepare, "_PARALLEL_FROM", 1)
    for out, workers in (("one", 1), ("two", 2)):
        prepare([pile], PrepareSettings(out=tmp_path / out, workers=workers), console)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("step", ["_decode", "assemble", "_copy_rejects", "write_manifest"])
def test_an_interrupted_run_leaves_no_dataset(
    pile, run_prepare, tmp_path, monkeypatch, step: str
) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(data.prepare, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_prepare(pile)
    assert not (tmp_path / "out").exists()
    assert len(run_prepare(pile)) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "pile"]


def test_an_interrupted_rebuild_leaves_the_old_dataset(
    pile, run_prepare, tmp_path, monkeypatch
) -> None:
    before = run_prepare(pile)
    (pile / "no" / "mni152_c50.png").unlink()
    monkeypatch.setattr(data.prepare, "write_manifest", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_prepare(pile)
    assert read_manifest(tmp_path / "out") == before


def test_folders_of_others_are_left_alone(pile, tmp_path, console: Console) -> None:
    def refused(out: Path, match: str, *sources: Path) -> None:
        with pytest.raises(DatasetError, match=match):
            prepare(sources, PrepareSettings(out=out, workers=1), console)

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("draft")
    refused(foreign, "is no dataset of ours", pile)
    refused(foreign / "thesis.txt", "is no dataset of ours", pile)
    refused(pile / "out", "lie inside each other", pile)
    refused(tmp_path, "lie inside each other", pile)
    refused(tmp_path / "out", "at least one SOURCE")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "thesis.txt").write_text("draft")
    refused(tmp_path / "out", "in the way and is not ours", pile)
    assert tree(foreign) == {"thesis.txt": b"draft"}
    assert tree(tmp_path / "out.partial") == {"thesis.txt": b"draft"}


def test_without_a_usable_scan_nothing_is_written(tmp_path, console) -> None:
    (tmp_path / "pile" / "yes").mkdir(parents=True)
    (tmp_path / "pile" / "yes" / "a.png").write_text("no")
    with pytest.raises(DatasetError, match="None of the files is a usable scan"):
        prepare([tmp_path / "pile"], PrepareSettings(out=tmp_path / "out"), console)
    assert not (tmp_path / "out").exists()


def test_outlines_of_tumours_are_letterboxed_as_their_scans_are(
    pile, run_prepare, console, tmp_path
) -> None:
    names = sorted(path.name for path in (pile / "yes").iterdir())[:3]
    (pile / "masks").mkdir()
    for i, name in enumerate(names):
        with Image.open(pile / "yes" / name) as scan:
            wide = scan.resize((scan.width, scan.height // 2))
        wide.save(pile / "yes" / name)
        shape = (wide.width, wide.height) if i else (wide.height, wide.height)
        outline = Image.new("1", shape)
        outline.paste(1, (0, 0, shape[0] // 2, shape[1]))
        outline.save(pile / "masks" / name)
    (pile / "masks" / names[1]).write_bytes(b"no picture")
    rows = [f"yes/{name},masks/{name}" for name in names]
    (pile / "manifest.csv").write_text("\n".join(["path,mask", *rows]) + "\n")
    scans = run_prepare(pile)
    assert "2 outlines of tumours cannot be read or have another shape" in console.file.getvalue()
    (kept,) = [scan for scan in scans if (tmp_path / "out" / MASKS / scan.path).exists()]
    assert kept.origin == f"yes/{names[2]}"
    with Image.open(tmp_path / "out" / MASKS / kept.path) as image:
        mask = np.asarray(image)
    assert mask.shape == (224, 224)
    assert set(np.unique(mask)) == {0, 255}
    expected = np.zeros((224, 224), bool)
    expected[56:168, :112] = True  # the left half of a strip twice as wide as high
    assert ((mask > 0) != expected).mean() < 0.02

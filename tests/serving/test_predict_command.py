"""`python -m serving predict`, as a user runs it."""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.data.medical import grey, nifti, packed, png, series


def predict(*arguments, **environment):
    command = [sys.executable, "-m", "serving", "predict", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment
    )


@pytest.mark.parametrize("way", ["grpc", "rest"])
def test_good_files_are_answered_and_bad_ones_named(tiny_server, samples, tmp_path, way):
    bad = tmp_path / "letter.png"
    bad.write_text("Dear colleague")
    files = [str(samples["yes"][0]), str(bad), str(samples["no"][0])]
    done = predict("--server", getattr(tiny_server, way), "--json", *files)
    assert done.returncode == 1
    rows = json.loads(done.stdout)
    assert [row["file"] for row in rows] == files
    assert "This is not a PNG, JPEG or WebP image" in rows[1]["error"]
    assert {"label", "probability", "confidence", "risk", "version"} <= set(rows[0])
    assert rows[2]["version"] == 1


def test_a_volume_is_answered_slice_by_slice_and_a_series_once(tiny_server, samples, tmp_path):
    scans = [grey(path, 128) for path in samples["yes"][:3]]
    air = np.zeros_like(scans[0])
    volume = tmp_path / "volume.nii.gz"
    volume.write_bytes(gzip.compress(nifti(np.stack([air, *scans], axis=2))))
    slices = [tmp_path / f"IM{i}" for i in range(3)]
    for path, payload in zip(slices, series(scans), strict=True):
        path.write_bytes(payload)
    archive = tmp_path / "batch.zip"
    archive.write_bytes(packed({"a/scan.png": png(scans[0]), "a/note.txt": b"x"}))
    missing = tmp_path / "missing.png"
    files = [slices[1], missing, volume, slices[0], archive, slices[2], samples["yes"][0]]
    done = predict("--server", tiny_server.grpc, "--json", *files)
    assert done.returncode == 1, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["file"], row.get("member"), "error" in row) for row in rows] == [
        (str(slices[1]), None, False),
        (str(missing), None, True),
        (str(volume), None, False),
        (str(archive), "a/scan.png", False),
        (str(archive), "a/note.txt", True),
        (str(samples["yes"][0]), None, False),
    ]
    by_slice = rows[2]["slices"]
    assert by_slice[0] == {"slice": 1, "empty": True}
    assert [one["slice"] for one in by_slice] == [1, 2, 3, 4]
    likeliest = max(by_slice[1:], key=lambda one: (one["in_distribution"], one["probability"]))
    assert rows[2]["highest"] == likeliest["slice"]
    assert (rows[0]["plane"], rows[0]["spacing_mm"], len(rows[0]["slices"])) == ("axial", 5.0, 3)
    # The same slice, as a member of a series and as a picture: the same answer.
    first = rows[0]["slices"][0]
    assert first["label"] == rows[3]["label"]
    assert first["probability"] == pytest.approx(rows[3]["probability"], abs=1e-4)
    table = predict("--server", tiny_server.grpc, volume, COLUMNS="300")
    assert f"slice {rows[2]['highest']} of 4, the highest" in table.stdout


def test_many_files_keep_their_order(tiny_server, samples, tmp_path):
    scans = (samples["yes"] + samples["no"]) * 2
    one_by_one = {
        scan: json.loads(predict("--server", tiny_server.grpc, "--json", scan).stdout)[0]
        for scan in scans[:2]
    }
    done = predict("--server", tiny_server.grpc, "--json", *scans)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["file"] for row in rows] == [str(scan) for scan in scans]
    for i in (0, 1, len(scans) // 2, len(scans) // 2 + 1):
        assert rows[i] == one_by_one[scans[i]]


def test_any_file_name_is_printed_as_it_is(tiny_server, samples, tmp_path):
    scan = tmp_path / "[bold]a[" / "b].jpg"  # a path that rich would take for markup
    scan.parent.mkdir()
    scan.write_bytes(samples["yes"][0].read_bytes())
    done = predict("--server", tiny_server.grpc, scan, COLUMNS="300")
    assert done.returncode == 0, done.stderr
    assert str(scan) in done.stdout


def test_that_nobody_listens_is_said_in_one_line(free_port, samples):
    done = predict("--server", f"127.0.0.1:{free_port()}", samples["yes"][0])
    assert done.returncode == 1
    assert done.stderr.startswith("python -m serving: No model server answers at 127.0.0.1:")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--version-label", "nope"], "does not serve this brain_tumor"),
        (["--version", "1", "--version-label", "stable"], "not both"),
    ],
)
def test_a_choice_of_version_that_cannot_be_is_said_in_one_line(
    tiny_server, samples, flags, sentence
):
    done = predict("--server", tiny_server.grpc, *flags, samples["yes"][0])
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr

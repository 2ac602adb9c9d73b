"""`python -m serving predict`, as a user runs it."""

import json
import os
import subprocess
import sys

import pytest


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

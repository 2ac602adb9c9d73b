"""The command line: what it prints, what it exits with."""

import csv
import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from data.__main__ import main
from data.manifest import Split, dataset_hash, read_manifest, write_manifest
from tests.conftest import ROOT


@pytest.fixture
def call(capsys):
    """Run `python -m data` in this process: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return run


def test_prepare_then_report(call, pile, tmp_path) -> None:
    out = tmp_path / "out"
    code, _, err = call("prepare", pile, "--out", out, "--workers", 1)
    assert code == 0
    assert "8 scans of 8 files" in " ".join(err.split())
    code, text, _ = call("report", out, "--json", tmp_path / "reports" / "r.json")
    assert code == 0
    assert "No group and no patient is in more than one split." in text
    assert "Largest source: pile, 100.0% of all scans." in text
    figures = json.loads((tmp_path / "reports" / "r.json").read_text())
    scans = read_manifest(out)
    assert figures["total"] == len(scans) == 8
    assert figures["dataset"] == dataset_hash(scans)
    assert figures["scans"]["pile"]["tumor"] == {
        split: sum(s.split == split and s.label == "tumor" for s in scans) for split in Split
    }
    assert figures["crossing"] == []


@pytest.mark.parametrize("column", ["group", "patient"])
def test_report_names_what_crosses_a_split(call, pile, tmp_path, column: str) -> None:
    out = tmp_path / "out"
    call("prepare", pile, "--out", out, "--workers", 1)
    scans = [replace(scan, group=f"g{i}") for i, scan in enumerate(read_manifest(out))]
    scans[0] = replace(scans[0], split=Split.TRAIN, **{column: "mixed"})
    scans[1] = replace(scans[1], split=Split.TEST, **{column: "mixed"})
    write_manifest(out, scans)
    code, text, err = call("report", out)
    assert code == 1
    assert f"error: {column} mixed" in err
    assert err.rstrip().endswith("is in more than one split")
    assert "No group" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "--out", "x"], "Name at least one SOURCE"),
        (["prepare", "nowhere", "--out", "x"], "nowhere is not a folder."),
        (["prepare", "pile"], "--out"),
        (["prepare", "pile", "--out", "x", "--sede", "3"], "Unknown option"),
        (["prepare", "pile", "--out", "x", "--seed", "many"], 'unable to convert "many" into int'),
        (["prepare", "pile", "--out", "x", "--workers", "0"], "Must be >= 1"),
        (["report", "pile"], "holds no manifest.csv"),
        (["repair"], "Unknown command"),
    ],
)
def test_mistakes_are_one_line(call, pile, tmp_path, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*arguments)
    assert code == 1
    assert out == ""
    assert message in err
    assert err.startswith("python -m data: ")
    assert len(err.splitlines()) == 1


def test_settings_come_from_the_environment(call, pile, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DATA_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("DATA_SEED", "7")
    assert call("prepare", pile)[0] == 0
    record = json.loads((tmp_path / "out" / "prepared.json").read_text())
    assert record["options"]["seed"] == 7


def test_help_teaches_and_needs_no_tensorflow() -> None:
    code = "import sys, data.__main__ as m; m.app('prepare --help', result_action='return_value')"
    code += "; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    words = " ".join(done.stdout.split())
    assert "copied, not moved" in words
    assert "--hold-out" in words


def test_the_samples_are_what_their_manifest_says() -> None:
    folder = ROOT / "data" / "samples"
    with (folder / "manifest.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    files = {
        str(p.relative_to(folder)) for kind in ("yes", "no") for p in (folder / kind).iterdir()
    }
    assert rows.keys() == files
    terms = (folder / "LICENCES.md").read_text()
    for path, row in rows.items():
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == row["sha256"]
        assert row["label"] == {"yes": "tumor", "no": "no_tumor"}[path.split("/")[0]]
        assert f"{path[: path.index('_')]}_*" in terms or f"{path[:6]}*" in terms
